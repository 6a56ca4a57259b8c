package explain

import (
	"fmt"
	"strings"
	"time"

	"tallyman/contract"
)

// teller collects evidence with its age.
type teller struct {
	f   *Facts
	all []contract.Evidence
}

func (t *teller) say(from contract.EvidenceSource, at time.Time, format string, args ...any) {
	e := contract.Evidence{Source: from, Says: fmt.Sprintf(format, args...)}
	if !at.IsZero() {
		e.At, e.AgeSeconds = contract.At(at), float64(max(0, t.f.Now.Sub(at).Milliseconds()))/1000
	}
	t.all = append(t.all, e)
}

// silent says that a source did not answer, which is evidence too.
func (t *teller) silent(from contract.EvidenceSource, fault error) {
	t.all = append(t.all, contract.Evidence{Source: from, Says: quoted("no answer: " + fault.Error()), Silent: true})
}

// evidence is what each source says, in the order of the way of a job. Of a job that has ended only the books
// and its claim have something to say.
func evidence(f *Facts) []contract.Evidence {
	t := &teller{f: f}
	t.ledger()
	if !unended(f) {
		t.claim()
		return t.all
	}
	t.stream()
	if !started(f) {
		t.sqs()
	}
	t.bridge()
	t.units()
	t.kubernetes()
	t.claim()
	if p := f.Progress; p != nil {
		t.say(contract.FromWork, p.At, "%s", f.toldProgress())
	}
	return t.all
}

func (t *teller) ledger() {
	f, r, a := t.f, t.f.run(), t.f.attempt()
	text := fmt.Sprintf("%s, run %d", f.Job.State, f.Job.Run)
	if a.Attempt > 0 {
		text += fmt.Sprintf(", attempt %d", a.Attempt)
	}
	if f.Job.Reason != "" {
		text += ", " + string(f.Job.Reason)
	}
	t.say(contract.FromLedger, f.since(), "%s", text)
	for i := range f.Job.Runs {
		if old := &f.Job.Runs[i]; old.Run < r.Run && old.Run >= r.Run-5 && old.Outcome != "" {
			t.say(contract.FromLedger, old.EndedAt.Time, "run %d %s", old.Run, strings.TrimSpace(string(old.Outcome)+" "+string(old.Reason)))
		}
	}
	if !unended(f) || started(f) {
		return
	}
	switch n := f.Ahead; {
	case !n.ok():
		t.silent(contract.FromLedger, n.Fault)
	case n.Value.Most:
		t.say(contract.FromLedger, n.At, "before it in queue %[2]s: more than %[1]d other jobs", n.Value.Jobs, f.Job.Queue)
	default:
		t.say(contract.FromLedger, n.At, "before it in queue %s: %s", f.Job.Queue, count(n.Value.Jobs, "other job"))
	}
}

func (t *teller) stream() {
	s := t.f.Stream
	switch {
	case !s.ok():
		t.silent(contract.FromNATS, s.Fault)
	case s.Value.behind() == 0:
		t.say(contract.FromNATS, s.At, "the ledger has counted every event, to %d", s.Value.Last)
	default:
		t.say(contract.FromNATS, s.At, "the ledger has counted to event %d of %d", s.Value.AsOf.Seq, s.Value.Last)
	}
}

func (t *teller) sqs() {
	switch s := t.f.SQS; {
	case t.f.Config == nil:
		t.say(contract.FromSQS, time.Time{}, "not asked, for the configuration has no queue %s any more", t.f.Job.Queue)
	case !s.ok():
		t.silent(contract.FromSQS, s.Fault)
	case s.Value.Missing:
		t.say(contract.FromSQS, s.At, "there is no queue %s", t.f.url())
	default:
		t.say(contract.FromSQS, s.At, "%d visible, %d in flight, %d delayed", s.Value.Visible, s.Value.InFlight, s.Value.Delayed)
	}
}

// bridge says how long ago Kubernetes was looked at, and what KEDA's object was then.
func (t *teller) bridge() {
	f, a := t.f, t.f.Sight
	switch {
	case !a.ok():
		t.silent(contract.FromBridge, a.Fault)
		return
	case a.Value == nil:
		t.say(contract.FromBridge, time.Time{}, "no bridge has ever told of queue %s", f.Job.Queue)
		return
	}
	v := a.Value
	text := fmt.Sprintf("%s under way, %d with a job", count(v.Units, "Kubernetes Job"), v.Claimed)
	if f.bridgeSilent() {
		text += "; it tells at least every " + span(contract.SightEverySeconds*time.Second)
	}
	t.say(contract.FromBridge, v.At.Time, "cluster %s: %s", v.Cluster, text)
	s := v.ScaledJob
	if s == nil {
		t.say(contract.FromKEDA, v.At.Time, "there is no ScaledJob")
		return
	}
	text = fmt.Sprintf("ScaledJob %s/%s, at most %d at a time", s.Namespace, s.Name, s.Max)
	if s.Paused {
		text += ", paused"
	}
	if v.Units >= s.Max {
		text += ", all taken"
	}
	t.say(contract.FromKEDA, v.At.Time, "%s", text)
	for _, c := range s.Conditions {
		t.say(contract.FromKEDA, v.At.Time, "%s", because(fmt.Sprintf("%s is %s (%s)", c.Type, c.Status, c.Reason), c.Message))
	}
	if !s.LastActive.IsZero() {
		t.say(contract.FromKEDA, s.LastActive.Time, "last found something to scale for")
	}
}

// units says what the unit that matters waits for.
func (t *teller) units() {
	w := t.f.wait()
	if w == nil {
		return
	}
	of := "Kubernetes Job " + w.Namespace + "/" + w.Name
	if w.Pod != "" {
		of = "pod " + w.Namespace + "/" + w.Pod
	}
	if w.Node != "" {
		of += " on node " + w.Node
	}
	said := waits[w.For]
	if w.Container != "" && w.For != contract.WaitClaim {
		said += " (container " + w.Container + ")"
	}
	if w.For == contract.WaitBackoff {
		said = fmt.Sprintf("%s in a row failed; the next is made %s", count(w.Failures, "pod"), t.f.in(w.Due.Time))
	}
	t.say(contract.FromUnit, w.Since.Time, "%s", because(of+": "+strings.TrimSpace(said+" "+w.Reason), w.Message))
}

// waits is each wait in words. It is never written to.
var waits = map[contract.Wait]string{
	contract.WaitPod: "no pod has been made yet", contract.WaitSuspended: "it is suspended", contract.WaitNode: "no node was found",
	contract.WaitImage: "an image cannot be pulled", contract.WaitConfig: "something is missing", contract.WaitStart: "it cannot be started",
	contract.WaitCreating: "it is being made", contract.WaitInit: "an init container runs", contract.WaitClaim: "it takes a message",
	contract.WaitBackoff: "the next pod is due", contract.WaitSilent: "its node does not answer", contract.WaitEnd: "it is being taken away",
}

// maxRemarks bounds how many Kubernetes Events are quoted, the newest first.
const maxRemarks = 5

// kubernetes quotes what Kubernetes and KEDA said lately that may be about this job.
func (t *teller) kubernetes() {
	a := t.f.Said
	if !a.ok() {
		t.silent(contract.FromKubernetes, a.Fault)
		return
	}
	for _, s := range t.f.remarks(maxRemarks) {
		t.say(contract.FromKubernetes, s.Last.Time, "%s", because(fmt.Sprintf("%s %s: %s by %s", s.Kind, s.Name, s.Reason, s.Component), s.Message))
	}
}

func (t *teller) claim() {
	a := t.f.Claim
	switch c := a.Value; {
	case !a.ok():
		t.silent(contract.FromClaim, a.Fault)
	case c.Run == nil:
		if unended(t.f) {
			t.say(contract.FromClaim, a.At, "nobody has claimed run %d", t.f.Job.Run)
		}
	case c.Run.Tombstone:
		t.say(contract.FromClaim, c.Run.At.Time, "run %d is closed for good: %s", t.f.Job.Run, strings.TrimSpace(string(c.Run.Outcome)+" "+string(c.Run.Reason)))
	case c.Unit == nil:
		t.say(contract.FromClaim, a.At, "unit %s owns run %d", c.Run.Owner, t.f.Job.Run)
	default:
		u := c.Unit
		text := fmt.Sprintf("Kubernetes Job %s owns run %d, %s", u.Name, u.Run, u.State)
		if u.State == contract.Closed {
			text += ": " + strings.TrimSpace(string(u.Outcome)+" "+string(u.Reason))
		}
		text += ", " + count(len(u.Attempts), "attempt")
		if u.CancelRequested && u.State != contract.Closed {
			text += ", asked to stop"
		}
		t.say(contract.FromClaim, a.At, "%s", text)
	}
}
