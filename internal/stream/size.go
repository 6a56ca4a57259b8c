package stream

import "context"

// Size is how much a stream or bucket holds, and was given.
type Size struct {
	Messages uint64 // that it holds
	Bytes    uint64 // of these
	Written  uint64 // messages that it ever took
}

// Size of a stream, or of a bucket by the name of its stream.
func (s *Stream) Size(ctx context.Context, name string) (Size, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	have, err := s.js.Stream(ctx, name)
	if err != nil {
		return Size{}, wrap(err, "look at stream", name)
	}
	state := have.CachedInfo().State
	return Size{Messages: state.Msgs, Bytes: state.Bytes, Written: state.LastSeq}, nil
}
