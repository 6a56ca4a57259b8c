package contract

import (
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
			if pair[0].count != pair[1].count {
				t.Fatalf("%s: %d fields, and the long way %d", v.name, pair[0].count, pair[1].count)
			}
			for i := range pair[0].count {
				if pair[0].at(i) != pair[1].at(i) {
					t.Errorf("%s: %v, and the long way %v", v.name, pair[0].at(i), pair[1].at(i))
				}
			}
		}
	}
	if compared < 50 {
		t.Errorf("only %d vectors are plain", compared)
	}
}
