package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jonboulle/clockwork"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// ErrAway marks an error by which Kubernetes cannot be asked, or may not be. Who fills the ports names it.
var ErrAway = errors.New("Kubernetes cannot be asked")

// Kubernetes is where units are seen. internal/localkube fills it, and so do informers on a cluster.
type Kubernetes interface {
	// Unit gives the Kubernetes Job with this UID and its pods; a nil Job where it is not to be seen. With
	// fresh it asks past every cache, by name, and a nil Job then means that it is gone: an error is the
	// only way to say "I do not know". What it gives is the caller's to keep and not to change.
	Unit(ctx context.Context, namespace, name, uid string, fresh bool) (*batchv1.Job, []*corev1.Pod, error)
	// Watch calls notify for every unit there is, then for each one whose objects changed, until ctx ends.
	// Notices may be joined; notify returns at once.
	Watch(ctx context.Context, notify func(namespace, name, uid string)) error
	// Units gives every Kubernetes Job that there is, as old as the last word of the watch. What it gives is not
	// to be changed.
	Units(ctx context.Context) ([]*batchv1.Job, error)
}

// Claims is the bucket "claims". *stream.Bucket fills it; its errors are stream's. stream.ErrAnew of Watch ends the
// bridge: what it remembers is of records that are gone.
type Claims interface {
	Get(ctx context.Context, key string) (stream.Entry, error)
	Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
	Watch(ctx context.Context, filter string, fn func(stream.Entry) error, loaded func() error) error
}

// Events is the stream. Publish returns nil once the event is stored, or was stored before.
type Events interface {
	Publish(ctx context.Context, e contract.Event) (uint64, error)
}

// Defaults of Options.
const (
	// DefaultWorkers wait for NATS nearly all of their time. Each pod that comes or goes is looked at some eight times, so
	// four of them fell behind where ten pods a second did.
	DefaultWorkers = 16
	DefaultSweep   = time.Minute
	maxWorkers     = 64
)

// Options is what a bridge is made of. Units of another cluster or namespace are never judged.
type Options struct {
	Cluster    string   // the name that processors write into their claims
	Namespaces []string // whose units are ours
	Kubernetes Kubernetes
	Claims     Claims
	Events     Events
	Ledger     Ledger
	Leader     Leader    // nil: it always leads
	Inventory  Inventory // nil: nobody audits
	// ClusterUID and Marks guard against another cluster's kubeconfig; nil where there can be no other.
	ClusterUID ClusterUID
	Marks      Marks
	// KubernetesEvents are mirrored to Scaling; nil where there are none.
	KubernetesEvents KubernetesEvents
	Scaling          Scaling
	// Scalers are written to Sights, for those who explain; nil where nobody does.
	Scalers Scalers
	Sights  Sights
	// BackoffScale is the share of Kubernetes' back-off between attempts that is waited here; 1 by default.
	BackoffScale float64
	Clock        clockwork.Clock // the real one by default
	Log          *slog.Logger
	Workers      int           // units settled at a time; 16 by default
	Sweep        time.Duration // how often claims with something left to do are looked at; 1m by default
}

func (o *Options) setDefaults() {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Leader == nil {
		o.Leader = alone{}
	}
	if o.Workers == 0 {
		o.Workers = DefaultWorkers
	}
	if o.BackoffScale == 0 {
		o.BackoffScale = 1
	}
	if o.Sweep == 0 {
		o.Sweep = DefaultSweep
	}
}

func (o *Options) validate() error {
	var faults []error
	fault := func(bad bool, field, why string) {
		if bad {
			faults = append(faults, fmt.Errorf("bridge: %s: %s", field, why))
		}
	}
	fault(!contract.ValidLabel(o.Cluster, contract.MaxNameBytes), "Cluster", "a name of 1 to 253 printable characters is needed")
	fault(len(o.Namespaces) == 0, "Namespaces", "at least one is needed: the bridge judges no unit of any other")
	for _, n := range o.Namespaces {
		fault(!contract.ValidLabel(n, contract.MaxNameBytes), "Namespaces", fmt.Sprintf("%q is not a namespace", n))
	}
	fault(o.Kubernetes == nil, "Kubernetes", "is needed")
	fault(o.Claims == nil, "Claims", "the bucket is needed")
	fault(o.Events == nil, "Events", "the stream is needed")
	fault(o.Ledger == nil, "Ledger", "the bucket is needed")
	fault(o.ClusterUID != nil && o.Marks == nil, "Marks", "the bucket is needed with ClusterUID")
	fault(o.KubernetesEvents != nil && o.Scaling == nil, "Scaling", "the stream is needed with KubernetesEvents")
	fault(o.Scalers != nil && o.Sights == nil, "Sights", "the bucket is needed with Scalers")
	fault(o.BackoffScale < 0, "BackoffScale", "must not be negative")
	fault(o.Workers < 1 || o.Workers > maxWorkers, "Workers", fmt.Sprintf("%d must be 1 to %d", o.Workers, maxWorkers))
	fault(o.Sweep < time.Second, "Sweep", fmt.Sprintf("%s must be at least 1s", o.Sweep))
	return errors.Join(faults...)
}

// mine tells whether a unit of this place is ours to judge.
func (o *Options) mine(cluster, namespace string) bool {
	return cluster == o.Cluster && slices.Contains(o.Namespaces, namespace)
}
