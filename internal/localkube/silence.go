package localkube

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
)

// Bounds of what a processor that takes no job may cost: a first pause, doubled with every pod that failed,
// and how often it is complained of.
const (
	firstSilence  = 100 * time.Millisecond
	maxSilence    = 5 * time.Second
	complainEvery = time.Minute
)

// silence is how the claims of one queue went lately. While they fail or say nothing at all, one unit is
// made at a time, and ever more seldom: with a processor that cannot work every message would make units
// as fast as the queue is asked, for ever, and nobody would hear why no job begins.
type silence struct {
	mu       sync.Mutex
	failures int
	until    time.Time // no unit before this
	told     time.Time // when it was complained of last
}

// most is how many units may be made now of those that are wanted.
func (s *silence) most(wanted int64, now time.Time) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failures == 0:
		return wanted
	case wanted == 0 || now.Before(s.until):
		return 0
	}
	s.wait(now) // for this one to fail or to speak
	return 1
}

// wait holds the next unit back.
func (s *silence) wait(now time.Time) {
	s.until = now.Add(min(firstSilence<<min(s.failures-1, 10), maxSilence))
}

// spoke: a claim did what it is for.
func (s *silence) spoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures, s.until = 0, time.Time{}
}

// failed counts a claim that did not.
func (s *silence) failed(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures++
	s.wait(now)
}

// tells is whether it is time to complain.
func (s *silence) tells(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.told.IsZero() && now.Sub(s.told) < complainEvery {
		return false
	}
	s.told = now
	return true
}

// hear judges how a pod's claim ended, if it did so by itself. One that ended well has left something
// behind: a task, or a word that there was none.
func (u *unit) hear(ctx context.Context, name string, ended corev1.ContainerStateTerminated, dir podDir, out *boundedLog) {
	if name != contract.ContainerClaim || ctx.Err() != nil {
		return
	}
	s, now := u.kube.silences[u.queue.Name], u.kube.now()
	if didItsPart(ended, dir.hasTask()) {
		s.spoke()
		return
	}
	s.failed(now)
	if !s.tells(now) {
		return
	}
	what := "the processor could not take a job; jobs wait until it can"
	if ended.Message == "" {
		what = "the processor ended without a word and took no job; jobs wait until it does: is it the one that `make build` makes?"
	}
	u.kube.o.Log.Warn(what, slog.String("queue", u.queue.Name), slog.String("processor", u.kube.o.Processor),
		slog.Int("exitCode", int(ended.ExitCode)), slog.String("said", ended.Message), slog.String("lastLine", out.lastLine()))
}

// didItsPart tells whether a claim did what it is for: it took a task, or said that there was none, or ended
// a run by its record, as of one that was cancelled before its work began.
func didItsPart(ended corev1.ContainerStateTerminated, hasTask bool) bool {
	if ended.ExitCode == 0 {
		return ended.Message != "" || hasTask
	}
	var word struct {
		Recorded bool `json:"recorded"`
	}
	return json.Unmarshal([]byte(ended.Message), &word) == nil && word.Recorded
}

// watch complains of a claim that takes longer than any may, until stop is called. It is left to run: so
// would Kubernetes.
func (u *unit) watch(name string, out *boundedLog) (stop func()) {
	if name != contract.ContainerClaim {
		return func() {}
	}
	timer := u.kube.o.Clock.AfterFunc(u.kube.o.ClaimPatience, func() {
		if u.kube.silences[u.queue.Name].tells(u.kube.now()) {
			u.kube.o.Log.Warn("the processor has taken no job and does not end; jobs wait until it does: is it the one that `make build` makes?",
				"queue", u.queue.Name, "processor", u.kube.o.Processor, "after", u.kube.o.ClaimPatience.String(), "lastLine", out.lastLine())
		}
	})
	return func() { timer.Stop() }
}
