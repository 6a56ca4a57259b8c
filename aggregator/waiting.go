package aggregator

import (
	"cmp"
	"slices"

	"tallyman/contract"
)

// waitingIn is the jobs of one state that wait, an order for each queue, so that the backlog of one queue hides
// no job of another.
type waitingIn struct {
	state  contract.State
	place  func(jobID) place // where a job is now
	queues []waitingQueue    // by the queue's number
}

type waitingQueue struct {
	order
	live  int64 // how many of its entries hold
	holds func(entry) bool
}

func (w *waitingIn) of(queue uint32) *waitingQueue {
	for n := uint32(len(w.queues)); n <= queue; n++ {
		holds := func(e entry) bool {
			is := w.place(e.id)
			return is.state == w.state && is.since == e.at && is.queue == n
		}
		w.queues = append(w.queues, waitingQueue{newOrder(), 0, holds})
	}
	return &w.queues[queue]
}

// move takes note of a job that came to wait, waits no longer, or waits since another time or in another queue.
func (w *waitingIn) move(id jobID, was, is *place) {
	before, now := was.state == w.state, is.state == w.state
	if before {
		w.of(was.queue).live--
	}
	if !now {
		return
	}
	q := w.of(is.queue)
	q.live++
	if !before || was.since != is.since || was.queue != is.queue {
		q.push(entry{is.since, id}, q.live, q.holds)
	}
}

// oldest lists up to most jobs, the oldest first: of each queue that has any at least its share, and what others
// leave goes to the queues in turn.
func (w *waitingIn) oldest(most int) (list []entry, more int) {
	var live []uint32
	all := 0
	for i := range w.queues {
		if n := w.queues[i].live; n > 0 {
			live = append(live, uint32(i))
			all += int(n)
		}
	}
	// Who has least comes first, so that what it leaves of its share is there for the others.
	slices.SortFunc(live, func(a, b uint32) int { return cmp.Compare(w.queues[a].live, w.queues[b].live) })
	for i, queue := range live {
		share := max(1, (most-len(list))/(len(live)-i))
		if len(list) < most {
			q := &w.queues[queue]
			list = append(list, q.oldest(share, q.holds)...)
		}
	}
	slices.SortFunc(list, func(a, b entry) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	return list, all - len(list)
}
