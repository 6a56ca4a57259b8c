package contract

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestNewJobIDSortsByTime(t *testing.T) {
	t.Parallel()
	random := rand.NewChaCha8([32]byte{1})
	now := time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)
	var ids []string
	for range 1000 {
		id, err := NewJobID(now, random)
		if err != nil {
			t.Fatal(err)
		}
		if !ValidJobID(id) || id[14] != '7' || !strings.ContainsRune("89ab", rune(id[19])) {
			t.Fatalf("%s is no UUIDv7", id)
		}
		ids = append(ids, id)
		now = now.Add(time.Millisecond)
	}
	if !slices.IsSorted(ids) {
		t.Error("a later id sorts before an earlier one")
	}
}

func TestNewJobIDOfKnownBytes(t *testing.T) {
	t.Parallel()
	got, err := NewJobID(time.UnixMilli(0x01997d6c5a80), bytes.NewReader(bytes.Repeat([]byte{0xff}, 10)))
	if want := "01997d6c-5a80-7fff-bfff-ffffffffffff"; err != nil || got != want {
		t.Errorf("%s, want %s: %v", got, want, err)
	}
}

func TestNewJobIDWithoutRandomness(t *testing.T) {
	t.Parallel()
	fault := errors.New("no entropy")
	if id, err := NewJobID(time.Now(), iotest.ErrReader(fault)); !errors.Is(err, fault) || id != "" {
		t.Errorf("%q, %v", id, err)
	}
}

// TestDerivedIDsDoNotRunIntoOneAnother: the kind and both lengths are part of what is hashed.
func TestDerivedIDsDoNotRunIntoOneAnother(t *testing.T) {
	t.Parallel()
	tick := time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)
	seen := make(map[string]string)
	for name, id := range map[string]string{
		"foreign a bc": ForeignID("a", "bc"), "foreign ab c": ForeignID("ab", "c"), "foreign '' abc": ForeignID("", "abc"),
		"key a bc": KeyID("a", "bc"), "key ab c": KeyID("ab", "c"), "schedule a bc": ScheduleKeyID("a", "bc"), "tick": TickID("a", tick),
		"tick as a key": KeyID("a", At(tick).String()), "later": TickID("a", tick.Add(time.Millisecond)),
	} {
		if other, ok := seen[id]; ok || !ValidJobID(id) || id[14] != '8' {
			t.Errorf("%s: %s (also %s)", name, id, other)
		}
		seen[id] = name
	}
}

func TestTickIDKnowsNoZone(t *testing.T) {
	t.Parallel()
	tick := time.Date(2026, 11, 21, 16, 0, 0, 999, time.UTC)
	if TickID("s", tick) != TickID("s", tick.In(time.FixedZone("x", 7200)).Truncate(time.Millisecond)) {
		t.Error("one moment, two jobs")
	}
}
