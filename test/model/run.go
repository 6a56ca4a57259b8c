package model

// run and closing, from test point to test point.

// sayCancelled is closing.say of a cancelled outcome, which claim and run share.
func (b *body) sayCancelled() {
	if b.pod.at == cC {
		b.step("says cancelled", func(s *state) string { s.hear(b.run, runCancelled); s.podOf(b).at = cC2; return "" })
		return
	}
	b.notesSaid(exit86)
}

func (b *body) work() {
	switch b.pod.at {
	case r0:
		b.prepare()
	case r1:
		b.begin()
	case r2:
		b.worked()
	case rS, rP, rC:
		b.closes()
	case rS2:
		b.says(of(b.pod.attempt, attemptSucceeded), "says succeeded", rS3)
	case rF:
		b.step("says attempt-failed, exits 1", func(s *state) string {
			s.hear(b.run, of(b.pod.attempt, attemptFailed))
			s.exits(b, exit1)
			return ""
		})
	case rP2:
		b.says(of(b.pod.attempt, attemptFailed), "says attempt-failed", rP3)
	case rP3:
		b.says(runFailed, "says failed", rP4)
	case rS3:
		b.notesSaid(exit0)
	case rP4:
		b.notesSaid(exit65)
	}
}

func (b *body) says(f facts, note string, then place) {
	b.step(note, func(s *state) string { s.hear(b.run, f); s.podOf(b).at = then; return "" })
}

// prepare reads the record once more.
func (b *body) prepare() {
	switch {
	case b.unit.record == closed:
		b.step("finds it closed: starts nothing", func(s *state) string { s.exits(b, exitOf(b.unit.outcome)); return "" })
	case b.unit.record != owned:
		b.step("finds no claim: exits 75", func(s *state) string { s.exits(b, exit75); return "" })
	case b.unit.cancelAsked:
		b.goes("reads that it shall stop", rC)
	case b.unit.attempts != b.pod.attempt:
		b.step("finds a newer attempt: exits 75", func(s *state) string { s.exits(b, exit75); return "" })
	default:
		b.goes("reads its claim", r1)
	}
}

func (b *body) begin() {
	b.step("says started, and starts the work", func(s *state) (wrong string) {
		s.hear(b.run, of(b.pod.attempt, started))
		switch before := s.worker[b.run]; {
		case b.pod.flags&barred != 0:
			wrong = "work started after its run had ended or was cancelled"
		case before != 0 && before != uint8(b.u+1):
			wrong = "two units started the work of one run"
		}
		s.worker[b.run] = uint8(b.u + 1)
		s.podOf(b).at = r2
		return wrong
	})
}

// worked is how the work ends.
func (b *body) worked() {
	b.step("the work succeeds", func(s *state) string {
		s.units[b.u].workFinished = true
		s.podOf(b).at = rS
		if b.t.c.planted == saysFirst {
			s.hear(b.run, of(b.pod.attempt, attemptSucceeded))
		}
		return ""
	})
	b.may(workFails, "the work fails", func(s *state) { s.podOf(b).at = rF })
	b.may(workFailsForGood, "the work fails for good", func(s *state) { s.podOf(b).at = rP })
	if b.unit.record == owned && b.unit.cancelAsked {
		b.goes("the work is stopped by request", rC)
	}
}

// closes records the outcome, if this is the newest attempt of an open claim.
func (b *body) closes() {
	o := map[place]outcome{rS: succeeded, rP: hasFailed, rC: cancelled}[b.pod.at]
	then := map[place]place{rS: rS2, rP: rP2, rC: cC}[b.pod.at]
	record := func(s *state) { s.close(b.u, o, b.pod.attempt) }
	switch {
	case b.unit.record == owned && b.unit.attempts == b.pod.attempt:
		b.step("records "+outcomeNames[o], func(s *state) string { record(s); s.podOf(b).at = then; return "" })
		b.may(lostAck, "records the outcome, and its retry finds that: says nothing", func(s *state) {
			record(s)
			s.exits(b, exitOf(o))
		})
	case b.unit.record == closed:
		b.step("finds it closed: says nothing", func(s *state) string { s.exits(b, exitOf(b.unit.outcome)); return "" })
	default:
		b.step("finds a newer attempt: says nothing", func(s *state) string { s.exitsSpoken(b, exitOf(o)); return "" })
	}
	b.may(natsSilent, "NATS is silent: the outcome is in the termination message", func(s *state) { s.exitsSpoken(b, exitOf(o)) })
}

// exitsSpoken ends a processor whose termination message says how its work ended.
func (s *state) exitsSpoken(b *body, f fate) {
	s.exits(b, f)
	s.podOf(b).flags |= spoken
}

func (b *body) notesSaid(f fate) {
	b.step("notes that the outcome is said, and exits", func(s *state) string {
		if x := &s.units[b.u]; x.record == closed && !x.said {
			x.said = true
			s.written(b.u)
		}
		s.exits(b, f)
		return ""
	})
}
