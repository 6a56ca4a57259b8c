package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"tallyman/bridge"
	"tallyman/internal/service"
)

// Times of a Lease. A leader that dies is followed within leaseLife + 2 leaseLook, for a standby sees a renewal
// so much later, and looks so seldom; one that ends in order within leaseLook. They are as short as they are
// because what only Kubernetes knows is not counted meanwhile.
const (
	leaseLife    = 4 * time.Second         // one that nobody renews for so long is anybody's
	leaseEvery   = 800 * time.Millisecond  // how often the leader renews it
	leaseLook    = 400 * time.Millisecond  // how often a standby looks at it, and a leader that was not answered asks again
	leaseGivenUp = 3700 * time.Millisecond // a leader that could not renew it for so long leads no more
	leaseAsk     = 1400 * time.Millisecond // one request, so that two fail before it is given up
)

// errTaken: somebody else holds the Lease, or wrote it first.
var errTaken = errors.New("another holds the Lease")

// Lease makes one bridge the leader of all that ask for the same name, by a Lease as client-go's own
// election writes it; that one would link every generated client of Kubernetes.
type Lease struct {
	server                  *Server
	leases                  rest.Interface
	namespace, name, holder string
	clock                   clockwork.Clock
	log                     *slog.Logger
	named, told             service.Fault

	mu    sync.Mutex
	fault error
	// seen is the Lease as it was when it last changed, and since when by our own clock: what a clock of
	// another machine wrote into it decides nothing.
	seen  coordinationv1.LeaseSpec
	since time.Time
	held  *coordinationv1.Lease // as we wrote it last; nil where it is to be read first
}

var _ bridge.Leader = (*Lease)(nil)

// NewLease names a Lease and who asks for it; holder must differ between processes. clock may be nil.
func NewLease(server *Server, namespace, name, holder string, clock clockwork.Clock) *Lease {
	if clock == nil {
		clock = clockwork.NewRealClock()
	}
	return &Lease{
		server: server, leases: server.leases, namespace: namespace, name: name, holder: holder, clock: clock, log: server.log,
		fault: fmt.Errorf("the lease %s/%s was not read yet", namespace, name),
	}
}

// OwnNamespace is that of this pod; "" outside of a cluster.
func OwnNamespace() string {
	b, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// Ready tells in one line why the Lease can be neither read nor written. A standby is ready.
func (l *Lease) Ready(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault
}

// Run fills bridge.Leader.
func (l *Lease) Run(ctx context.Context, lead func(context.Context) error) error {
	for {
		asked := l.clock.Now()
		err := l.campaign(ctx, leaseAsk)
		if err == nil {
			if err := l.term(ctx, asked, lead); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.clock.After(leaseLook):
		}
	}
}

// term leads for as long as the Lease can be renewed. It counts from before the request that got it, so it
// ends here before it ends for anybody else.
func (l *Lease) term(ctx context.Context, asked time.Time, lead func(context.Context) error) error {
	term, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- lead(term) }()
	for wait := leaseEvery; ; {
		select {
		case err := <-ended:
			l.release()
			if term.Err() != nil {
				return nil
			}
			return err
		case <-l.clock.After(wait):
		}
		now := l.clock.Now()
		wait = leaseLook
		switch err := l.campaign(term, min(leaseAsk, leaseGivenUp-now.Sub(asked))); {
		case err == nil:
			asked, wait = now, leaseEvery
		case errors.Is(err, errTaken), l.clock.Now().Sub(asked) >= leaseGivenUp-leaseLook: // there is no time to ask again
			if term.Err() == nil {
				l.log.Warn("leads no more", "lease", l.namespace+"/"+l.name, "error", err)
			}
			cancel()
			<-ended
			return nil
		}
	}
}

// campaign takes the Lease where it is free, or renews it where it is ours, within a time; nil where it is ours now.
func (l *Lease) campaign(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := l.take(ctx)
	if err != nil && !errors.Is(err, errTaken) && errors.Is(context.Cause(ctx), context.Canceled) {
		return err // we end
	}
	fault := err
	if errors.Is(err, errTaken) {
		fault = nil
	}
	l.mu.Lock()
	l.fault = fault
	l.mu.Unlock()
	l.server.name(&l.named, "the Lease "+l.namespace+"/"+l.name, fault)
	if errors.Is(err, errTaken) && l.told.Changed(err) {
		l.log.Info("stands by", "lease", l.namespace+"/"+l.name, "leader", value(l.seen.HolderIdentity))
	} else if err == nil {
		l.told.Changed(nil)
	}
	return err
}

func (l *Lease) take(ctx context.Context) error {
	if held := l.held; held != nil { // nobody else writes a Lease that is ours and young
		l.held = nil
		return l.write(ctx, held, l.spec(held.Spec))
	}
	var have coordinationv1.Lease
	err := l.leases.Get().Namespace(l.namespace).Resource("leases").Name(l.name).Do(ctx).Into(&have)
	if absent(err, l.name) {
		return l.make(ctx)
	}
	if err != nil {
		return because("get", "leases", l.namespace, err)
	}
	l.observe(have.Spec)
	if !l.free() {
		return errTaken
	}
	return l.write(ctx, &have, l.spec(have.Spec))
}

// observe restarts the count of a Lease's life whenever anything in it changed.
func (l *Lease) observe(s coordinationv1.LeaseSpec) {
	if l.since.IsZero() || !same(s, l.seen) {
		l.seen, l.since = s, l.clock.Now()
	}
}

func same(a, b coordinationv1.LeaseSpec) bool {
	return value(a.HolderIdentity) == value(b.HolderIdentity) && a.RenewTime.Equal(b.RenewTime) &&
		value(a.LeaseTransitions) == value(b.LeaseTransitions)
}

// free tells whether the Lease is ours, nobody's, or of one that did not renew it for its whole life.
func (l *Lease) free() bool {
	holder := value(l.seen.HolderIdentity)
	life := time.Duration(value(l.seen.LeaseDurationSeconds)) * time.Second
	return holder == "" || holder == l.holder || l.clock.Now().Sub(l.since) >= life
}

// spec is the Lease with us as its holder.
func (l *Lease) spec(old coordinationv1.LeaseSpec) coordinationv1.LeaseSpec {
	now, seconds := metav1.NewMicroTime(l.clock.Now()), int32(leaseLife/time.Second)
	s := coordinationv1.LeaseSpec{
		HolderIdentity: &l.holder, LeaseDurationSeconds: &seconds, RenewTime: &now,
		AcquireTime: old.AcquireTime, LeaseTransitions: old.LeaseTransitions,
	}
	if value(old.HolderIdentity) != l.holder {
		transitions := value(old.LeaseTransitions) + 1
		s.AcquireTime, s.LeaseTransitions = &now, &transitions
	}
	return s
}

func (l *Lease) make(ctx context.Context) error {
	lease := coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace, Name: l.name}, Spec: l.spec(coordinationv1.LeaseSpec{}),
	}
	err := l.leases.Post().Namespace(l.namespace).Resource("leases").Body(&lease).Do(ctx).Into(&lease)
	if apierrors.IsAlreadyExists(err) {
		return errTaken
	}
	if err != nil {
		return because("create", "leases", l.namespace, err)
	}
	l.observe(lease.Spec)
	l.held = &lease
	return nil
}

// write puts a Lease at the version that was read.
func (l *Lease) write(ctx context.Context, lease *coordinationv1.Lease, s coordinationv1.LeaseSpec) error {
	lease.Spec = s
	err := l.leases.Put().Namespace(l.namespace).Resource("leases").Name(l.name).Body(lease).Do(ctx).Into(lease)
	if apierrors.IsConflict(err) {
		return errTaken
	}
	if err != nil {
		return because("update", "leases", l.namespace, err)
	}
	l.observe(lease.Spec)
	l.held = lease
	return nil
}

// release gives the Lease up, so that a successor need not wait for the end of its life. Where that does not
// arrive, it waits.
func (l *Lease) release() {
	ctx, cancel := context.WithTimeout(context.Background(), leaseAsk)
	defer cancel()
	var have coordinationv1.Lease
	err := l.leases.Get().Namespace(l.namespace).Resource("leases").Name(l.name).Do(ctx).Into(&have)
	if err != nil || value(have.Spec.HolderIdentity) != l.holder {
		return
	}
	nobody, now := "", metav1.NewMicroTime(l.clock.Now())
	have.Spec.HolderIdentity, have.Spec.RenewTime = &nobody, &now
	if err := l.write(ctx, &have, have.Spec); err != nil {
		l.log.Debug("the Lease could not be given up", "error", err)
	}
	l.held = nil
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
