package stream_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

func TestPageIsWhatFollowGives(t *testing.T) {
	t.Parallel()
	s := testenv.NATS(t)
	if events, err := s.Page(t.Context(), 0, 10); err != nil || len(events) > 0 {
		t.Fatalf("an empty stream: %v, %v", events, err)
	}
	began := time.Now()
	if _, err := s.Since(t.Context(), began); !errors.Is(err, stream.ErrNotFound) {
		t.Errorf("an empty stream: %v", err)
	}
	const all = stream.MaxPage + 5
	for n := range all {
		if _, err := s.Publish(t.Context(), event(t, n)); err != nil {
			t.Fatal(err)
		}
	}
	enough := errors.New("enough")
	var want []stream.Stored
	if err := s.Follow(t.Context(), 1, func(st stream.Stored) error {
		st.At = st.At.UTC()
		if want = append(want, st); st.Pending == 0 {
			return enough
		}
		return nil
	}); !errors.Is(err, enough) {
		t.Fatal(err)
	}
	var got []stream.Stored
	for _, size := range []int{3, stream.MaxPage, stream.MaxPage, stream.MaxPage, 100, 100} { // less than asked for, then nothing
		events, err := s.Page(t.Context(), uint64(len(got)+1), size)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, events...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if seq, err := s.Since(t.Context(), got[500].At); err != nil || seq != 501 {
		t.Errorf("sequence %d, %v", seq, err)
	}
	if seq, err := s.Since(t.Context(), began.Add(-time.Hour)); err != nil || seq != 1 {
		t.Errorf("sequence %d, %v", seq, err)
	}
	if _, err := s.Since(t.Context(), time.Now().Add(time.Hour)); !errors.Is(err, stream.ErrNotFound) {
		t.Errorf("the future: %v", err)
	}
}

// An event is made of its message's own bytes, however it is read: who keeps it keeps them once.
func TestAnEventIsKeptOnce(t *testing.T) {
	t.Parallel()
	s := testenv.NATS(t)
	e := event(t, 1)
	if _, err := s.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	page, err := s.Page(t.Context(), 1, 1)
	if err != nil || len(page) != 1 {
		t.Fatalf("%v, %v", page, err)
	}
	kind, err := s.PageOf(t.Context(), e.Kind, 1, 1)
	if err != nil || len(kind) != 1 {
		t.Fatalf("%v, %v", kind, err)
	}
	one, err := s.Event(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]stream.Stored{"a page": page[0], "a page of a kind": kind[0], "one alone": one}
	if err := s.Read(t.Context(), 1, func(st stream.Stored) error { read["all of them"] = st; return nil }); err != nil {
		t.Fatal(err)
	}
	for how, st := range read {
		if st.Event.JobID != e.JobID || !within(st.Raw, st.Event.JobID) {
			t.Errorf("read as %s, the event keeps a copy of its bytes", how)
		}
	}
}

// within tells whether a text is a part of b.
func within(b []byte, text string) bool {
	begin, at := uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(unsafe.Pointer(unsafe.StringData(text)))
	return at >= begin && at+uintptr(len(text)) <= begin+uintptr(len(b))
}

// A page of one kind jumps over all others, and begins where it is asked to.
func TestPageOfOneKind(t *testing.T) {
	t.Parallel()
	s := testenv.NATS(t)
	for n := range 6 {
		e := event(t, n)
		if n%2 == 1 {
			e.Kind, e.Task, e.Reason = contract.Failed, nil, contract.Lost
		}
		if _, err := s.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for from, want := range map[uint64][]uint64{0: {2, 4}, 3: {4, 6}, 5: {6}, 7: nil} {
		page, err := s.PageOf(t.Context(), contract.Failed, from, 2)
		if err != nil {
			t.Fatal(err)
		}
		var got []uint64
		for _, st := range page {
			got = append(got, st.Seq)
		}
		if !slices.Equal(got, want) {
			t.Errorf("from %d: %v, want %v", from, got, want)
		}
	}
}

// A page has few large events, and one at least: many readers keep a page each.
func TestPageIsBoundInBytes(t *testing.T) {
	t.Parallel()
	s := testenv.NATS(t)
	const all, each = 20, contract.MaxResultBytes - 2
	result := []byte(`"` + strings.Repeat("x", each) + `"`)
	for n := range all {
		e := event(t, n)
		e.Kind, e.Task, e.Attempt, e.Result = contract.Succeeded, nil, 1, result
		if _, err := s.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for from := uint64(1); from <= all; {
		page, err := s.Page(t.Context(), from, stream.MaxPage)
		if err != nil || len(page) == 0 {
			t.Fatalf("from %d: %d events, %v", from, len(page), err)
		}
		bytes := 0
		for _, st := range page[:len(page)-1] {
			bytes += len(st.Raw)
		}
		if bytes >= stream.PageBytes {
			t.Errorf("from %d: %d bytes before the last of %d events", from, bytes, len(page))
		}
		from += uint64(len(page))
	}
}
