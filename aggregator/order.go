package aggregator

import (
	"bytes"
	"cmp"
)

// order keeps jobs by a time, the oldest first. Nothing is taken out when a job moves on: whoever reads
// asks of each entry whether it still holds, and the stale ones are dropped when they come to the top,
// or all at once when they are the most.
type order struct {
	heap heap[entry]
}

type entry struct {
	at int64
	id jobID
}

func (e entry) before(o entry) bool {
	return cmp.Or(cmp.Compare(e.at, o.at), bytes.Compare(e.id[:], o.id[:])) < 0
}

func newOrder() order { return order{heap[entry]{less: entry.before}} }

// push adds an entry. live is how many entries hold; when there are as many stale ones, they are swept.
func (o *order) push(e entry, live int64, holds func(entry) bool) {
	if int64(len(o.heap.items)) > 2*live+1024 {
		o.sweep(holds)
	}
	o.heap.push(e)
}

// top is the oldest entry that holds.
func (o *order) top(holds func(entry) bool) (entry, bool) {
	for len(o.heap.items) > 0 {
		if holds(o.heap.items[0]) {
			return o.heap.items[0], true
		}
		o.heap.pop()
	}
	return entry{}, false
}

// sweep drops every entry that no longer holds.
func (o *order) sweep(holds func(entry) bool) {
	kept := o.heap.items[:0]
	for _, e := range o.heap.items {
		if holds(e) {
			kept = append(kept, e)
		}
	}
	o.heap.items = kept
	for i := len(kept)/2 - 1; i >= 0; i-- {
		o.heap.down(i)
	}
}

// oldest lists up to n entries that hold, oldest first, and takes none out: it walks down from the top
// by a small heap of places, so it costs as much as it finds.
func (o *order) oldest(n int, holds func(entry) bool) []entry {
	o.top(holds) // drops what is stale at the top, lest every listing walk over it
	items := o.heap.items
	walk := heap[int]{less: func(a, b int) bool { return items[a].before(items[b]) }}
	visit := func(i int) {
		if i < len(items) {
			walk.push(i)
		}
	}
	var found []entry
	for visit(0); len(found) < n && len(walk.items) > 0; {
		i := walk.pop()
		visit(2*i + 1)
		visit(2*i + 2)
		if twice := len(found) > 0 && found[len(found)-1] == items[i]; !twice && holds(items[i]) {
			found = append(found, items[i])
		}
	}
	return found
}

// heap is a binary heap; its least item stands first.
type heap[T any] struct {
	items []T
	less  func(T, T) bool
}

func (h *heap[T]) push(item T) {
	h.items = append(h.items, item)
	for i := len(h.items) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.less(h.items[i], h.items[up]) {
			return
		}
		h.items[up], h.items[i] = h.items[i], h.items[up]
		i = up
	}
}

func (h *heap[T]) pop() T {
	least, last := h.items[0], len(h.items)-1
	h.items[0] = h.items[last]
	h.items = h.items[:last]
	h.down(0)
	return least
}

func (h *heap[T]) down(i int) {
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(h.items); c++ {
			if h.less(h.items[c], h.items[least]) {
				least = c
			}
		}
		if least == i {
			return
		}
		h.items[i], h.items[least] = h.items[least], h.items[i]
		i = least
	}
}
