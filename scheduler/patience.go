package scheduler

import (
	"time"

	"tallyman/contract"
)

// runName tells runs apart.
type runName struct {
	job string
	run int
}

// patience is what the relay remembers of a run that it has tried to help. It is only a memory: another
// leader begins without it and sends a little earlier, which the claim forgives.
type patience struct {
	helped   int       // how often; each time it waits twice as long
	next     time.Time // it is not sent before
	end      time.Time // it is not ended before, again
	hopeless bool      // its task is gone or nobody can send it
}

const (
	waitMost  = time.Hour
	waitAfter = 10 * time.Second // when SQS was away
)

// lengthen puts the next try off, twice as long each time.
func (p *patience) lengthen(now time.Time, first time.Duration) {
	p.next = now.Add(min(first<<min(p.helped, 10), waitMost))
	p.helped++
}

// patiences is the memory of all runs that need attention.
type patiences map[runName]*patience

func (ps patiences) of(it *contract.AttentionItem) *patience {
	name := runName{it.JobID, it.Run}
	if ps[name] == nil {
		ps[name] = &patience{}
	}
	return ps[name]
}

// keep forgets every run that needs attention no more.
func (ps patiences) keep(lists ...[]contract.AttentionItem) {
	still := make(map[runName]bool)
	for _, list := range lists {
		for i := range list {
			still[runName{list[i].JobID, list[i].Run}] = true
		}
	}
	for name := range ps {
		if !still[name] {
			delete(ps, name)
		}
	}
}
