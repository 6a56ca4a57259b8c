package model

// ages lets a run's record, and its unit's, go with the bucket's age: never while its message is there.
func (t *turn) ages() {
	s := t.was
	busy := s.requeuer.at + s.canceller.at + s.rerunner.at + s.relay.at
	for j := range t.c.jobs {
		busy += s.posting[j]
	}
	for n := range s.runs {
		r := run(n)
		u := s.runs[r].owner.unit()
		if busy > 0 || u < 0 || s.outcomes[r] == noOutcome || !s.events[r].phase().ended() || s.units[u].job != jobGone || s.waiting(r) {
			continue
		}
		t.may(agesOut, "NATS", "the records age out", ofUnit(u).with(r), func(s *state) {
			s.runs[r] = runRecord{}
			s.remove(u)
		})
	}
}

// queue is SQS.
func (t *turn) queue() {
	s := t.was
	for i, m := range s.messages {
		show := func(s *state) { s.messages[i].state = visible }
		switch m.state {
		case visible:
			t.may(deadLetters, "SQS", "sets the message aside", ofRun(m.run), func(s *state) { s.messages[i].state = dead })
		case hidden:
			if s.held(i) {
				t.may(visibilityEnds, "SQS", "shows the message again though its holder lives", ofRun(m.run), show)
			} else {
				t.do("SQS", "shows the message again", ofRun(m.run), show)
			}
		case deleted:
			t.may(duplicates, "SQS", "delivers a deleted message again", ofRun(m.run), show)
		}
	}
	t.may(purges, "somebody", "calls PurgeQueue", who{}, func(s *state) {
		for i, m := range s.messages {
			if m.state == visible || m.state == hidden {
				s.messages[i].state = deleted
			}
		}
	})
}

// held tells whether a processor lives that has received a message and is not done with it.
func (s *state) held(m int) bool {
	for u := range s.units {
		for _, p := range s.units[u].pods {
			if int(p.message) == m && p.at >= c3 && p.at <= c5d {
				return true
			}
		}
	}
	return false
}

// keda makes a unit where more messages are visible than units wait for one.
func (t *turn) keda() {
	s := t.was
	made, pending, depth := 0, 0, 0
	for u := range s.units {
		x := &s.units[u]
		if x.job == noJob {
			continue
		}
		made++
		waits := x.job == active
		for _, p := range x.pods {
			waits = waits && p.fate <= alive && p.at < r0
		}
		if waits {
			pending++
		}
	}
	for _, m := range s.messages {
		if m.state == visible {
			depth++
		}
	}
	if made == t.c.units || depth == 0 {
		return
	}
	make := func(s *state) { s.units[made].job = active }
	if depth > pending {
		t.do("KEDA", "makes it", ofUnit(made), make)
	} else {
		t.may(extraUnit, "KEDA", "makes one too many", ofUnit(made), make)
	}
}

// count is what the Kubernetes Job controller sees of a unit's pods.
func (x *unit) count() (used, living, failures int, passed, final bool) {
	for _, p := range x.pods {
		switch p.fate {
		case noPod:
			continue
		case alive:
			living++
		case exit0:
			passed = true
		case exit1:
			failures++
		case exit65, exit86:
			final = true
		}
		used++
	}
	return used, living, failures, passed, final
}

func (t *turn) kubernetes(u int) {
	x := &t.was.units[u]
	switch x.job {
	case active:
		t.controller(u)
	case failing:
		t.do("Kubernetes", "the Job is Failed", ofUnit(u), func(s *state) { s.units[u].stop(); s.units[u].job = failed })
	case complete, failed:
		to := *t.was
		to.units[u].vanish()
		t.add(late, "Kubernetes", "deletes the Job, long after its end", ofUnit(u), &to, "")
	case jobGone:
		return
	}
	t.may(deletesJob, "somebody", "deletes the Job", ofUnit(u), func(s *state) { s.units[u].stop(); s.units[u].vanish() })
	if _, living, _, _, _ := x.count(); living > 0 && t.was.budget[zombie] > 0 {
		t.may(deletesJob, "somebody", "deletes the Job, and its pod lives on", ofUnit(u), func(s *state) {
			s.budget[zombie]--
			s.units[u].orphan()
			s.units[u].vanish()
		})
	}
}

// controller is the Kubernetes Job controller.
func (t *turn) controller(u int) {
	used, living, failures, passed, final := t.was.units[u].count()
	over := failures > t.c.backoff
	if passed {
		t.do("Kubernetes", "the Job is Complete", ofUnit(u), func(s *state) { s.units[u].stop(); s.units[u].job = complete })
	}
	if !passed && (final || over) {
		t.do("Kubernetes", "the Job is bound to fail", ofUnit(u), func(s *state) { s.units[u].job = failing })
	}
	if !final && !over && used < podsOfUnit && living == 0 {
		start := func(s *state) { s.units[u].pods[used] = pod{at: c1, fate: alive} }
		if !passed {
			t.do("Kubernetes", "starts it", ofPod(u, used), start)
		} else {
			t.may(restarts, "Kubernetes", "starts it though one has succeeded", ofPod(u, used), start)
		}
	}
	t.may(overDeadline, "Kubernetes", "the Job is over its deadline", ofUnit(u), func(s *state) { s.units[u].job = failing })
}

// stop kills every pod that lives.
func (x *unit) stop() {
	for i := range x.pods {
		if p := &x.pods[i]; p.fate == alive {
			p.at, p.message, p.fate = ended, 0, podGone
		}
	}
}

// orphan takes every pod that lives for gone, and it lives on.
func (x *unit) orphan() {
	for i := range x.pods {
		if p := &x.pods[i]; p.fate == alive {
			p.fate = podGone
			p.flags |= undead
		}
	}
}

// vanish removes the Kubernetes Job and its pods.
func (x *unit) vanish() {
	x.job = jobGone
	for i := range x.pods {
		if x.pods[i].fate != noPod {
			x.pods[i].fate = podGone
		}
	}
}
