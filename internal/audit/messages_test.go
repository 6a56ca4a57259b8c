package audit

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"tallyman/contract"
	"tallyman/internal/queue"
	"tallyman/internal/stream"
)

// visible is an SQS with so many messages.
type visible int

func (v visible) Counts(context.Context, string) (queue.Counts, error) {
	return queue.Counts{Visible: int(v)}, nil
}

// queuedJobs is a ledger with n jobs that are queued, and the replay of it.
func queuedJobs(n int) (*log, shelf) {
	l := &log{
		info: stream.Info{First: 1, Last: 10}, whole: true, docs: map[string][]byte{},
		books: []stream.Entry{{Key: contract.KeyStats, Value: []byte(tenth)}},
	}
	ledger := shelf{}
	for i := range n {
		doc := fmt.Sprintf(`{"jobId":"%s","queue":"default","state":"queued","run":1,"runs":[{"run":1}]}`, numbered(i))
		l.docs[numbered(i)] = []byte(doc)
		ledger.put(contract.JobKey(numbered(i)), doc, 1)
	}
	ledger.put(contract.KeyStats, tenth, 2)
	return l, ledger
}

// However many wait, all of them are held to all messages: a sample of them would always find its messages.
func TestAllThatWaitIsHeldToAllMessages(t *testing.T) {
	t.Parallel()
	for _, n := range []int{10, maxWaiting, maxWaiting + 1, 5 * maxWaiting} {
		for messages, lost := range map[int]int{n: 0, n + 1: 0, n - 1: 1, n * 2 / 5: n - n*2/5} {
			l, ledger := queuedJobs(n)
			o := Options{Events: l, Replay: func() Replay { return l }, Ledger: ledger, Claims: shelf{}, Counter: visible(messages)}
			r := twice(t, o, clockwork.NewFakeClock())
			if r.Unaccounted != lost || r.Pending > 0 || len(r.Unchecked) > 0 {
				t.Errorf("%d queued, %d messages: unaccounted %d, pending %d, not looked at %q", n, messages, r.Unaccounted, r.Pending, r.Unchecked)
			}
			for _, f := range r.Findings {
				if f.Kind != contract.MessageMissing || len(f.Jobs) != contract.MaxAuditJobs {
					t.Errorf("%d queued, %d messages: %+v", n, messages, f)
				}
			}
		}
		l, ledger := queuedJobs(n)
		r := twice(t, Options{Events: l, Replay: func() Replay { return l }, Ledger: ledger, Claims: shelf{}}, clockwork.NewFakeClock())
		if r.Unaccounted == 0 {
			t.Errorf("%d queued, and no message at all: %+v", n, r.Findings)
		}
	}
}

// What many wait for was counted once in an audit, so only another audit, after SQS's counters cannot lag any more, makes sure.
func TestOneCountOfManyIsNotBelieved(t *testing.T) {
	t.Parallel()
	clock := clockwork.NewFakeClock()
	l, ledger := queuedJobs(2 * maxWaiting)
	o := Options{Events: l, Replay: func() Replay { return l }, Ledger: ledger, Claims: shelf{}, Counter: visible(maxWaiting), Clock: clock}
	a := auditor(t, o)
	first, err := a.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	clock.Advance(DefaultCounterLag - time.Second)
	second, err := a.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if first.Pending != 1 || second.Pending != 1 || first.Unaccounted+second.Unaccounted > 0 {
		t.Errorf("%+v, then %+v", first, second)
	}
	clock.Advance(2 * time.Second)
	if third, err := a.Run(t.Context()); err != nil || third.Unaccounted != maxWaiting {
		t.Errorf("%+v, %v", third, err)
	}
}
