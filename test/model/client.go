package model

// Posts, cancels, purges and requeues: api, and the parts of internal/dispatch that it shares with the scheduler.

const (
	dispatchSubmit   = "internal/dispatch.Submit"
	dispatchKeyed    = "internal/dispatch.SubmitKeyed"
	dispatchStateOf  = "internal/dispatch.stateOf"
	dispatchStored   = "internal/dispatch.storedTask"
	dispatchSend     = "internal/dispatch.send"
	dispatchSay      = "internal/dispatch.say"
	dispatchBarRun   = "internal/dispatch.barRun"
	dispatchFollowTo = "internal/dispatch.followTo"
	dispatchAskUnit  = "internal/dispatch.askUnit"
	dispatchBindNext = "internal/dispatch.bindNext"
)

func (t *turn) posts() {
	for j := range t.c.jobs {
		r := firstRun(j)
		switch t.was.posting[j] {
		case 1:
			t.do(dispatchSubmit, "says submitted", ofRun(r), func(s *state) { s.hear(r, submitted); s.posting[j] = 2 })
		case 2:
			if to := *t.was; to.send(r) {
				to.posting[j] = 3
				t.add(own, dispatchSend, "sends the task", ofRun(r), &to, "")
			}
		case 3:
			t.do(dispatchSay, "says queued", ofRun(r), func(s *state) { s.hear(r, queued); s.posting[j] = 0 })
		case 4: // a key, of which the ledger knows nothing: the run's record is asked before anything is said
			if t.was.runs[r].owner != nobody {
				t.do(dispatchStateOf, "the run was claimed or has ended: nothing is sent", ofRun(r), func(s *state) { s.posting[j] = 0 })
				break
			}
			t.do(dispatchKeyed, "finds no record of the run", ofRun(r), func(s *state) { s.posting[j] = 5 })
		case 5:
			t.do(dispatchKeyed, "says submitted again", ofRun(r), func(s *state) { s.hear(r, submitted); s.posting[j] = 6 })
		case 6:
			t.do(dispatchStored, "reads the task that was said first", ofRun(r), func(s *state) { s.posting[j] = 2 })
		}
		if t.was.posting[j] > 1 {
			t.may(killsAPI, "the world", "api is killed while it submits", ofRun(r), func(s *state) { s.posting[j] = 0 })
		}
		// A job that the ledger knows, unless it holds run 1 as accepted, is answered with its state.
		known := t.phaseOf(t.was, j) > accepted || t.was.newest(j) > int(r)
		if !t.c.isForeign(r) && t.was.posting[j] == 0 && !known {
			t.may(postsAgain, "a client", "posts again with its Idempotency-Key", ofRun(r), func(s *state) { s.posting[j] = 4 })
		}
	}
}

func (t *turn) cancels() {
	s := t.was
	if s.canceller.at == 0 {
		for j := range t.c.jobs {
			// A failed job goes on to its records, since a rerun may be due; any other that has ended, where it has a successor
			// of which the ledger has not heard.
			r := run(s.newest(j))
			if p := t.phaseOf(s, j); p != unknown && (!p.ended() || p == isFailed || s.runs[r].next == isNext) {
				t.may(cancels, "api.cancelJob", "is asked for", ofRun(r), func(s *state) { s.canceller = actor{1, uint8(r)} })
				if p == accepted || p == isQueued {
					t.may(cancels, "api.purgeQueue", "is asked for", ofRun(r), func(s *state) { s.canceller = actor{4, uint8(r)} })
				}
			}
		}
		return
	}
	r := run(s.canceller.of)
	switch s.canceller.at {
	case 1:
		t.barRun(r)
	case 2:
		t.do(dispatchSay, "says cancelled", ofRun(r), func(s *state) { s.hear(r, runCancelled); s.canceller = actor{} })
	case 3:
		u := s.runs[r].owner.unit()
		if open := u >= 0 && (s.units[u].record == intent || s.units[u].record == owned); !open {
			t.do(dispatchAskUnit, "the unit is closed: 409", ofRun(r), func(s *state) { s.canceller = actor{} })
			break
		}
		t.do(dispatchAskUnit, "sets cancelRequested", ofUnit(u).with(r), func(s *state) {
			s.units[u].cancelAsked = true
			s.written(u)
			s.canceller = actor{}
		})
	case 4:
		t.purges(r)
	}
	t.may(killsAPI, "the world", "api is killed while it cancels", ofRun(r), func(s *state) { s.canceller = actor{} })
}

// purges is internal/dispatch.CancelUnclaimed up to its word: what nobody owns is cancelled, all else left alone.
func (t *turn) purges(r run) {
	t.do(dispatchBury, "makes or finds the run's record", ofRun(r), func(s *state) {
		if s.runs[r].owner == nobody {
			s.runs[r].owner = cancelledStone
		}
		if s.canceller.at = 2; s.runs[r].owner != cancelledStone {
			s.canceller = actor{}
		}
	})
}

// barRun makes the run's record lead on: to a successor, or to an end.
func (t *turn) barRun(r run) {
	rec := t.was.runs[r]
	switch {
	case rec.owner == nobody && t.was.events[r].phase().ended():
		t.do(dispatchBarRun, "the ledger holds it as ended: 409", ofRun(r), func(s *state) { s.canceller = actor{} })
	case rec.owner == nobody:
		t.do(dispatchBarRun, "makes a cancelled tombstone", ofRun(r), func(s *state) {
			s.runs[r].owner = cancelledStone
			s.canceller.at = 2
		})
	case rec.next == isNext && r.number() < runsOfJob:
		t.do(dispatchFollowTo, "goes on to the next run, and says its submitted", ofRun(r), func(s *state) {
			s.hear(r+1, submitted)
			s.canceller.of = uint8(r + 1)
		})
	case rec.owner == cancelledStone:
		t.do(dispatchBarRun, "finds the cancelled tombstone", ofRun(r), func(s *state) { s.canceller.at = 2 })
	default:
		t.do(dispatchBarRun, "sets next: none", ofRun(r), func(s *state) {
			if s.runs[r].next == unset {
				s.runs[r].next = none
			}
			if s.canceller.at = 3; rec.owner < firstUnit {
				s.canceller = actor{}
			}
		})
	}
}

func (t *turn) requeues() {
	s := t.was
	if s.requeuer.at > 0 {
		t.succeed("requeue", func(s *state) *actor { return &s.requeuer })
		t.may(killsAPI, "the world", "api is killed while it requeues", ofRun(run(s.requeuer.of)), func(s *state) { s.requeuer = actor{} })
		return
	}
	for j := range t.c.jobs {
		r := run(max(s.newest(j), 0))
		if t.phaseOf(s, j) == isFailed && r.number() < runsOfJob {
			t.may(requeues, "api.requeueJob", "is asked for", ofRun(r), func(s *state) {
				s.requeued++
				s.requeueOf, s.requeuer = r, actor{1, uint8(r)}
			})
		}
	}
	if s.requeued > 0 && s.budget[requeues] == 0 {
		r := s.requeueOf
		t.may(repeats, "api.requeueJob", "is asked for again", ofRun(r), func(s *state) { s.requeuer = actor{1, uint8(r)} })
	}
}

// succeed makes the run after an actor's: `next` first, then as any run.
func (t *turn) succeed(why string, of func(*state) *actor) {
	a := *of(t.was)
	r := run(a.of)
	switch a.at {
	case 1:
		t.bindNext(r, why == "requeue", of)
	case 2:
		to := *t.was
		to.hear(r+1, submitted)
		of(&to).at = 3
		wrong := ""
		if !t.c.reruns && to.successors() > int(to.requeued) {
			wrong = "one requeue made two runs"
		}
		t.add(own, dispatchSubmit, "says submitted", ofRun(r+1), &to, wrong)
	case 3:
		if to := *t.was; to.send(r + 1) {
			of(&to).at = 4
			t.add(own, dispatchSend, "sends the task", ofRun(r+1), &to, "")
		}
	case 4:
		t.do(dispatchSay, "says queued", ofRun(r+1), func(s *state) { s.hear(r+1, queued); *of(s) = actor{} })
	}
}

// bindNext sets or follows `next`; `next: none` binds everybody but a requeue.
func (t *turn) bindNext(r run, asked bool, of func(*state) *actor) {
	rec := t.was.runs[r]
	if rec.next == none && !asked {
		t.do(dispatchBindNext, "there shall be no next run", ofRun(r), func(s *state) { *of(s) = actor{} })
		return
	}
	t.do(dispatchBindNext, "sets or follows next", ofRun(r), func(s *state) {
		s.runs[r].next = isNext
		if rec.owner == nobody {
			s.runs[r].owner = plainStone
		}
		of(s).at = 2
	})
}

// successors counts the runs that are not a job's first.
func (s *state) successors() int {
	n := 0
	for r, f := range s.events {
		if run(r).number() > 1 && f.has(submitted) {
			n++
		}
	}
	return n
}
