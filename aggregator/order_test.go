package aggregator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// Against a plain sorted list: who waits longest, while jobs come, move and leave.
func TestOrderListsTheOldest(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 5))
	o, where := newOrder(), make(map[jobID]int64)
	holds := func(e entry) bool { return where[e.id] == e.at }
	for step := range 20_000 {
		id := jobID{byte(rng.IntN(256)), byte(rng.IntN(4))}
		if rng.IntN(3) == 0 {
			delete(where, id)
		} else if at := 1 + rng.Int64N(500); where[id] != at {
			where[id] = at
			o.push(entry{at, id}, int64(len(where)), holds)
		}
		if step%500 != 0 {
			continue
		}
		var want []entry
		for id, at := range where {
			want = append(want, entry{at, id})
		}
		slices.SortFunc(want, func(a, b entry) int {
			if a.before(b) {
				return -1
			}
			return 1
		})
		n := rng.IntN(300)
		want = want[:min(n, len(want))]
		if got := o.oldest(n, holds); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("step %d: the oldest %d:\n%v\nwant\n%v", step, n, got, want)
		}
		if e, ok := o.top(holds); n > 0 && (ok != (len(want) > 0) || ok && e != want[0]) {
			t.Fatalf("step %d: top %v %v", step, e, ok)
		}
		if len(o.heap.items) > 2*len(where)+1025 {
			t.Fatalf("step %d: %d entries for %d jobs", step, len(o.heap.items), len(where))
		}
	}
}
