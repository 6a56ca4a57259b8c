package webhook

import (
	"math/rand/v2"
	"testing"
)

// The mark is behind everything that is on its way, and behind nothing else.
func TestMarkIsTheEarliestOnItsWay(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var w window
	open := make(map[uint64]bool)
	last := uint64(0)
	for range 20_000 {
		switch n := random.IntN(10); {
		case n < 3:
			last++
			w.pass(last)
		case n < 6 && w.room():
			last++
			open[last] = true
			w.add(last, 100)
		default:
			for seq := range open {
				delete(open, seq)
				w.done(seq)
				break
			}
		}
		want := last
		for seq := range open {
			want = min(want, seq-1)
		}
		if w.mark != want {
			t.Fatalf("mark %d, want %d: %v", w.mark, want, w.items)
		}
	}
	for seq := range open {
		w.done(seq)
	}
	if w.mark != last || w.bytes != 0 || len(w.items) != 0 {
		t.Errorf("mark %d of %d, %d bytes", w.mark, last, w.bytes)
	}
}

func TestThereIsAlwaysRoomForOne(t *testing.T) {
	t.Parallel()
	var w window
	w.add(1, 2*bytesOnTheWay)
	if w.room() {
		t.Error("room beside one that is too large")
	}
	w.done(1)
	if !w.room() {
		t.Error("no room")
	}
}
