package bridge

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"tallyman/contract"
	"tallyman/internal/service"
	"tallyman/internal/stream"
)

// KubernetesEvents is where KEDA, the scheduler, the kubelet and the Job controller say what they do with
// units and ScaledJobs. kube.Informers fills it.
type KubernetesEvents interface {
	// WatchEvents calls tell for each Kubernetes Event there is of a unit, of its pods or of a queue's
	// ScaledJob, then for each new or repeated one, until ctx ends. tell returns at once.
	WatchEvents(ctx context.Context, tell func(contract.Scaling)) error
}

// Scaling is the stream that keeps them. *stream.Stream fills it; a repeat is dropped there.
type Scaling interface {
	PublishScaling(ctx context.Context, e contract.Scaling) error
}

// Limits of mirroring. A cluster in trouble says the same thing thousands of times; the facts of jobs share
// the connection, and must not feel it.
const (
	maxMirrored     = 1000                  // waiting at a time; the oldest make room
	mirrorEvery     = 20 * time.Millisecond // so at most 50 a second
	firstMirrorWait = time.Second           // after NATS did not take one
	maxMirrorWait   = 30 * time.Second
)

// mirror hands Kubernetes Events on to the stream, one after the other, each only as it is by now. What is
// not sent while nobody leads, waits for the next leader.
type mirror struct {
	cluster string
	to      Scaling
	sure    func(context.Context) error
	clock   clockwork.Clock
	log     *slog.Logger
	named   service.Fault

	mu      sync.Mutex
	waiting map[string]contract.Scaling // by UID
	order   []string                    // of waiting, the oldest first
	wake    chan struct{}
}

func newMirror(o *Options, sure func(context.Context) error) *mirror {
	return &mirror{
		cluster: o.Cluster, to: o.Scaling, sure: sure, clock: o.Clock, log: o.Log,
		waiting: make(map[string]contract.Scaling), wake: make(chan struct{}, 1),
	}
}

// tell takes a Kubernetes Event. A newer one with the same UID takes the older one's place.
func (m *mirror) tell(e contract.Scaling) {
	e.Cluster = m.cluster
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.waiting[e.UID]; !ok {
		m.order = append(m.order, e.UID)
	}
	m.waiting[e.UID] = e
	if len(m.order) > maxMirrored {
		delete(m.waiting, m.order[0])
		m.order = m.order[1:]
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *mirror) take() (contract.Scaling, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.order) == 0 {
		return contract.Scaling{}, false
	}
	e := m.waiting[m.order[0]]
	delete(m.waiting, e.UID)
	m.order = m.order[1:]
	return e, true
}

// giveBack puts one that was not sent before all others, unless a newer one waits already or there is no room.
func (m *mirror) giveBack(e contract.Scaling) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, newer := m.waiting[e.UID]; newer || len(m.order) >= maxMirrored {
		return
	}
	m.waiting[e.UID] = e
	m.order = append([]string{e.UID}, m.order...)
}

// pass sends until ctx ends.
func (m *mirror) pass(ctx context.Context) error {
	back := firstMirrorWait
	for {
		e, ok := m.take()
		if !ok {
			select {
			case <-ctx.Done():
				return nil
			case <-m.wake:
			}
			continue
		}
		wait := mirrorEvery
		switch err := m.send(ctx, e); {
		case ctx.Err() != nil:
			m.giveBack(e)
			return nil
		case err != nil:
			m.giveBack(e)
			wait, back = back, min(2*back, maxMirrorWait)
		default:
			back = firstMirrorWait
		}
		select {
		case <-ctx.Done():
			return nil
		case <-m.clock.After(wait):
		}
	}
}

// send gives an error where it is worth trying again.
func (m *mirror) send(ctx context.Context, e contract.Scaling) error {
	if err := m.sure(ctx); err != nil {
		return err // named by who is not sure
	}
	err := m.to.PublishScaling(ctx, e)
	switch away := errors.Is(err, stream.ErrUnavailable); {
	case ctx.Err() != nil:
		return err
	case err != nil && !away:
		m.log.Debug("a Kubernetes Event cannot be mirrored", "uid", e.UID, "reason", e.Reason, "error", err)
		return nil
	case !m.named.Changed(err):
	case away:
		m.log.Warn("Kubernetes Events wait to be mirrored", "error", err)
	}
	return err
}
