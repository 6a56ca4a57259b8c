package aggregator

import "tallyman/contract"

// stats is what the ledger adds up to, as others read it.
func (l *ledger) stats() contract.Stats {
	total := l.books.total.wireSum()
	s := contract.Stats{
		SucceedJob: total.SucceedJob, JobRetry: total.JobRetry, FailedJob: total.FailedJob,
		AsOf: l.asOf(), Jobs: total.Jobs, Attempts: total.Attempts, Units: l.units.counts,
		Waste:    contract.Waste{AttemptSeconds: l.books.seconds(cellWasteMS), WorkSeconds: l.books.seconds(cellWorkMS)},
		Failures: total.Failures, Latency: l.books.latencies(),
		ByQueue: wireSums(l.books.queues, &l.queues), ByType: wireSums(l.books.types, &l.types),
		Balance: l.balance,
	}
	s.Balance.Orphans = int(l.books.total[cellOrphans])
	s.Balance.Off += l.crossed()
	s.Balanced = s.Balance.Orphans == 0 && s.Balance.Off == 0 && !s.Balance.Gap
	return s
}

// crossed is the cheap check of every commit: every job is counted once, in total as by queue and type.
func (l *ledger) crossed() int {
	off := l.books.crossed()
	if l.books.total.jobs() != int64(len(l.jobs))+l.retired.total.jobs() {
		off++
	}
	return off
}

func (l *ledger) asOf() contract.AsOf { return contract.AsOf{Seq: l.seq, Time: contract.AtMilli(l.at)} }

func (b *books) seconds(c cell) float64 { return float64(b.total[c]) / 1000 }

func (b *books) latencies() contract.Latencies {
	return contract.Latencies{
		Queue: b.latency[stageQueue].latency(), Claim: b.latency[stageClaim].latency(),
		Start: b.latency[stageStart].latency(), Work: b.latency[stageWork].latency(),
		Overall: b.latency[stageOverall].latency(),
	}
}

func wireSums(list []sum, n *names) map[string]contract.Sum {
	m := make(map[string]contract.Sum, len(list))
	for i := range list {
		if list[i] != (sum{}) {
			m[n.slotName(i)] = list[i].wireSum()
		}
	}
	return m
}

// wireSum is the sum as the stats show it.
func (s *sum) wireSum() contract.Sum {
	w := contract.Sum{
		SucceedJob: s.at(cellRuns), FailedJob: s.at(cellSeedFailed), JobRetry: s.at(cellSeedFailed) - s.at(cellRunsFailed),
		Jobs: contract.JobCounts{Submitted: int(s.jobs())},
		Attempts: contract.AttemptCounts{
			Total: s.at(cellAttempts), Running: s.at(cellRunning), Succeeded: s.at(cellSucceeded), Failed: s.at(cellFailed),
			Disrupted: s.at(cellDisrupted), Superseded: s.at(cellSuperseded), Second: s.at(cellSecond),
		},
		Failures: make(map[contract.Reason]int),
	}
	for _, state := range contract.States() {
		*w.Jobs.Of(state) = s.at(stateCells[state])
	}
	for i, r := range contract.Reasons() {
		if n := s.at(cellReason + cell(i)); n != 0 {
			w.Failures[r] = n
		}
	}
	return w
}

func (s *sum) at(c cell) int { return int(s[c]) }
