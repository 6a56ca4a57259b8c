package model

import (
	"fmt"
	"hash/maphash"
	"strings"
)

// class says when a step can happen.
type class uint8

const (
	own   class = iota // a program's next step: it will happen
	fault              // it may happen; nothing waits for it
	late               // patience that runs out: only where no program has a step left
	ghost              // of a process that was taken for dead: it will happen, or the process dies
)

// step leads from one state to another.
type step[S comparable] struct {
	name  string // see the package comment
	note  string
	who   who
	class class
	to    S
	wrong string // what it breaks, "" for nothing
}

// who a step is of or about; everything counts from 1, and 0 is nobody.
type who struct{ run, unit, pod uint8 }

func ofRun(r run) who        { return who{run: uint8(r) + 1} }
func ofUnit(u int) who       { return who{unit: uint8(u) + 1} }
func ofPod(u, p int) who     { return who{unit: uint8(u) + 1, pod: uint8(p) + 1} }
func (w who) with(r run) who { w.run = uint8(r) + 1; return w }

func (w who) String() string {
	var s string
	if w.unit > 0 {
		s += fmt.Sprintf(" unit %d", w.unit)
	}
	if w.pod > 0 {
		s += fmt.Sprintf(" pod %d", w.pod)
	}
	if w.run > 0 {
		s += fmt.Sprintf(" run %s", run(w.run-1))
	}
	return s
}

// machine is a model: its beginning, its steps, and what must hold.
type machine[S comparable] struct {
	begin S
	next  func(s *S, steps []step[S]) []step[S]
	never func(s *S) string // what is wrong in any state, "" for nothing
	rest  func(s *S) string // what is wrong where nothing can happen any more
}

// report is what an exploration found.
type report struct {
	states    int
	rests     int
	exhausted bool
	steps     map[string]bool // the names that happened
	wrong     string          // the first thing that is wrong, and the steps that lead to it
}

// seen is every state that was met, in order, with the one that it was met from.
type seen[S comparable] struct {
	seed   maphash.Seed
	states []S
	from   []int32
	heads  map[uint64]int32 // the newest state of a hash
	chain  []int32          // the one before it of the same hash, -1 for none
}

func (v *seen[S]) add(s S, from int32) {
	h := maphash.Comparable(v.seed, s)
	head, ok := v.heads[h]
	if !ok {
		head = -1
	}
	for i := head; i >= 0; i = v.chain[i] {
		if v.states[i] == s {
			return
		}
	}
	v.states, v.from, v.chain = append(v.states, s), append(v.from, from), append(v.chain, head)
	v.heads[h] = int32(len(v.states) - 1)
}

// explore meets every state of a machine, to a limit, and stops at the first that is wrong.
func (m *machine[S]) explore(most int) report {
	v := &seen[S]{seed: maphash.MakeSeed(), heads: make(map[uint64]int32)}
	v.add(m.begin, -1)
	r := report{steps: make(map[string]bool)}
	var steps []step[S]
	for i := 0; i < len(v.states) && len(v.states) < most; i++ {
		s := v.states[i]
		steps = m.next(&s, steps[:0])
		busy, patient := false, false
		for k := range steps {
			busy = busy || steps[k].class == own
			patient = patient || steps[k].class == late || steps[k].class == ghost
		}
		if !busy && !patient {
			r.rests++
			if wrong := m.rest(&s); wrong != "" {
				r.wrong = m.tell(v, int32(i), wrong, nil)
				return r
			}
		}
		for k := range steps {
			st := &steps[k]
			if st.class == late && busy {
				continue
			}
			r.steps[st.name] = true
			wrong := st.wrong
			if wrong == "" {
				wrong = m.never(&st.to)
			}
			if wrong != "" {
				r.wrong = m.tell(v, int32(i), wrong, st)
				return r
			}
			v.add(st.to, int32(i))
		}
		r.states = len(v.states)
	}
	r.exhausted = len(v.states) < most
	return r
}

// tell writes down the way to a state, and the last step if there is one.
func (m *machine[S]) tell(v *seen[S], at int32, wrong string, last *step[S]) string {
	var way []int32
	for i := at; i >= 0; i = v.from[i] {
		way = append(way, i)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, after\n", wrong)
	n := 0
	say := func(st *step[S]) {
		n++
		fmt.Fprintf(&b, "%4d  %s%s: %s\n", n, st.name, st.who, st.note)
	}
	for i := len(way) - 1; i > 0; i-- {
		for _, st := range m.next(&v.states[way[i]], nil) {
			if st.to == v.states[way[i-1]] {
				say(&st)
				break
			}
		}
	}
	if last != nil {
		say(last)
	}
	return b.String()
}
