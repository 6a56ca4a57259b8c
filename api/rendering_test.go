package api

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// Those who ask the same of the same books have one answer, rendered once; other books and other questions have
// their own.
func TestOneRenderingForAll(t *testing.T) {
	t.Parallel()
	var r renderings
	var made atomic.Int64
	ask := func(next <-chan struct{}, q slice) *tagged {
		a, _, err := r.get(next, q, func() (*tagged, uint64, error) {
			return newTagged(fmt.Append(nil, made.Add(1))), 1, nil
		})
		if err != nil {
			t.Error(err)
		}
		return a
	}
	for range 3 {
		next, before := make(chan struct{}), made.Load()
		var all sync.WaitGroup
		for range 100 {
			for _, q := range []slice{{}, {queue: "a"}} {
				all.Go(func() {
					if a := ask(next, q); a != ask(next, q) {
						t.Error("another answer to the same question")
					}
				})
			}
		}
		all.Wait()
		if n := made.Load() - before; n != 2 {
			t.Errorf("%d renderings of two questions", n)
		}
	}
	next := make(chan struct{})
	for n := range 2 * maxRenderings {
		ask(next, slice{since: int64(n)})
	}
	if len(r.kept) > maxRenderings {
		t.Errorf("%d are kept", len(r.kept))
	}
}
