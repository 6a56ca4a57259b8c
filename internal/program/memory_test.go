package program

import "testing"

func TestOwnShare(t *testing.T) {
	t.Parallel()
	for limit, want := range map[string]int64{
		"1073741824\n": 966367638, "max\n": 0, "9223372036854771712\n": 0, "": 0, "-1": 0, "0": 0,
	} {
		if got, ok := ownShare(limit); got != want || ok != (want > 0) {
			t.Errorf("%q: %d, %v, want %d", limit, got, ok, want)
		}
	}
}
