package contract

import "testing"

func TestHasLoneSurrogate(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		`""`: false, `"\u0041"`: false, `"\uFFFD"`: false, `"\ud83d\ude00"`: false, `"\uD83D\uDE00x"`: false,
		`"\\ud800"`: false, `"\\\\ud800"`: false, `"\"\\"`: false, `"\ud83d\ude00\ud83d\ude00"`: false,
		`"\ud800"`: true, `"\udc00"`: true, `"\udc00\ud800"`: true, `"\ud800\ud800\udc00"`: true, `"\ud800\u0041"`: true,
		`"\ud800\n"`: true, `"\ud800\\udc00"`: true, `"\\\ud800"`: true, `"\ud800\ufffd"`: true, `"\ufffd\ud800"`: true,
		`"\ud83d\ude00\ude00"`: true, `"\ud800 \udc00"`: true,
	} {
		if got := hasLoneSurrogate([]byte(s)); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
}

func TestDepth(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{
		``: 0, `1`: 0, `{}`: 1, `[[]]`: 2, `[{"a":[]}]`: 3, `["[[["]`: 1, `["\"[[["]`: 1, `["\\",[]]`: 2, `[][][]`: 1,
		`]]]]`: 0, `"`: 0, `"\`: 0, `["\`: 1, `[[[`: 3, `]]][[`: 0, `"[`: 0,
	} {
		if got := depth([]byte(s)); got != want {
			t.Errorf("%s: %d, want %d", s, got, want)
		}
	}
}
