package aggregator

import "tallyman/contract"

// attention lists the jobs that somebody may have to send again: those that wait longest to be sent,
// and those that wait longest to be claimed.
func (l *ledger) attention() contract.Attention {
	a := contract.Attention{V: documentVersion, AsOf: l.asOf()}
	var more [2]int
	a.Accepted, more[0] = l.waitingIn(contract.StateAccepted)
	a.Queued, more[1] = l.waitingIn(contract.StateQueued)
	a.More = more[0] + more[1]
	return a
}

// waitingIn lists the jobs that are in a state for longest, and how many there are beyond the bound.
func (l *ledger) waitingIn(s contract.State) (items []contract.AttentionItem, more int) {
	o, live := l.orderOf(s)
	oldest := o.oldest(contract.MaxAttention, l.holds(s))
	items = make([]contract.AttentionItem, 0, len(oldest))
	for _, e := range oldest {
		l.jobs[e.id].unpack(&l.probe)
		r := l.probe.highest()
		items = append(items, contract.AttentionItem{
			JobID: e.id.String(), Run: r.number, Queue: l.queues.list[l.probe.queue], Type: l.types.list[l.probe.kind],
			Since: contract.AtMilli(e.at), TaskSeq: r.task,
		})
	}
	return items, int(live) - len(items)
}
