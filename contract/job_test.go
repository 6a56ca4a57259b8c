package contract

import "testing"

func TestStates(t *testing.T) {
	t.Parallel()
	ended := 0
	for _, s := range States() {
		if !s.Known() {
			t.Errorf("%s is not known", s)
		}
		if s.Ended() {
			ended++
			if k := Outcome(s).Kind(); !k.Ends() {
				t.Errorf("no event ends a job as %s", s)
			}
		}
	}
	if State("done").Known() || State("").Known() || ended != 3 {
		t.Errorf("%d states are ends", ended)
	}
}
