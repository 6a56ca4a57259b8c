package model

// claim, from test point to test point.

// pods is what the processors of a unit do, and what befalls them.
func (t *turn) pods(u int) {
	for p := range t.was.units[u].pods {
		q := &t.was.units[u].pods[p]
		if q.at == ended {
			continue
		}
		b := body{t: t, u: u, p: p, pod: *q, unit: t.was.units[u], run: t.was.messages[q.message].run}
		b.befall()
		switch {
		case q.at >= r0:
			b.work()
		case q.at >= cC:
			b.sayCancelled()
		default:
			b.claim()
		}
	}
}

// body is one processor, and all that it knows.
type body struct {
	t    *turn
	u, p int
	pod  pod
	unit unit
	run  run
}

func (b *body) undead() bool { return b.pod.flags&undead != 0 }

func (s *state) podOf(b *body) *pod { return &s.units[b.u].pods[b.p] }

// exits ends a processor; Kubernetes no longer looks at what it took for gone.
func (s *state) exits(b *body, f fate) {
	q := s.podOf(b)
	q.at, q.message, q.flags = ended, 0, q.flags&undead
	if !b.undead() {
		q.fate = f
	}
}

// step is the processor's next one.
func (b *body) step(note string, change func(s *state) (wrong string)) {
	to := *b.t.was
	wrong := change(&to)
	c := own
	if b.undead() {
		c = ghost
	}
	b.t.add(c, placeNames[b.pod.at], note, ofPod(b.u, b.p).with(b.run), &to, wrong)
}

// goes is a step that only leads on.
func (b *body) goes(note string, to place) {
	b.step(note, func(s *state) string { s.podOf(b).at = to; return "" })
}

func (b *body) may(k faultKind, note string, change func(s *state)) {
	b.t.may(k, placeNames[b.pod.at], note, ofPod(b.u, b.p).with(b.run), change)
}

// befall is what may happen to a processor anywhere.
func (b *body) befall() {
	if b.undead() {
		to := *b.t.was
		to.exits(b, podGone)
		b.t.add(fault, "the world", "the pod that was taken for gone dies", ofPod(b.u, b.p), &to, "")
		return
	}
	b.may(crash, "crashes", func(s *state) { s.exits(b, exit1) })
	b.may(evict, "is evicted", func(s *state) { s.exits(b, disrupted) })
	b.may(away, "NATS or SQS is away", func(s *state) { s.exits(b, exit75) })
	if b.pod.at > c1 && b.pod.at <= r0 {
		b.may(reinit, "its init container is started again", func(s *state) {
			q := s.podOf(b)
			q.at, q.message, q.flags = c1, 0, 0
		})
	}
	b.may(zombie, "Kubernetes takes it for gone, and it lives on", func(s *state) {
		s.podOf(b).fate = disrupted
		s.podOf(b).flags |= undead
	})
}

func (b *body) claim() {
	switch b.pod.at {
	case c1:
		b.look()
	case c2:
		b.receive()
	case c3:
		b.intend()
	case cF:
		b.step("says submitted, of a foreign run", func(s *state) string { s.hear(b.run, submitted); s.podOf(b).at = c4; return "" })
	case c4:
		b.own()
	case c4d:
		b.deleteMessage(c4r)
	case c4r:
		b.removeIntent()
	case c4s:
		b.step("says duplicate, or what the tombstone holds", func(s *state) string {
			s.sayStone(b.run)
			q := s.podOf(b)
			q.at, q.message, q.flags = c2, 0, q.flags&undead
			return ""
		})
	case c5d:
		b.deleteMessage(c5m)
	case c5m:
		b.mark()
	case c5s:
		b.step("says claimed, exits 0; run begins", func(s *state) string {
			s.hear(b.run, of(b.pod.attempt, claimed))
			s.podOf(b).at = r0
			return ""
		})
	}
}

// look reads the unit's record.
func (b *body) look() {
	switch b.unit.record {
	case noRecord:
		b.goes("finds no record", c2)
	case intent:
		b.step("finds an intent", func(s *state) string {
			q := s.podOf(b)
			q.message, q.at = b.unit.task, c4
			q.flags |= current
			if b.t.c.isForeign(s.taskOf(b.u)) {
				q.at = cF
			}
			return ""
		})
	case owned:
		b.resume()
	case closed:
		b.step("finds it closed: starts nothing", func(s *state) string { s.exits(b, exitOf(b.unit.outcome)); return "" })
	}
}

func exitOf(o outcome) fate { return [...]fate{exit0, exit0, exit65, exit86}[o] }

// resume makes this pod the unit's next attempt.
func (b *body) resume() {
	if b.unit.cancelAsked {
		b.step("closes it cancelled", func(s *state) string {
			s.close(b.u, cancelled, b.unit.attempts)
			s.podOf(b).at, s.podOf(b).message = cC, b.unit.task
			return ""
		})
		return
	}
	b.step("is the next attempt", func(s *state) string {
		q := s.podOf(b)
		q.message, q.at = b.unit.task, c5s
		if q.attempt > 0 {
			return ""
		}
		s.units[b.u].attempts++
		s.written(b.u)
		return s.number(b, s.units[b.u].attempts)
	})
}

// number gives a pod its attempt.
func (s *state) number(b *body, n uint8) (wrong string) {
	q := s.podOf(b)
	q.attempt = n
	r, me := s.taskOf(b.u), uint8(b.u*podsOfUnit+b.p+1)
	if before := s.numbered[r][n-1]; before != 0 && before != me {
		wrong = "two pods have the number of one attempt"
	}
	s.numbered[r][n-1] = me
	if s.outcomes[r] != noOutcome || s.runs[r].owner < firstUnit {
		q.flags |= barred
	}
	return wrong
}

func (b *body) receive() {
	any := false
	for i, m := range b.t.was.messages {
		if m.state != visible {
			continue
		}
		any = true
		b.step("receives a message", func(s *state) string {
			s.messages[i].state = hidden
			s.podOf(b).at, s.podOf(b).message = c3, uint8(i)
			return ""
		})
	}
	if !any {
		b.step("finds no message: noop, exits 0", func(s *state) string { s.exits(b, exit0); return "" })
	}
}

// intend creates the unit's record.
func (b *body) intend() {
	if b.unit.record != noRecord {
		b.step("finds a record: releases the message", func(s *state) string { s.release(b); return "" })
		return
	}
	create := func(s *state) {
		s.units[b.u].record, s.units[b.u].task = intent, b.pod.message
		s.written(b.u)
	}
	b.step("creates the intent", func(s *state) string {
		create(s)
		q := s.podOf(b)
		q.flags |= current
		if q.at = c4; b.t.c.isForeign(b.run) {
			q.at = cF
		}
		return ""
	})
	b.may(lostAck, "creates the intent, and its retry finds that", func(s *state) { create(s); s.release(b) })
}

// release gives the message back and begins again.
func (s *state) release(b *body) {
	if m := &s.messages[b.pod.message]; m.state == hidden {
		m.state = visible
	}
	q := s.podOf(b)
	q.at, q.message, q.flags = c1, 0, q.flags&undead
}

// own creates the run's record, or reads it.
func (b *body) own() {
	o := b.t.was.runs[b.run].owner
	switch {
	case o == nobody:
		b.step("owns the run", func(s *state) string { s.runs[b.run].owner = ownerOf(b.u); s.podOf(b).at = c5d; return "" })
	case o == ownerOf(b.u), b.t.c.planted == noDedupe:
		b.goes("owns the run already", c5d)
	default:
		b.goes("the run is another's, or has a tombstone", c4d)
	}
}

func (b *body) deleteMessage(then place) {
	m := b.t.was.messages[b.pod.message]
	b.step("deletes the message", func(s *state) (wrong string) {
		if m.state == visible || m.state == hidden {
			s.messages[b.pod.message].state = deleted
		}
		if s.runs[b.run].owner == nobody {
			wrong = "a message was deleted whose run has neither owner nor tombstone"
		}
		s.podOf(b).at = then
		return wrong
	})
	if m.state == visible || m.state == hidden {
		b.may(staleReceipt, "deletes the message by an old receipt, to no effect", func(s *state) { s.podOf(b).at = then })
	}
}

// removeIntent removes it by the revision at which this pod knows it.
func (b *body) removeIntent() {
	b.step("removes the intent", func(s *state) string {
		mine := b.pod.flags&current != 0 && b.unit.record == intent
		if mine || b.t.c.planted == removesBlindly && b.unit.record != noRecord {
			s.remove(b.u)
		}
		s.podOf(b).at = c4s
		return ""
	})
}

// mark makes the unit the owner in its own record too.
func (b *body) mark() {
	if b.pod.flags&current == 0 || b.unit.record != intent {
		b.step("finds that another has written: begins again", func(s *state) string {
			s.podOf(b).at, s.podOf(b).message = c1, 0
			return ""
		})
		return
	}
	write := func(s *state) (wrong string) {
		s.units[b.u].record, s.units[b.u].attempts = owned, 1
		s.written(b.u)
		return s.number(b, 1)
	}
	b.step("marks it owned: attempt 1", func(s *state) (wrong string) {
		wrong = write(s)
		s.podOf(b).at = c5s
		return wrong
	})
	b.may(lostAck, "marks it owned, and its retry finds that", func(s *state) { write(s); s.podOf(b).at = c1 })
}
