package aggregator

import "tallyman/contract"

// stats is what the ledger adds up to, as others read it.
func (l *ledger) stats() contract.Stats {
	s := contract.Stats{
		AsOf: l.asOf(), Balance: l.balance, Kept: l.kept(),
		ByQueue: l.books.by(func(k *book) string { return k.queue }), ByType: l.books.by(func(k *book) string { return k.typ }),
	}
	l.books.total.Show(&s)
	s.Balance.Orphans = int(l.books.total.Sums[contract.CellOrphans])
	s.Balance.Off += l.crossed()
	s.Balanced = s.Balance.Orphans == 0 && s.Balance.Off == 0 && !s.Balance.Gap
	return s
}

// kept is how far back windows and documents reach. Each event retires a few jobs at most, so where many are
// due at once it is the oldest of those that are still there.
func (l *ledger) kept() contract.Kept {
	k := contract.KeptAt(l.horizon)
	if l.horizon == 0 {
		return k
	}
	since := l.floor
	if oldest, ok := l.ended.top(l.over); ok {
		since = min(since, oldest.at)
	}
	k.Jobs = contract.AtMilli(max(1, since))
	return k
}

// crossed is the cheap check of every commit: every job is counted once, in total as by queue and type.
func (l *ledger) crossed() int {
	off := l.books.crossed()
	if l.books.total.Sums.Jobs() != int64(len(l.jobs))+l.books.gone() {
		off++
	}
	return off
}

func (l *ledger) asOf() contract.AsOf { return contract.AsOf{Seq: l.seq, Time: contract.AtMilli(l.at)} }
