package api

import "tallyman/internal/stream"

// storedOf is an event of a size, which nobody reads.
func storedOf(seq uint64, size int) stream.Stored {
	return stream.Stored{Seq: seq, Raw: make([]byte, size)}
}
