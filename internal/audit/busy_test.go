package audit

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jonboulle/clockwork"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// busy is a ledger whose leader commits while its documents are listed, as it does all the time where much goes on.
type busy struct {
	shelf
	revision uint64
	commit   func() // before documents are listed
	more     func() // when they have been
}

func (b *busy) Each(ctx context.Context, filter string, fn func(stream.Entry) error) error {
	if filter != contract.JobKey("*") {
		return b.shelf.Each(ctx, filter, fn)
	}
	b.commit()
	err := b.shelf.Each(ctx, filter, fn)
	if b.more != nil {
		b.more()
	}
	return err
}

// write is a commit of n documents, after which the replay knows them.
func (b *busy) write(l *log, stats string, n int, state contract.State) {
	for i := range n {
		id := numbered(i)
		doc := fmt.Sprintf(`{"jobId":"%s","state":"%s"}`, id, state)
		l.docs[id] = []byte(doc)
		b.revision++
		b.put(contract.JobKey(id), doc, b.revision)
	}
	b.revision++
	b.put(contract.KeyStats, stats, b.revision)
}

const offByThree = `{"asOf":{"seq":10},"balance":{"off":3}}`

// However many documents are newer than the stats, what does not fit is found beside them.
func TestABusySystemHidesNothing(t *testing.T) {
	t.Parallel()
	for _, n := range []int{100, 600, 2 * maxSuspects} {
		l := &log{
			info: stream.Info{First: 1, Last: 10}, whole: true, docs: map[string][]byte{},
			books: []stream.Entry{{Key: contract.KeyStats, Value: []byte(offByThree)}},
		}
		ledger := &busy{shelf: shelf{}}
		ledger.commit = func() { ledger.write(l, offByThree, n, contract.StateQueued) }
		ledger.write(l, offByThree, 0, "")
		r := twice(t, Options{Events: l, Replay: func() Replay { return l }, Ledger: ledger, Claims: shelf{}}, clockwork.NewFakeClock())
		onlyFound(t, &r, contract.StatsDiffer, "3 sums")
		if len(r.Unchecked)+len(r.Remarks)+r.Pending > 0 {
			t.Errorf("%d documents in one commit, and nothing else happens: not looked at %q, remarks %q, pending %d", n, r.Unchecked, r.Remarks, r.Pending)
		}
	}
}

// Where more documents go on changing than are looked at again, that is told, and is no fault; what does not fit is found.
func TestWhatChangesAllTheTimeIsRemarked(t *testing.T) {
	t.Parallel()
	for _, stats := range []string{tenth, offByThree} {
		l := &log{
			info: stream.Info{First: 1, Last: 10}, whole: true, docs: map[string][]byte{},
			books: []stream.Entry{{Key: contract.KeyStats, Value: []byte(stats)}},
		}
		ledger := &busy{shelf: shelf{}}
		ledger.commit = func() { ledger.write(l, stats, 2*maxSuspects, contract.StateQueued) }
		ledger.more = func() { ledger.write(l, stats, 2*maxSuspects, contract.StateRunning) }
		ledger.write(l, stats, 0, "")
		r := twice(t, Options{Events: l, Replay: func() Replay { return l }, Ledger: ledger, Claims: shelf{}}, clockwork.NewFakeClock())
		if stats == offByThree {
			onlyFound(t, &r, contract.StatsDiffer, "3 sums")
		} else if !r.Clean() || r.Pending > 0 {
			t.Errorf("%+v", r)
		}
		says := fmt.Sprintf("%d jobs changed while", 2*maxSuspects-maxMoving)
		if len(r.Remarks) != 1 || !strings.Contains(r.Remarks[0], says) || len(r.Unchecked) > 0 {
			t.Errorf("remarks %q, not looked at %q; a remark is to say %q", r.Remarks, r.Unchecked, says)
		}
	}
}

// Where more does not fit than is judged one by one, nobody takes what was not judged for right.
func TestMoreSuspectsThanAreJudgedAreTold(t *testing.T) {
	t.Parallel()
	l := &log{
		info: stream.Info{First: 1, Last: 10}, whole: true, docs: map[string][]byte{},
		books: []stream.Entry{{Key: contract.KeyStats, Value: []byte(tenth)}},
	}
	ledger := &busy{shelf: shelf{}, commit: func() {}}
	ledger.write(l, tenth, maxSuspects+1, contract.StateQueued)
	clear(l.docs) // nothing of them was ever said
	r := twice(t, Options{Events: l, Replay: func() Replay { return l }, Ledger: ledger, Claims: shelf{}}, clockwork.NewFakeClock())
	says := fmt.Sprintf("more than %d", maxSuspects)
	if r.Unaccounted < maxSuspects-1 || len(r.Unchecked) != 1 || !strings.Contains(r.Unchecked[0], says) {
		t.Errorf("unaccounted %d, not looked at %q; it is to say %q", r.Unaccounted, r.Unchecked, says)
	}
}

// Claims that were written behind the documents are of jobs that go on; more of them than are judged are told, too.
func TestClaimsOfWhatGoesOnAreRemarked(t *testing.T) {
	t.Parallel()
	clock := clockwork.NewFakeClock()
	l := &log{
		info: stream.Info{First: 1, Last: 10}, whole: true, docs: map[string][]byte{},
		books: []stream.Entry{{Key: contract.KeyStats, Value: []byte(tenth)}},
	}
	ledger, claims := shelf{}, shelf{}
	ledger.put(contract.KeyStats, tenth, 2)
	for i := range maxSuspects + 1 {
		claims.keep(t, contract.RunKey("default", numbered(i), 1), &contract.RunRecord{Owner: "u"}, clock.Now())
	}
	a := auditor(t, Options{Events: l, Replay: func() Replay { return l }, Ledger: ledger, Claims: claims, Clock: clock})
	r, err := a.lookAtAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	says := fmt.Sprintf("%d jobs changed while", maxSuspects+1-maxMoving)
	if len(r.unchecked) > 0 || len(r.remarks) != 1 || !strings.Contains(r.remarks[0], says) {
		t.Errorf("not looked at %q, remarks %q; a remark is to say %q", r.unchecked, r.remarks, says)
	}
}
