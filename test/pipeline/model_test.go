package pipeline

import (
	"math/rand/v2"
	"sync"
)

// promise is what a client was told of one job, and so what must have become of it.
type promise struct {
	mu      sync.Mutex // held while somebody asks for something that changes it
	id      string
	labour  string
	payload string
	runs    int          // the first, and each requeue that was granted
	barred  map[int]bool // runs of which it was told that they were cancelled before anybody owned them
	asked   bool         // somebody asked to cancel it, whatever the answer
}

// model is the client's own list of what it was told. It knows nothing of how Tallyman works.
type model struct {
	mu       sync.Mutex
	promises []*promise
	lost     int             // messages sent past the api of which it was never told whether they arrived
	killed   map[string]bool // pods of which the test killed a process
}

func newModel() *model { return &model{killed: make(map[string]bool)} }

func (m *model) add(p *promise) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.promises = append(m.promises, p)
}

func (m *model) lose() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lost++
}

// pick gives one of the newest n promises; nil where there is none yet.
func (m *model) pick(r *rand.Rand, n int) *promise {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.promises[max(0, len(m.promises)-n):]
	if len(all) == 0 {
		return nil
	}
	return all[r.IntN(len(all))]
}
