package contract

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestNatureOf puts every byte at every place of the eight that are looked at together, and behind them.
func TestNatureOf(t *testing.T) {
	t.Parallel()
	for length := range 20 {
		if ascii, plain := natureOf(strings.Repeat("x", length)); !ascii || !plain {
			t.Errorf("%d letters: ascii %v, plain %v", length, ascii, plain)
		}
		for at := range length {
			for c := range 256 {
				b := []byte(strings.Repeat("~", length))
				b[at] = byte(c)
				ascii, plain := natureOf(string(b))
				if ascii != (c < utf8.RuneSelf) || plain != (c >= ' ' && c != '\\') {
					t.Fatalf("byte %#x at %d of %d: ascii %v, plain %v", c, at, length, ascii, plain)
				}
			}
		}
	}
}

// TestPlainIsOnlyQuicker reads every vector both ways: the short way must see what the long way sees.
func TestPlainIsOnlyQuicker(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, v := range vectorsOf(t, "", "valid", "tolerated", "invalid", "malformed") {
		text := string(v.bytes)
		if _, plain := natureOf(text); !plain {
			continue
		}
		compared++
		quick, long := object{prefix: "data."}, object{prefix: "data."}
		var quickOuter, longOuter object
		a, b := quickOuter.split(text, true, &quick), longOuter.split(text, false, &long)
		if (a == nil) != (b == nil) || a != nil && a.Error() != b.Error() {
			t.Errorf("%s: %v, and the long way %v", v.name, a, b)
			continue
		}
		for _, pair := range [][2]*object{{&quickOuter, &longOuter}, {&quick, &long}} {
			if !slices.Equal(pair[0].fields, pair[1].fields) {
				t.Errorf("%s: %v, and the long way %v", v.name, pair[0].fields, pair[1].fields)
			}
		}
	}
	if compared < 50 {
		t.Errorf("only %d vectors are plain", compared)
	}
}

// TestEventInOrderIsOnlyQuicker reads every vector of an event both ways, and what was encoded again: that must
// be read the quick way, or nothing on the stream is.
func TestEventInOrderIsOnlyQuicker(t *testing.T) {
	t.Parallel()
	whole := func(text string) (e Event, err error) {
		o, d := object{}, object{prefix: "data."}
		if err := o.split(text, false, &d); err != nil {
			return e, err
		}
		if err := e.read(&o, &d); err != nil {
			return Event{}, err
		}
		return e, nil
	}
	compare := func(name, text string) (quick bool) {
		e, quick := eventInOrder(text)
		if !quick {
			return false
		}
		if want, err := whole(text); err != nil || !reflect.DeepEqual(e, want) {
			t.Errorf("%s: read in order %+v\nas a whole %+v, %v", name, e, want, err)
		}
		return true
	}
	quick := 0
	for _, v := range vectorsOf(t, "", "valid", "tolerated", "invalid", "malformed") {
		if _, plain := natureOf(string(v.bytes)); plain {
			compare(v.name, string(v.bytes))
		}
		e, err := DecodeEvent(v.bytes)
		if err != nil {
			continue
		}
		again, err := e.Encode()
		if err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		if _, plain := natureOf(string(again)); !plain {
			continue
		}
		quick++
		if !compare(v.name, string(again)) {
			t.Errorf("%s: not read in order: %s", v.name, again)
		}
		for cut := range again[:min(len(again), 4096)] { // what is broken anywhere is never taken for whole
			if compare(v.name, string(again[:cut])) {
				t.Errorf("%s: cut at %d and taken: %s", v.name, cut, again[:cut])
			}
		}
	}
	if quick < 50 {
		t.Errorf("only %d were read in order", quick)
	}
}
