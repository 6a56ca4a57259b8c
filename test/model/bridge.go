package model

// bridge says of a unit what Kubernetes knows, and records and says what nobody else will.
func (t *turn) bridge(u int) {
	x := &t.was.units[u]
	if x.record == noRecord {
		return
	}
	r := t.was.taskOf(u)
	named := t.was.runs[r].owner == ownerOf(u)
	if x.record >= owned {
		for p := range x.pods {
			t.bridgeAttempt(u, p, r)
		}
	}
	if x.record == owned || x.record == intent && named {
		t.bridgeCloses(u)
	}
	if x.record == closed && !x.said {
		t.bridgeSays(u, r, named)
	}
	if over := x.job == complete || x.job == failed || x.job == jobGone; x.record == intent && !named && over && !x.living() {
		t.do("bridge.closing", "closes an intent that owns nothing", ofUnit(u), func(s *state) {
			x := &s.units[u]
			x.record, x.outcome, x.said, x.lost = closed, hasFailed, false, true
			s.written(u)
		})
	}
}

func (x *unit) living() bool {
	_, living, _, _, _ := x.count()
	return living > 0
}

// bridgeAttempt says what became of one numbered attempt.
func (t *turn) bridgeAttempt(u, p int, r run) {
	x := &t.was.units[u]
	q := &x.pods[p]
	if q.attempt == 0 {
		return
	}
	n, said := q.attempt, t.was.events[r]
	w := ofPod(u, p).with(r)
	if !said.has(of(n, claimed)) && (q.at == ended || q.flags&undead != 0) {
		t.do("bridge.attemptFacts", "says claimed", w, func(s *state) { s.hear(r, of(n, claimed)) })
	}
	won := x.record == closed && x.outcome == succeeded && x.outcomeOf == n
	if (q.fate == exit1 || q.fate == exit65) && !said.has(of(n, attemptFailed)) && !won {
		t.do("bridge.ending", "says attempt-failed", w, func(s *state) { s.hear(r, of(n, attemptFailed)) })
	}
	if (q.fate == exit75 || q.fate == disrupted) && !said.has(of(n, attemptDisrupted)) && !won {
		t.do("bridge.ending", "says attempt-disrupted", w, func(s *state) { s.hear(r, of(n, attemptDisrupted)) })
	}
	if q.fate == exit0 && q.flags&spoken != 0 && x.record == owned && n == x.attempts {
		t.closeSucceeded(u, n)
	}
}

func (t *turn) closeSucceeded(u int, n uint8) {
	to := *t.was
	to.close(u, succeeded, n)
	wrong := ""
	if !to.units[u].workFinished {
		wrong = "recorded as succeeded though no work was done"
	}
	t.add(own, "bridge.closeSucceeded", "by the pod's termination message", ofUnit(u), &to, wrong)
}

// bridgeCloses closes an open claim whose Kubernetes Job has ended, or is bound to fail.
func (t *turn) bridgeCloses(u int) {
	x := &t.was.units[u]
	last := func(s *state) outcome {
		if s.units[u].cancelAsked {
			return cancelled
		}
		return hasFailed
	}
	switch x.job {
	case failing, failed, jobGone:
		t.do("bridge.closing", "closes the claim: the Job has failed or is gone", ofUnit(u), func(s *state) {
			s.units[u].lost = x.job == jobGone
			s.close(u, last(s), x.attempts)
		})
	case complete:
		for i := range x.pods {
			if q := &x.pods[i]; q.fate == exit0 && q.flags&spoken != 0 && q.attempt > 0 {
				t.closeSucceeded(u, q.attempt)
				return
			}
		}
		t.do("bridge.closing", "closes the claim: the Job is Complete, and nobody said that the work was done", ofUnit(u), func(s *state) {
			o := last(s)
			s.units[u].lost = o == hasFailed
			s.close(u, o, x.attempts)
		})
	}
}

// bridgeSays says an outcome that was recorded, one word at a time, the attempt's first; then it notes that it is said.
func (t *turn) bridgeSays(u int, r run, named bool) {
	x := &t.was.units[u]
	if !named && t.was.runs[r].owner == nobody {
		return // a pod that Kubernetes takes for gone may still create the run's record
	}
	left := x.words() &^ t.was.events[r]
	if !named {
		left = 0
	}
	if left == 0 {
		t.do("bridge.outcome", "notes that the outcome is said", ofUnit(u), func(s *state) { s.units[u].said = true; s.written(u) })
		return
	}
	if first := left &^ (runFailed | runLost); first != 0 {
		left = first
	}
	t.do("bridge.outcomeFacts", "says what was recorded", ofUnit(u).with(r), func(s *state) {
		s.hear(r, left)
		if s.outcomes[r] == noOutcome {
			s.outcomes[r] = s.units[u].outcome
		}
	})
}

// words are the facts of a recorded outcome.
func (x *unit) words() facts {
	switch x.outcome {
	case succeeded:
		return of(x.outcomeOf, attemptSucceeded)
	case cancelled:
		return runCancelled
	}
	words := runFailed
	if x.lost {
		words |= runLost
	}
	for _, q := range x.pods {
		if q.attempt == x.attempts && (q.fate == exit75 || q.fate == disrupted) {
			return words // that attempt has an ending of its own
		}
	}
	if x.attempts > 0 {
		words |= of(x.attempts, attemptFailed)
	}
	return words
}
