package aggregator

// A gap is sequences for which the stream has no event and that this ledger has never folded. NATS cannot tell
// why: a stream whose first message could not be written, and one whose first message was stored, acknowledged
// and trimmed before anybody read it, look the same to the last number (a full disk burns sequence 1). So every
// gap unbalances the ledger, until a person who knows says that nothing was in it.

// gap records that the events of from to to were not there to be folded.
func (l *ledger) gap(from, to uint64) {
	b := &l.balance
	from = max(from, b.GapTo+1) // what was recorded when the ledger was loaded is met again when it is folded
	if from > to {
		return
	}
	if b.GapAt == 0 {
		b.GapAt = from
	}
	b.GapTo = to
	b.Missing += to - from + 1
	l.judgeGap()
}

// judgeGap decides whether what is missing unbalances the ledger.
func (l *ledger) judgeGap() {
	b := &l.balance
	if b.GapAt == 0 {
		return
	}
	if b.GapTo == 0 { // an older version wrote down where a gap began, and no more
		b.GapTo = max(l.seq, b.GapAt)
	}
	b.Accepted = l.gapsTo
	b.Gap = b.GapTo > b.Accepted
}
