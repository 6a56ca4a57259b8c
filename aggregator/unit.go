package aggregator

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"

	"tallyman/contract"
)

// maxUnitFacts bounds the ids that are kept of units' facts; beyond it the oldest go first.
const maxUnitFacts = 1024

// unitFacts counts the facts that belong to no job, each once by its id. There is no document to keep
// such an id in, so the checkpoint does, and only for a window of event time: the stream itself drops a
// repeat within its own window, and nobody says a unit's fact again after that.
type unitFacts struct {
	seen []unitFact // in the order in which they were counted, so by time too
}

type unitFact struct {
	at int64  // the latest event time when it was counted
	id uint64 // a hash
}

// count tells whether the fact is to be counted: its id was not seen yet. now is the latest event time; what was counted before
// now less the window is forgotten.
func (u *unitFacts) count(e *contract.Event, now, window int64) bool {
	h := fnv.New64a()
	_, _ = h.Write([]byte(e.ID())) // a hash takes everything
	id := h.Sum64()
	if slices.ContainsFunc(u.seen, func(s unitFact) bool { return s.id == id }) {
		return false
	}
	u.seen = append(u.seen, unitFact{now, id})
	old := max(0, len(u.seen)-maxUnitFacts)
	for u.seen[old].at < now-window {
		old++
	}
	u.seen = slices.Delete(u.seen, 0, old)
	return true
}

// wire is the ids that are kept: 8 bytes of time and 8 of hash for each.
func (u *unitFacts) wire() []byte {
	b := make([]byte, 0, 16*len(u.seen))
	for _, f := range u.seen {
		b = binary.BigEndian.AppendUint64(b, uint64(f.at))
		b = binary.BigEndian.AppendUint64(b, f.id)
	}
	return b
}

func (u *unitFacts) read(b []byte) error {
	if len(b)%16 != 0 || len(b) > 16*maxUnitFacts {
		return fmt.Errorf("%d bytes are no list of ids", len(b))
	}
	u.seen = nil
	for ; len(b) > 0; b = b[16:] {
		u.seen = append(u.seen, unitFact{int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint64(b[8:])})
	}
	return nil
}
