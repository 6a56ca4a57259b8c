package feed

import (
	"slices"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// Filter is what a follower wants to see; an empty list wants all.
type Filter struct {
	Queues, Types []string
	Kinds         []contract.Kind
}

// Wants tells whether an event is wanted. One that nobody can read is not.
func (f *Filter) Wants(st *stream.Stored) bool {
	e := &st.Event
	return st.Fault == nil && among(f.Queues, e.Queue) && among(f.Types, e.Type) && among(f.Kinds, e.Kind)
}

func among[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }
