package aggregator

import "tallyman/contract"

// attention lists the jobs that somebody may have to send again: those that wait longest to be sent,
// and those that wait longest to be claimed.
func (l *ledger) attention() contract.Attention {
	a := contract.Attention{V: documentVersion, AsOf: l.asOf()}
	var more [2]int
	a.Accepted, more[0] = l.listed(&l.accepted)
	a.Queued, more[1] = l.listed(&l.queued)
	a.More = more[0] + more[1]
	return a
}

// listed lists the jobs that wait for longest, and how many there are beyond the bound.
func (l *ledger) listed(w *waitingIn) (items []contract.AttentionItem, more int) {
	oldest, more := w.oldest(contract.MaxAttention)
	items = make([]contract.AttentionItem, 0, len(oldest))
	for _, e := range oldest {
		l.jobs[e.id].unpack(&l.probe)
		r := l.probe.highest()
		items = append(items, contract.AttentionItem{
			JobID: e.id.String(), Run: r.number, Queue: l.queues.list[l.probe.queue], Type: l.types.list[l.probe.kind],
			Since: contract.AtMilli(e.at), TaskSeq: r.task,
		})
	}
	return items, more
}
