package aggregator

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"tallyman/contract"
)

// The ids of units' facts are kept for a time and up to a number; beyond it those go first that were not said for
// longest. What a processor says of itself it says at once, and again within the stream's own window at most. A
// claim-failed is said by the bridge, and by every new bridge and leader of them again for as long as
// Kubernetes lists the pod: until its Kubernetes Job is over, by default within 4 hours, and for ttlSecondsAfterFinished,
// an hour, after that. Its time cannot tell that it is an old one: of a pod that the kubelet refused nobody
// knows when, so it is the time at which it is said, and a bridge that was away says old ones for the first time.
const (
	maxUnitFacts     = 1024
	maxClaimFailures = 2048
	claimFailedKept  = 48 * time.Hour // since it was said last
)

// unitFacts counts the facts that belong to no job, each once by its id. There is no document to keep
// such an id in, so the checkpoint does.
type unitFacts struct {
	said, failed recentFacts
}

// recentFacts are in the order in which they were said last, so by time too.
type recentFacts []unitFact

type unitFact struct {
	at int64  // the latest event time when it was said
	id uint64 // a hash
}

// count tells whether the fact is to be counted: its id was not seen yet. now is the latest event time.
func (u *unitFacts) count(e *contract.Event, now int64) bool {
	h := fnv.New64a()
	_, _ = h.Write([]byte(e.ID())) // a hash takes everything
	if e.Kind == contract.ClaimFailed {
		return u.failed.say(unitFact{now, h.Sum64()}, maxClaimFailures)
	}
	return u.said.say(unitFact{now, h.Sum64()}, maxUnitFacts)
}

// say tells whether a fact is new, and notes that it was said.
func (r *recentFacts) say(f unitFact, most int) bool {
	i := slices.IndexFunc(*r, func(o unitFact) bool { return o.id == f.id })
	switch {
	case i >= 0:
		*r = slices.Delete(*r, i, i+1)
	case len(*r) == most:
		*r = slices.Delete(*r, 0, 1)
	}
	*r = append(*r, f)
	return i < 0
}

// forget drops what was said too long ago to be said again.
func (u *unitFacts) forget(now, window int64) {
	u.said.forget(now - window)
	u.failed.forget(now - claimFailedKept.Milliseconds())
}

func (r *recentFacts) forget(before int64) {
	old := 0
	for old < len(*r) && (*r)[old].at < before {
		old++
	}
	if old > 0 {
		*r = slices.Delete(*r, 0, old)
	}
}

// wire is the ids that are kept: 8 bytes of time and 8 of hash for each.
func (r recentFacts) wire() []byte {
	b := make([]byte, 0, 16*len(r))
	for _, f := range r {
		b = binary.BigEndian.AppendUint64(b, uint64(f.at))
		b = binary.BigEndian.AppendUint64(b, f.id)
	}
	return b
}

func (r *recentFacts) read(b []byte, most int) error {
	if len(b)%16 != 0 || len(b) > 16*most {
		return fmt.Errorf("%d bytes are no list of ids", len(b))
	}
	*r = nil
	for ; len(b) > 0; b = b[16:] {
		*r = append(*r, unitFact{int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint64(b[8:])})
	}
	return nil
}
