package bridge

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// place is where a unit is to be found: in Kubernetes and in the bucket.
type place struct {
	namespace, name, queue string
}

// books is what the bridge remembers of units. All of it is a memory of what is elsewhere: losing it
// costs repeats, which the stream drops or the ledger knows by their ids.
type books struct {
	mu     sync.Mutex
	places map[string]place               // of units that were noticed or have a claim with something left to do
	open   map[string]time.Time           // claims with something left to do, and when the next may be due
	acked  map[string]map[string]struct{} // by unit, the ids of facts that the stream has
	again  map[string]bool                // units to say again from the start
}

// maxRemembered bounds the memory of what was acknowledged; beyond it the stream does the remembering.
const maxRemembered = 20_000

func newBooks() *books {
	return &books{
		places: make(map[string]place), open: make(map[string]time.Time),
		acked: make(map[string]map[string]struct{}), again: make(map[string]bool),
	}
}

// unitOfKey splits "<queue>.unit.<unit>".
func unitOfKey(key string) (queue, unit string, ok bool) {
	queue, unit, ok = strings.Cut(key, ".unit.")
	return queue, unit, ok && contract.ValidToken(queue) && contract.ValidToken(unit)
}

// notice remembers where a unit is.
func (b *books) notice(uid string, p place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.queue == "" {
		p.queue = b.places[uid].queue
	}
	b.places[uid] = p
}

func (b *books) place(uid string) (place, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := b.places[uid]
	return p, ok
}

// keep files a claim by what is left to do: nothing, or something not before a time.
func (b *books) keep(queue string, u *contract.UnitRecord) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := place{namespace: u.Namespace, name: u.Name, queue: queue}
	if _, known := b.places[u.Unit]; known || u.State != contract.Closed || !u.Said || u.Task != nil {
		b.places[u.Unit] = p // a stub is nobody's business any more, and there are many
	}
	switch {
	case u.State != contract.Closed:
		b.open[u.Unit] = time.Time{}
	case !u.Said:
		b.open[u.Unit] = u.ClosedAt.Add(wordGrace)
	case u.Task != nil:
		b.open[u.Unit] = u.ClosedAt.Add(stubAfter)
	default:
		delete(b.open, u.Unit)
	}
}

// removed drops a claim that is there no more: an intent whose run was another's.
func (b *books) removed(uid string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, uid)
}

// due lists the claims with something to do now.
func (b *books) due(now time.Time) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var uids []string
	for uid, at := range b.open {
		if !at.After(now) {
			uids = append(uids, uid)
		}
	}
	return uids
}

// opened lists the units whose claims are not closed.
func (b *books) opened() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var uids []string
	for uid, at := range b.open {
		if at.IsZero() {
			uids = append(uids, uid)
		}
	}
	return uids
}

// forget drops a unit whose Kubernetes Job is gone, unless its claim has something left to do.
func (b *books) forget(uid string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, open := b.open[uid]; !open {
		delete(b.places, uid)
		delete(b.acked, uid)
		delete(b.again, uid)
	}
}

func (b *books) has(uid, id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.acked[uid][id]
	return ok
}

func (b *books) acknowledge(uid, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.acked) > maxRemembered {
		clear(b.acked)
	}
	if b.acked[uid] == nil {
		b.acked[uid] = make(map[string]struct{})
	}
	b.acked[uid][id] = struct{}{}
}

// repeat marks a unit to be said again from the start, and forgets what was acknowledged.
func (b *books) repeat(uid string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.again[uid] = true
	delete(b.acked, uid)
}

func (b *books) repeating(uid string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.again[uid]
}

func (b *books) repeated(uid string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.again, uid)
}

// known lists the units of which anything is remembered.
func (b *books) known() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	uids := make([]string, 0, len(b.places))
	for uid := range b.places {
		uids = append(uids, uid)
	}
	return uids
}

// followClaims keeps the books by the bucket, for as long as ctx lives. A record that nobody can read is
// named once and left alone: the rest goes on.
func (b *Bridge) followClaims(ctx context.Context) error {
	return b.o.Claims.Watch(ctx, contract.UnitKeys("*"), func(e stream.Entry) error {
		queue, unit, _ := unitOfKey(e.Key)
		if e.Deleted {
			b.books.removed(unit)
			b.schedule.add(unit, 0) // a look forgets the rest of it
			return nil
		}
		if u := b.readClaim(e); u != nil {
			b.books.keep(queue, u)
			_, known := b.books.place(u.Unit)
			switch {
			case u.State == contract.Closed && !u.Said:
				b.schedule.add(u.Unit, wordGrace)
			case u.State == contract.Closed && u.Task == nil && known: // Kubernetes may have told long ago that it is gone
				b.schedule.add(u.Unit, 0)
			}
		}
		return nil
	}, func() error {
		b.sweep()
		return nil
	})
}

// readClaim gives the record of a unit that is ours, nil for every other.
func (b *Bridge) readClaim(e stream.Entry) *contract.UnitRecord {
	_, unit, ok := unitOfKey(e.Key)
	if e.Deleted || !ok {
		return nil
	}
	u, err := contract.DecodeUnit(e.Value)
	switch {
	case err != nil:
		b.o.Log.Error("a claim cannot be read; its unit is left alone", "key", e.Key, "error", err)
		return nil
	case u.Unit != unit || !b.o.mine(u.Cluster, u.Namespace):
		return nil
	}
	// What is remembered of a claim must not hold on to the whole record, of which these are parts.
	u.Unit, u.Namespace, u.Name = strings.Clone(u.Unit), strings.Clone(u.Namespace), strings.Clone(u.Name)
	return &u
}

// sweep asks for a look at every claim with something to do. It finds what no notice told of: claims whose
// Kubernetes Job vanished while nobody looked, and records that are old enough to be cut.
func (b *Bridge) sweep() {
	for _, uid := range b.books.due(b.o.Clock.Now()) {
		b.schedule.add(uid, 0)
	}
}

var errLoaded = errors.New("loaded")

// SayAll says every claim again from the start: each attempt, each ending, each outcome, and the task
// itself where the claim still holds it. It is asked for when the stream has lost events, and returns once
// every claim is asked for; Run does the saying.
func (b *Bridge) SayAll(ctx context.Context) error {
	for _, uid := range b.books.known() {
		b.books.repeat(uid)
		b.schedule.add(uid, 0)
	}
	err := b.o.Claims.Watch(ctx, contract.UnitKeys("*"), func(e stream.Entry) error {
		if u := b.readClaim(e); u != nil {
			queue, _, _ := unitOfKey(e.Key)
			b.books.notice(u.Unit, place{namespace: u.Namespace, name: u.Name, queue: queue})
			b.books.keep(queue, u)
			b.books.repeat(u.Unit)
			b.schedule.add(u.Unit, 0)
		}
		return nil
	}, func() error { return errLoaded })
	if errors.Is(err, errLoaded) {
		return nil
	}
	return err
}
