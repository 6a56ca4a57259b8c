package model

// turn collects the steps that are possible in one state.
type turn struct {
	c     *config
	was   *state
	steps []step[state]
}

func (t *turn) all() {
	t.posts()
	t.cancels()
	t.requeues()
	t.reruns()
	t.relays()
	t.sweeps()
	t.expiries()
	t.ages()
	t.queue()
	t.keda()
	for u := range t.was.units {
		if t.was.units[u].job != noJob {
			t.kubernetes(u)
			t.bridge(u)
			t.pods(u)
		}
	}
}

// add is a step to a state.
func (t *turn) add(c class, name, note string, w who, to *state, wrong string) {
	t.steps = append(t.steps, step[state]{name, note, w, c, *to, wrong})
}

// do is a program's step.
func (t *turn) do(name, note string, w who, change func(s *state)) {
	to := *t.was
	change(&to)
	t.add(own, name, note, w, &to, "")
}

// may is a fault, as often as the budget allows.
func (t *turn) may(k faultKind, name, note string, w who, change func(s *state)) {
	if t.was.budget[k] == 0 {
		return
	}
	to := *t.was
	to.budget[k]--
	change(&to)
	t.add(fault, name, note, w, &to, "")
}
