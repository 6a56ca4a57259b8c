package api

import (
	"fmt"
	"testing"

	"tallyman/internal/stream"
)

// storedOf is an event of a size, which nobody reads.
func storedOf(seq uint64, size int) stream.Stored {
	return stream.Stored{Seq: seq, Raw: make([]byte, size)}
}

func TestFeedForgetsTheOldest(t *testing.T) {
	t.Parallel()
	f := newFeed()
	f.begin(10)
	for seq := uint64(11); seq <= 10+feedEvents+5; seq++ {
		f.add(storedOf(seq, 10))
	}
	if f.held(14) || !f.held(15) {
		t.Errorf("floor %d", f.floor)
	}
	events, _, err := f.after(20)
	if err != nil || len(events) != feedTake || events[0].Seq != 21 {
		t.Errorf("%d events, %v", len(events), err)
	}
	for seq := uint64(20_000); seq < 20_040; seq++ {
		f.add(storedOf(seq, feedBytes/20))
	}
	if f.bytes > feedBytes || len(f.ring) > 20 {
		t.Errorf("%d bytes of %d events", f.bytes, len(f.ring))
	}
	if _, _, err := f.after(20_000); err == nil {
		t.Error("a position that is long gone was held")
	}
	if events, _, err := f.after(20_039); err != nil || len(events) > 0 {
		t.Errorf("%d events, %v", len(events), fmt.Sprint(err))
	}
}
