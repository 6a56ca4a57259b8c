package contract

import (
	"encoding/json"
	"testing"
)

func TestHasLoneSurrogate(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		`""`: false, `"\u0041"`: false, `"\uFFFD"`: false, `"\ud83d\ude00"`: false, `"\uD83D\uDE00x"`: false,
		`"\\ud800"`: false, `"\\\\ud800"`: false, `"\"\\"`: false, `"\ud83d\ude00\ud83d\ude00"`: false,
		`"\ud800"`: true, `"\udc00"`: true, `"\udc00\ud800"`: true, `"\ud800\ud800\udc00"`: true, `"\ud800\u0041"`: true,
		`"\ud800\n"`: true, `"\ud800\\udc00"`: true, `"\\\ud800"`: true, `"\ud800\ufffd"`: true, `"\ufffd\ud800"`: true,
		`"\ud83d\ude00\ude00"`: true, `"\ud800 \udc00"`: true,
	} {
		if got := hasLoneSurrogate(s); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
}

// TestScannerAgreesWithEncodingJSON asks about every text of up to four bytes that matter to syntax.
func TestScannerAgreesWithEncodingJSON(t *testing.T) {
	t.Parallel()
	alphabet := []byte("{}[]:,\"\\ -+.0e1t\x00u\n")
	var text []byte
	var try func(more int)
	try = func(more int) {
		s := scanner{b: string(text)}
		s.space()
		s.value(nil, nil)
		s.end()
		if accepted := s.err == nil; accepted != json.Valid(text) {
			t.Errorf("%q: accepted %v", text, accepted)
		}
		for _, c := range alphabet {
			if more > 0 {
				text = append(text, c)
				try(more - 1)
				text = text[:len(text)-1]
			}
		}
	}
	try(4)
}
