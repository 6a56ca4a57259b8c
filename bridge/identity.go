package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"tallyman/contract"
	"tallyman/internal/service"
	"tallyman/internal/stream"
)

// ClusterUID tells which cluster it is that Kubernetes shows. kube.Server fills it.
type ClusterUID interface {
	// ClusterUID asks, past every cache, for something that no two clusters share and that lives as long as
	// the cluster: the UID of its namespace kube-system.
	ClusterUID(ctx context.Context) (string, error)
}

// Marks is the bucket "claims" again, for the one record in it that is no unit's and no run's.
// *stream.Bucket fills it.
type Marks interface {
	Get(ctx context.Context, key string) (stream.Entry, error)
	Create(ctx context.Context, key string, value []byte) (uint64, error)
	Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
}

const (
	// sureFor is how long what is judged by objects that are there rests on one look at the cluster.
	sureFor = time.Minute
	// sureOfGoneFor is the same for calling a unit gone, which a wrong cluster would say of every one.
	sureOfGoneFor = 5 * time.Second
	// doubtFor spares the API server while the answer is no: every unit waits for the same one.
	doubtFor = 5 * time.Second
	// keepMark is how often the record is written again, so that it ages out no sooner than the claims.
	keepMark = 24 * time.Hour
)

// errDoubt marks an error by which it is not certain which cluster this is.
var errDoubt = errors.New("this may be another cluster")

// mark is the record of the cluster that a name stands for.
type mark struct {
	Cluster string `json:"cluster"`
	UID     string `json:"uid"`
}

// identity guards against the kubeconfig of another cluster, in which every unit would look gone. The first
// bridge of a cluster's name writes down which cluster it sees; no bridge judges in any other.
type identity struct {
	o     *Options
	named service.Fault

	mu    sync.Mutex
	same  time.Time // when it was last seen to be the same; zero: never
	asked time.Time
	fault error // why it is not known to be the same
	other bool  // it is known to be another
}

// sure returns nil where this is the cluster whose name we were given, seen to be so within a while. Where
// nobody can be asked just now, it was so before and strictly is false, that is good enough.
func (i *identity) sure(ctx context.Context, within time.Duration, strictly bool) error {
	if i.o.ClusterUID == nil {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.o.Clock.Now()
	switch {
	case i.fault == nil && !i.same.IsZero() && now.Sub(i.same) <= within:
		return nil
	case i.fault != nil && now.Sub(i.asked) < doubtFor:
	default:
		i.ask(ctx)
		if err := ctx.Err(); err != nil { // who was cut off has no answer
			return fmt.Errorf("ask which cluster this is: %w", err)
		}
	}
	if i.fault != nil && !i.other && !i.same.IsZero() && !strictly {
		return nil
	}
	return i.fault
}

func (i *identity) ask(ctx context.Context) {
	other, err := i.compare(ctx)
	if ctx.Err() != nil {
		return // it says nothing of the cluster
	}
	i.asked = i.o.Clock.Now()
	i.fault, i.other = err, other || i.other && err != nil
	if err == nil {
		i.same = i.asked
	}
	switch {
	case !i.named.Changed(err):
	case err != nil:
		i.o.Log.Error("nothing is judged before it is certain which cluster this is", "error", err)
	default:
		i.o.Log.Info("this is the cluster whose units are judged", "cluster", i.o.Cluster)
	}
}

// compare asks Kubernetes first and the record then.
func (i *identity) compare(ctx context.Context) (other bool, err error) {
	uid, err := i.o.ClusterUID.ClusterUID(ctx)
	if err != nil {
		return false, err
	}
	key := contract.ClusterKey(i.o.Cluster)
	value, err := json.Marshal(mark{Cluster: i.o.Cluster, UID: uid})
	if err != nil {
		return false, fmt.Errorf("encode %s: %w", key, err)
	}
	e, err := i.o.Marks.Get(ctx, key)
	if errors.Is(err, stream.ErrNotFound) {
		if _, err = i.o.Marks.Create(ctx, key, value); !errors.Is(err, stream.ErrConflict) {
			return false, err
		}
		e, err = i.o.Marks.Get(ctx, key) // another bridge was first
	}
	if err != nil {
		return false, err
	}
	var m mark
	switch err := json.Unmarshal(e.Value, &m); {
	case err != nil:
		return false, fmt.Errorf("decode %s: %w; remove it with: nats kv del %s %s", key, err, contract.BucketClaims, key)
	case m.UID != uid:
		return true, fmt.Errorf("this is another cluster than the one whose units are called %s: its kube-system is %s, "+
			"theirs was %s; mend --kubeconfig or --cluster, or, where %s was built anew, run: nats kv del %s %s",
			i.o.Cluster, uid, m.UID, i.o.Cluster, contract.BucketClaims, key)
	case i.o.Clock.Now().Sub(e.At) > keepMark:
		_, err := i.o.Marks.Update(ctx, key, value, e.Revision)
		if err != nil && !errors.Is(err, stream.ErrConflict) {
			return false, err
		}
	}
	return false, nil
}
