package aggregator

import "encoding/binary"

// packed is a job in as few bytes as it takes: variable-length integers, times relative to the job's
// submittedAt, sequences relative to its first event. Most jobs have ended and are only kept to be
// asked about, so their size decides how many a process can hold. It is never written to a bucket and
// has no version.
type packed string

const (
	hasFirst  = 1 << 0 // submitted of a run, claimed of an attempt
	hasSecond = 1 << 1 // queued of a run, started of an attempt
	hasInfra  = 1 << 2 // of an attempt
	hasUnit   = 1 << 2 // of a run
	endShift  = 3
)

// pack appends j to b.
func (j *job) pack(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(j.queue))
	b = binary.AppendUvarint(b, uint64(j.kind))
	b = binary.AppendVarint(b, j.submitted)
	b = binary.AppendVarint(b, j.updated-j.submitted)
	b = binary.AppendUvarint(b, uint64(len(j.events)))
	before := uint64(0)
	for _, seq := range j.events {
		b = binary.AppendUvarint(b, seq-before)
		before = seq
	}
	b = binary.AppendUvarint(b, uint64(j.more))
	b = binary.AppendUvarint(b, uint64(len(j.runs)))
	w := packer{b: b, time: j.submitted, seq: j.events[0]}
	for i := range j.runs {
		w.run(&j.runs[i])
	}
	return w.b
}

type packer struct {
	b    []byte
	time int64
	seq  uint64
}

func (w *packer) run(r *run) {
	flags := byte(r.end.kind) << endShift
	if r.submitted != 0 {
		flags |= hasFirst
	}
	if r.queued != 0 {
		flags |= hasSecond
	}
	if r.unit != (unit{}) {
		flags |= hasUnit
	}
	w.b = binary.AppendUvarint(w.b, uint64(r.number))
	w.b = append(w.b, flags)
	if r.submitted != 0 {
		w.b = binary.AppendVarint(w.b, r.submitted-w.time)
		w.b = binary.AppendUvarint(w.b, r.task-w.seq)
	}
	if r.queued != 0 {
		w.b = binary.AppendVarint(w.b, r.queued-w.time)
	}
	if r.unit != (unit{}) {
		w.b = binary.AppendVarint(w.b, r.unit.made-w.time) // where it is absent, the time before the first
		w.b = binary.AppendUvarint(w.b, uint64(r.unit.millicores))
		w.b = binary.AppendUvarint(w.b, uint64(r.unit.mib))
	}
	w.ending(&r.end)
	w.b = binary.AppendUvarint(w.b, uint64(len(r.attempts)))
	for i := range r.attempts {
		w.attempt(&r.attempts[i])
	}
}

func (w *packer) attempt(a *attempt) {
	flags := byte(a.end.kind) << endShift
	if a.claimed != 0 {
		flags |= hasFirst
	}
	if a.started != 0 {
		flags |= hasSecond
	}
	if a.infra != noReason {
		flags |= hasInfra
	}
	w.b = append(w.b, byte(a.number), flags)
	if a.claimed != 0 {
		w.b = binary.AppendVarint(w.b, a.claimed-w.time)
	}
	if a.started != 0 {
		w.b = binary.AppendVarint(w.b, a.started-w.time)
	}
	if a.infra != noReason {
		w.b = append(w.b, byte(a.infra))
	}
	w.ending(&a.end)
}

func (w *packer) ending(e *ending) {
	if e.kind == endNone {
		return
	}
	w.b = binary.AppendVarint(w.b, e.at-w.time)
	w.b = append(w.b, byte(e.reason)<<2|byte(e.source))
	w.b = binary.AppendUvarint(w.b, e.seq-w.seq)
}

// unpack makes j what p holds. It uses j's slices again, so that folding makes no garbage.
func (p packed) unpack(j *job) {
	u := unpacker{p: p}
	j.queue, j.kind = uint32(u.unsigned()), uint32(u.unsigned())
	j.submitted = u.signed()
	j.updated = j.submitted + u.signed()
	j.events = j.events[:0]
	before := uint64(0)
	for range u.unsigned() {
		before += u.unsigned()
		j.events = append(j.events, before)
	}
	j.more = int(u.unsigned())
	u.time, u.seq = j.submitted, j.events[0]
	n := int(u.unsigned())
	j.runs = grow(j.runs, n)
	for i := range j.runs {
		u.run(&j.runs[i])
	}
}

type unpacker struct {
	p    packed
	i    int
	time int64
	seq  uint64
}

func (u *unpacker) octet() byte {
	u.i++
	return u.p[u.i-1]
}

func (u *unpacker) unsigned() (n uint64) {
	for shift := 0; ; shift += 7 {
		b := u.octet()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
}

func (u *unpacker) signed() int64 {
	n := u.unsigned()
	return int64(n>>1) ^ -int64(n&1)
}

func (u *unpacker) run(r *run) {
	*r = run{number: int(u.unsigned()), attempts: r.attempts}
	flags := u.octet()
	if flags&hasFirst != 0 {
		r.submitted = u.time + u.signed()
		r.task = u.seq + u.unsigned()
	}
	if flags&hasSecond != 0 {
		r.queued = u.time + u.signed()
	}
	if flags&hasUnit != 0 {
		r.unit = unit{u.time + u.signed(), int(u.unsigned()), int(u.unsigned())}
	}
	u.ending(&r.end, flags)
	r.attempts = grow(r.attempts, int(u.unsigned()))
	for i := range r.attempts {
		u.attempt(&r.attempts[i])
	}
}

func (u *unpacker) attempt(a *attempt) {
	*a = attempt{number: int(u.octet()), infra: noReason}
	flags := u.octet()
	if flags&hasFirst != 0 {
		a.claimed = u.time + u.signed()
	}
	if flags&hasSecond != 0 {
		a.started = u.time + u.signed()
	}
	if flags&hasInfra != 0 {
		a.infra = reason(u.octet())
	}
	u.ending(&a.end, flags)
}

func (u *unpacker) ending(e *ending, flags byte) {
	kind := endKind(flags >> endShift)
	if kind == endNone {
		return
	}
	at := u.time + u.signed()
	words := u.octet()
	*e = ending{kind: kind, at: at, reason: reason(words >> 2), source: source(words & 3), seq: u.seq + u.unsigned()}
}

// grow gives s the length n, keeping what its hidden elements hold, to be used again.
func grow[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	return append(s[:cap(s)], make([]T, n-cap(s))...)
}
