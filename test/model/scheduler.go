package model

// What the scheduler's leader does: it sends again, sweeps the dead-letter queue, ends what is too old, and
// makes a further run of what was lost.

const (
	dispatchBury   = "internal/dispatch.bury"
	dispatchFail   = "internal/dispatch.Fail"
	dispatchResend = "internal/dispatch.Resend"
)

func (t *turn) killScheduler(what string, a func(*state) *actor) {
	t.may(killsSched, "the world", what, who{}, func(s *state) { *a(s) = actor{} })
}

func (t *turn) relays() {
	s := t.was
	if s.relay.at == 0 {
		for j := range t.c.jobs {
			t.relayJob(j)
		}
		return
	}
	r := run(s.relay.of)
	if s.relay.at == 1 {
		if to := *s; to.send(r) {
			to.relay.at = 2
			t.add(own, dispatchResend, "sends the task again", ofRun(r), &to, "")
		}
	} else {
		t.do(dispatchSay, "says queued", ofRun(r), func(s *state) { s.hear(r, queued); s.relay = actor{} })
	}
	t.killScheduler("scheduler is killed while it sends again", func(s *state) *actor { return &s.relay })
}

// relayJob finds a run that was accepted for too long, or queued while its queue was empty.
func (t *turn) relayJob(j int) {
	s := t.was
	empty := true
	for i := range s.messages {
		empty = empty && s.messages[i].state != visible && s.messages[i].state != hidden
	}
	if p := t.phaseOf(s, j); p != accepted && (p != isQueued || !empty) {
		return
	}
	to := *s
	r := run(s.newest(j))
	to.relay = actor{1, uint8(r)}
	if s.budget[relaysEarly] > 0 {
		early := to
		early.budget[relaysEarly]--
		t.add(fault, "scheduler.due", "finds it, early", ofRun(r), &early, "")
	}
	if s.relays == 0 {
		t.add(late, "scheduler.due", "finds it", ofRun(r), &to, "the relay sends for ever")
		return
	}
	to.relays--
	t.add(late, "scheduler.due", "finds it", ofRun(r), &to, "")
}

func (t *turn) sweeps() {
	s := t.was
	if s.sweeper.at == 0 {
		for i, m := range s.messages {
			if m.state == dead {
				t.do("scheduler.sweepQueue", "takes a dead letter", ofRun(m.run), func(s *state) { s.sweeper = actor{1, uint8(i)} })
			}
		}
		return
	}
	i := s.sweeper.of
	r := s.messages[i].run
	at := func(s *state) *actor { return &s.sweeper }
	switch s.sweeper.at {
	case 1, 2:
		t.buries(r, at)
	case 3:
		to := *s
		to.messages[i].state, to.sweeper = deleted, actor{}
		wrong := ""
		if s.runs[r].owner == nobody {
			wrong = "a message was deleted whose run has neither owner nor tombstone"
		}
		t.add(own, "scheduler.bury", "deletes the letter", ofRun(r), &to, wrong)
	}
	t.killScheduler("scheduler is killed while it sweeps", at)
}

// buries is internal/dispatch.Fail: 1 the tombstone, 2 the word for what stands in it; at 3 it is done.
func (t *turn) buries(r run, at func(*state) *actor) {
	s := t.was
	switch {
	case at(t.was).at == 2:
		t.do(dispatchFail, "says the tombstone's outcome", ofRun(r), func(s *state) { s.sayStone(r); at(s).at = 3 })
	case t.c.isForeign(r) && !s.events[r].has(submitted):
		t.do(dispatchFail, "says submitted, of a foreign run", ofRun(r), func(s *state) { s.hear(r, submitted) })
	default:
		t.do(dispatchBury, "makes or finds the run's record", ofRun(r), func(s *state) {
			if s.runs[r].owner == nobody {
				s.runs[r].owner = failedStone
			}
			if at(s).at = 2; s.runs[r].owner >= firstUnit || s.runs[r].owner == plainStone {
				at(s).at = 3
			}
		})
	}
}

// sayStone says the outcome that a tombstone holds.
func (s *state) sayStone(r run) {
	switch s.runs[r].owner {
	case cancelledStone:
		s.hear(r, runCancelled)
	case failedStone:
		s.hear(r, runFailed)
	}
}

func (t *turn) expiries() {
	s := t.was
	if s.expiry.at == 0 {
		for j := range t.c.jobs {
			if p := t.phaseOf(s, j); p == accepted || p == isQueued {
				r := run(s.newest(j))
				t.may(expires, "scheduler.overdue", "finds it", ofRun(r), func(s *state) { s.expiry = actor{1, uint8(r)} })
			}
		}
		return
	}
	at := func(s *state) *actor { return &s.expiry }
	if s.expiry.at == 3 {
		t.do("scheduler.end", "is done", ofRun(run(s.expiry.of)), func(s *state) { s.expiry = actor{} })
		return
	}
	t.buries(run(s.expiry.of), at)
	t.killScheduler("scheduler is killed while it ends what is too old", at)
}

// reruns follow a run that failed, where the configuration asks for that.
func (t *turn) reruns() {
	s := t.was
	at := func(s *state) *actor { return &s.rerunner }
	if s.rerunner.at > 0 {
		t.succeed("rerun", at)
		t.killScheduler("scheduler is killed while it reruns", at)
		return
	}
	for j := range t.c.jobs {
		n := s.newest(j)
		if !t.c.reruns || n < 0 || run(n).number() == runsOfJob || t.phaseOf(s, j) != isFailed {
			continue
		}
		if r := run(n); s.runs[r].next != none {
			t.do("scheduler.look", "a run failed, and its type or queue asks for another", ofRun(r), func(s *state) { s.rerunner = actor{1, uint8(r)} })
		}
	}
}
