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
		if w.open != len(open) || w.bytes != 100*len(open) || len(w.items) > 2*len(open) {
			t.Fatalf("%d items, %d open with %d bytes, of %d", len(w.items), w.open, w.bytes, len(open))
		}
	}
	for seq := range open {
		w.done(seq)
	}
	if w.mark != last || w.open != 0 || w.bytes != 0 || len(w.items) != 0 {
		t.Errorf("mark %d of %d, %d bytes", w.mark, last, w.bytes)
	}
}

// What is not on its way takes no room and no memory, however much of it there is behind one that is.
func TestOnlyWhatIsOnItsWayTakesRoom(t *testing.T) {
	t.Parallel()
	var w window
	w.add(1, 100)
	for seq := uint64(2); seq < 10_000; seq++ {
		if !w.room() {
			t.Fatalf("no room for %d, and only the first is on its way", seq)
		}
		if seq%3 == 0 {
			w.pass(seq)
			w.pass(seq) // as when nothing has come since
			continue
		}
		w.add(seq, bytesOnTheWay/1000)
		w.done(seq)
	}
	if w.mark != 0 || w.bytes != 100 || len(w.items) != 2 {
		t.Errorf("mark %d, %d bytes, %v", w.mark, w.bytes, w.items)
	}
	w.done(1)
	if w.mark != 9999 || w.bytes != 0 || len(w.items) != 0 {
		t.Errorf("mark %d, %d bytes, %v", w.mark, w.bytes, w.items)
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
