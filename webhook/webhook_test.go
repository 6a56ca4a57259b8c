package webhook

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tallyman/contract"
	"tallyman/internal/testenv"
)

func seqs(all []arrival) (list []int) {
	for _, a := range all {
		list = append(list, a.seq)
	}
	return list
}

func to(first, last int) (list []int) {
	for n := first; n <= last; n++ {
		list = append(list, n)
	}
	return list
}

func TestDeliversWhatIsWantedSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.say(0, 0, contract.Queued) // before it was declared
	w.hook.Events = []contract.Kind{contract.Succeeded, contract.Failed}
	w.begun()
	w.say(1, 0, contract.Queued)
	w.say(1, 1, contract.Claimed)
	w.say(1, 1, contract.Succeeded)
	w.say(2, 0, contract.Failed)
	w.say(2, 0, contract.Queued)
	s := w.noted(6)
	got := w.arrived()
	list := seqs(got)
	slices.Sort(list) // of two jobs
	if diff := cmp.Diff([]int{4, 5}, list); diff != "" || s.Delivered != 2 || s.LastAt.IsZero() || s.Failing != nil {
		t.Fatalf("%s%+v", diff, s)
	}
	stored, err := w.stream.Event(t.Context(), uint64(got[0].seq))
	if err != nil || string(stored.Raw) != string(got[0].body) {
		t.Errorf("the body is not what the stream has: %s, %v", got[0].body, err)
	}
	h := got[0].header
	if err := contract.VerifyWebhook(h.Get("Tallyman-Signature"), []byte(secret), got[0].body, time.Now(), time.Minute); err != nil {
		t.Error(err)
	}
	if h.Get("Content-Type") != "application/cloudevents+json" || h.Get("Tallyman-Webhook") != "ours" {
		t.Errorf("headers %v", h)
	}
}

// Events of one job arrive in their order, whatever is refused between them; other jobs do not wait for it.
func TestInOrderForEachJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stuck := contract.KeyID("test", "0")
	w.answerWith(func(a arrival, n int) int {
		if a.job == stuck || n%3 == 0 {
			return 503
		}
		return 200
	})
	w.begun()
	const jobs, each = 7, 12
	for range each {
		for job := range jobs {
			w.say(job, 0, contract.Queued)
		}
	}
	arrivedOf := func() map[string][]int {
		taken := make(map[string][]int)
		for _, a := range w.arrived() {
			if list := taken[a.job]; !slices.Contains(list, a.seq) {
				taken[a.job] = append(list, a.seq)
			}
		}
		return taken
	}
	w.eventually("all of the other jobs", func() bool {
		taken := arrivedOf()
		for job := 1; job < jobs; job++ {
			if len(taken[contract.KeyID("test", fmt.Sprint(job))]) < each {
				return false
			}
		}
		return true
	})
	if n := len(arrivedOf()[stuck]); n != 1 {
		t.Errorf("%d events of a job whose first is refused", n)
	}
	s, _ := w.state()
	if s.Seq != 0 || s.Failing == nil || s.Failing.Seq != 1 || s.Failing.Status != 503 || s.Failing.Tries < 2 {
		t.Errorf("%+v", s)
	}
	w.answerWith(func(arrival, int) int { return 200 })
	if s := w.noted(jobs * each); s.Failing != nil || s.Delivered != jobs*each {
		t.Errorf("%+v", s)
	}
	for job, list := range arrivedOf() {
		if !slices.IsSorted(list) || len(list) != each {
			t.Errorf("job %s: %v", job, list)
		}
	}
}

// Nothing is lost when a leader ends, dies, or is away while events are said; a leader that ends in peace
// repeats nothing.
func TestGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stop := w.begun()
	for n := range 5 {
		w.say(n, 0, contract.Queued)
	}
	w.noted(5)
	stop()
	for n := range 600 { // more than a feed hands out at once
		w.say(n, 0, contract.Queued)
	}
	stop = w.run()
	w.noted(605)
	stop()
	list := seqs(w.arrived())
	slices.Sort(list)
	if diff := cmp.Diff(to(1, 605), list); diff != "" {
		t.Error(diff)
	}
	w.answerWith(func(arrival, int) int { return 500 })
	w.say(1, 0, contract.Queued)
	stop = w.run()
	w.eventually("refused", func() bool { s, _ := w.state(); return s.Failing != nil })
	first, _ := w.state()
	stop()
	w.run()
	w.eventually("refused again", func() bool {
		s, _ := w.state()
		return s.Failing != nil && s.Failing.NextAt.After(first.Failing.NextAt.Time)
	})
	if s, _ := w.state(); !s.Failing.Since.Equal(first.Failing.Since.Time) {
		t.Errorf("since %s, was %s: the time it is refused for begins anew with each leader", s.Failing.Since, first.Failing.Since)
	}
}

// Two at once, as when a lease is held by one that was paused: every event arrives, and the record goes only on.
// Repeats come late; but what comes for the first time is in order for each job, so who drops repeats sees order.
func TestTwoLeadersLoseNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.begun()
	w.run(func(o *Options) { o.Lease = w.stream.Lease("another", "x") })
	both := make(chan struct{}) // closed when both have brought the first event
	var first atomic.Int64
	w.answerWith(func(a arrival, _ int) int {
		if a.seq == 1 {
			if first.Add(1) == 2 {
				close(both)
			}
			<-both
		}
		return 204
	})
	for n := range 200 {
		w.say(n%5, 0, contract.Queued)
	}
	w.noted(200)
	seen, newest, repeats := make(map[int]bool), make(map[string]int), 0
	for _, a := range w.arrived() {
		if seen[a.seq] {
			repeats++
			continue
		}
		if a.seq < newest[a.job] {
			t.Errorf("event %d came for the first time behind %d of the same job", a.seq, newest[a.job])
		}
		seen[a.seq], newest[a.job] = true, a.seq
	}
	list := slices.Sorted(maps.Keys(seen))
	if diff := cmp.Diff(to(1, 200), list); diff != "" {
		t.Error(diff)
	}
	if repeats == 0 {
		t.Error("there were no repeats: the test shows nothing")
	}
}

func TestNATSAwayAndBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.begun()
	w.say(1, 0, contract.Queued)
	w.noted(1)
	w.restart()
	w.say(2, 0, contract.Queued)
	w.noted(2)
}

func TestSetsAsideAndReplays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hook.RetryFor = contract.Duration(50 * time.Millisecond)
	w.answerWith(func(a arrival, _ int) int {
		if a.seq == 2 {
			return 410
		}
		return 200
	})
	w.begun()
	for range 4 {
		w.say(1, 0, contract.Queued)
	}
	s := w.noted(4)
	if s.SetAside != 1 || s.Delivered != 3 || s.Failing != nil || len(s.Aside) != 1 || s.Aside[0] != 2 {
		t.Errorf("%+v", s)
	}
	w.answerWith(func(arrival, int) int { return 200 })
	before := len(w.arrived())
	w.order("first", 2)
	w.eventually("the order is followed", func() bool { s, _ := w.state(); return s.Order == "first" && s.Seq == 4 })
	if got := seqs(w.arrived()[before:]); !slices.Equal(got, []int{2, 3, 4}) {
		t.Errorf("replayed %v", got)
	}
	w.order("first", 1) // the same order again
	w.order("second", 5)
	w.eventually("the next order is followed", func() bool { s, _ := w.state(); return s.Order == "second" })
	w.say(1, 0, contract.Queued)
	w.noted(5)
	if got := seqs(w.arrived()[before:]); !slices.Equal(got, []int{2, 3, 4, 5}) {
		t.Errorf("replayed %v", got)
	}
}

func TestSecretsChangeWithoutARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.begun()
	const fresh = "another-secret-of-the-test"
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(w.hook.SecretFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(secret + "\n\n" + fresh + "\n")
	w.say(1, 0, contract.Queued)
	w.noted(1)
	a := w.arrived()[0]
	for _, s := range []string{secret, fresh} {
		if err := contract.VerifyWebhook(a.header.Get(contract.HeaderSignature), []byte(s), a.body, time.Now(), time.Minute); err != nil {
			t.Error(err)
		}
	}
	write("short")
	w.say(1, 0, contract.Queued)
	w.eventually("told", func() bool {
		s, _ := w.state()
		return s.Failing != nil && strings.Contains(s.Failing.Detail, "at least 16")
	})
	write(fresh)
	w.noted(2)
	if n := len(w.arrived()); n != 2 {
		t.Errorf("%d arrived: one went out unsigned", n)
	}
}

// What is refused is told without the address, which may hold a secret, and no redirect leads anywhere.
func TestRefusalsAreTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*world)
		want   string
	}{
		"redirect": {func(w *world) { w.answerWith(func(arrival, int) int { return 307 }) }, "redirects are not followed"},
		"status":   {func(w *world) { w.answerWith(func(arrival, int) int { return 418 }) }, "it answered 418"},
		"loopback": {func(w *world) { w.hook.Allow = nil }, "127.0.0.1 is a loopback address"},
		"name": {func(w *world) {
			w.hook.Allow, w.hook.URL = nil, strings.Replace(w.hook.URL, "127.0.0.1", "localhost", 1)
		}, "is a loopback address"},
		"metadata": {func(w *world) { w.hook.URL = "http://169.254.169.254/latest?token=x" }, "is a link-local address"},
		"nobody":   {func(w *world) { w.hook.URL = "http://127.0.0.1:1/?token=x" }, "connection refused"},
		"slow": {func(w *world) {
			w.hook.Timeout = contract.Duration(20 * time.Millisecond)
			w.answerWith(func(arrival, int) int { <-w.t.Context().Done(); return 200 })
		}, "Timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.answer = func(arrival, int) int { return 200 }
			c.change(w)
			w.begun()
			w.say(1, 0, contract.Queued)
			w.eventually("told", func() bool { s, _ := w.state(); return s.Failing != nil })
			s, _ := w.state()
			if !strings.Contains(s.Failing.Detail, c.want) || strings.Contains(s.Failing.Detail, "token") {
				t.Errorf("%q does not say %q", s.Failing.Detail, c.want)
			}
			for _, a := range w.arrived() {
				if a.seq != 1 {
					t.Errorf("%+v", a)
				}
			}
		})
	}
}

// A stream that was made anew is delivered from its first event on.
func TestAStreamMadeAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stop := w.begun()
	for range 3 {
		w.say(1, 0, contract.Queued)
	}
	w.noted(3)
	stop()
	nc, err := nats.Connect(w.nats.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), contract.StreamEvents); err != nil {
		t.Fatal(err)
	}
	testenv.MakeStreams(t, w.stream)
	w.say(2, 0, contract.Queued)
	w.run()
	w.noted(1)
	if got := seqs(w.arrived()); !slices.Equal(got, []int{1, 2, 3, 1}) {
		t.Errorf("%v", got)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := New(Options{MaxBackoff: time.Millisecond, Hooks: []contract.Webhook{{Allow: []string{"x"}}}})
	for _, want := range []string{"Lease", "Events", "Records", "MaxBackoff", "Hooks"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in %v", want, err)
		}
	}
}
