package feed

import (
	"errors"
	"testing"

	"tallyman/contract"
	"tallyman/internal/stream"
)

func TestFilter(t *testing.T) {
	t.Parallel()
	st := &stream.Stored{Event: contract.Event{Queue: "q", Type: "t", Kind: contract.Failed}}
	for _, c := range []struct {
		f    Filter
		want bool
	}{
		{Filter{}, true},
		{Filter{Queues: []string{"a", "q"}, Types: []string{"t"}, Kinds: []contract.Kind{contract.Failed}}, true},
		{Filter{Queues: []string{"a"}}, false},
		{Filter{Types: []string{"a"}}, false},
		{Filter{Kinds: []contract.Kind{contract.Succeeded}}, false},
	} {
		if got := c.f.Wants(st); got != c.want {
			t.Errorf("%+v: %v", c.f, got)
		}
	}
	if (&Filter{}).Wants(&stream.Stored{Fault: errors.New("no event")}) {
		t.Error("what nobody can read was wanted")
	}
}
