package api

import "sync"

// bells tell those who wait for a job that something about it has changed. A bell rung twice before
// anybody listens rings once: who hears it looks at what is now.
type bells struct {
	mu  sync.Mutex
	all map[string]map[chan struct{}]struct{}
}

func newBells() *bells { return &bells{all: make(map[string]map[chan struct{}]struct{})} }

// hang gives a bell of a job, and takes it down again.
func (b *bells) hang(id string) (rings <-chan struct{}, takeDown func()) {
	bell := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all[id] == nil {
		b.all[id] = make(map[chan struct{}]struct{})
	}
	b.all[id][bell] = struct{}{}
	return bell, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.all[id], bell)
		if len(b.all[id]) == 0 {
			delete(b.all, id)
		}
	}
}

func (b *bells) ring(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ringOf(id)
}

// ringAll rings every job's.
func (b *bells) ringAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range b.all {
		b.ringOf(id)
	}
}

// ringOf rings a job's; b.mu is held.
func (b *bells) ringOf(id string) {
	for bell := range b.all[id] {
		select {
		case bell <- struct{}{}:
		default:
		}
	}
}
