package aggregator

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// told is the past as a reader takes it.
func told(t testing.TB, entries []stream.Entry) map[string]string {
	t.Helper()
	var s contract.Stats
	var books []contract.Book
	for _, e := range entries {
		into := any(&s)
		if e.Key != contract.KeyStats {
			books = append(books, contract.Book{})
			into = &books[len(books)-1]
		}
		if err := json.Unmarshal(e.Value, into); err != nil {
			t.Fatal(err)
		}
	}
	v := showBooks(books, &s.Kept)
	v[contract.KeyStats] = string(entries[len(entries)-1].Value)
	return v
}

// The books of any past moment are those that the aggregator had then.
func TestThePastIsWhatItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	last := w.publish(story(t, 21, 300))
	past := &Past{Events: w.stream}
	l := newLedger(testRules)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stored []time.Time
	err := w.stream.Follow(ctx, 0, func(e stream.Stored) error {
		l.fold(e.Seq, e.At, &e.Event)
		stored = append(stored, e.At)
		if e.Seq%97 == 1 || e.Seq == last {
			got, err := past.At(ctx, e.Seq, time.Time{})
			if err != nil {
				return err
			}
			kept := contract.KeptAt(l.horizon)
			want := showBooks(allBooks(l), &kept)
			want[contract.KeyStats] = view(t, l)[contract.KeyStats]
			if d := cmp.Diff(want, told(t, got)); d != "" {
				t.Errorf("at %d:\n%s", e.Seq, d)
			}
		}
		if e.Seq == last {
			cancel()
		}
		return nil
	})
	if ctx.Err() == nil {
		t.Fatal(err)
	}
	asOf := func(at time.Time) uint64 {
		entries, err := past.At(t.Context(), 0, at)
		if err != nil {
			t.Fatal(err)
		}
		var s contract.Stats
		if err := json.Unmarshal(entries[len(entries)-1].Value, &s); err != nil {
			t.Fatal(err)
		}
		return s.AsOf.Seq
	}
	middle := stored[len(stored)/2]
	got := asOf(middle)
	if stored[got-1].After(middle) || got < last && !stored[got].After(middle) {
		t.Errorf("by time: as of %d", got)
	}
	if n := asOf(stored[0].Add(-time.Second)); n != 0 {
		t.Errorf("before the first event: as of %d", n)
	}
	if n := asOf(time.Now().Add(time.Hour)); n != last {
		t.Errorf("now: as of %d of %d", n, last)
	}
}

// begun is a stream that has lost its first events.
type begun struct {
	Events
	first uint64
}

func (b begun) Info(ctx context.Context) (stream.Info, error) {
	i, err := b.Events.Info(ctx)
	i.First = b.first
	return i, err
}

func TestThePastSaysWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := (&Past{Events: w.stream}).At(t.Context(), 0, time.Now()); err != nil {
		t.Errorf("of an empty log: %v", err)
	}
	last := w.publish(story(t, 22, 30))
	for name, c := range map[string]struct {
		past Past
		seq  uint64
		says string
	}{
		"the future":      {Past{Events: w.stream}, last + 1, "has come to"},
		"too many":        {Past{Events: w.stream, Most: 10}, 11, "more than 10 events"},
		"too many, later": {Past{Events: w.stream, Most: 10}, 0, "more than 10 events"},
		"trimmed":         {Past{Events: begun{w.stream, 7}}, 9, "begins at 7"},
	} {
		_, err := c.past.At(t.Context(), c.seq, time.Now())
		if contract.CodeOf(err) != contract.CodeInvalidValue || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&Past{Events: w.stream}).At(ctx, last, time.Time{}); err == nil {
		t.Error("it went on though nobody waits")
	}
}
