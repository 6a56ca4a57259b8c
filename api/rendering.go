package api

import "sync"

// maxRenderings bounds how many different questions have their answer kept; further ones are each rendered alone.
const maxRenderings = 256

// renderings are the answers of the books of now to those who follow them: a thousand clients that asked the same
// are sent one answer, rendered once.
type renderings struct {
	mu   sync.Mutex
	of   <-chan struct{} // what is closed with the books that these are of
	kept map[slice]*rendering
}

// rendering is made by the first who needs it, while the others wait.
type rendering struct {
	once   sync.Once
	answer *tagged
	seq    uint64
	err    error
}

// get gives the answer to a question, of the books that end with next; make renders it. Books that came meanwhile
// may be in it already, and nobody misses anything by that.
func (r *renderings) get(next <-chan struct{}, q slice, make func() (*tagged, uint64, error)) (*tagged, uint64, error) {
	one := r.find(next, q)
	if one == nil {
		return make()
	}
	one.once.Do(func() { one.answer, one.seq, one.err = make() })
	return one.answer, one.seq, one.err
}

// find gives the rendering of a question, nil where there are too many.
func (r *renderings) find(next <-chan struct{}, q slice) *rendering {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of != next {
		r.of, r.kept = next, make(map[slice]*rendering)
	}
	if r.kept[q] == nil {
		if len(r.kept) >= maxRenderings {
			return nil
		}
		r.kept[q] = new(rendering)
	}
	return r.kept[q]
}
