package audit

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// lookAtBooks suspects every other document of the bucket that is not what the events add up to. Where the
// stream no longer begins at its beginning, or has gaps, their sums cannot be told from it, and that is said.
func (l *look) lookAtBooks(ctx context.Context) error {
	if b := &l.shown.Balance; b.Gap || b.Off > 0 {
		l.suspect(subject{key: contract.KeyStats})
	}
	if !l.comparable() {
		return nil
	}
	if seq := l.replay.Foreign(); seq >= l.replay.First() {
		l.remark("stats, books and windows were not compared with the stream, nor jobs whose events begin before %s: another version of the "+
			"aggregator folded those. Where the stream has all of them, the bucket can be made anew: %s", foreignTo(seq), rebuild)
		return nil
	}
	if !l.replay.Whole() {
		from := fmt.Sprintf("begins at %d", l.replay.First())
		for first := range l.replay.Gaps() {
			from += fmt.Sprintf(", and does not have %d", first)
			break
		}
		l.remark("stats, books and windows were not compared with the stream: it no longer has every event from the very first on (it %s), "+
			"so it cannot tell their sums; each job's document was compared, but not those whose first events it no longer has", from)
		return nil
	}
	want, err := l.wanted()
	if err != nil {
		return err
	}
	if !bytes.Equal(want[contract.KeyStats], l.stats.Value) {
		l.suspect(subject{key: contract.KeyStats})
	}
	there := make(map[string]bool)
	for _, filter := range []string{contract.BookKeys, contract.WindowKeys} {
		err := l.o.Ledger.Each(ctx, filter, func(e stream.Entry) error {
			there[e.Key] = true
			if e.Revision > l.stats.Revision || !bytes.Equal(want[e.Key], e.Value) {
				l.suspect(subject{key: e.Key})
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for key, value := range want {
		if !there[key] && mustBeThere(value) {
			l.suspect(subject{key: key})
		}
	}
	return nil
}

// mustBeThere tells whether something is counted in a book or window. Of what is empty there need be no document: it
// may have become so before it was ever written.
func mustBeThere(value []byte) bool {
	var b contract.Book
	return json.Unmarshal(value, &b) == nil && b.Queue != "" && !b.Empty()
}

// foreignTo says where the present version begins.
func foreignTo(seq uint64) string {
	if seq == math.MaxUint64 {
		return "now"
	}
	return fmt.Sprint(seq + 1)
}

// wanted is what the replay says the bucket must hold besides the jobs. It is kept while the replay stays where it is:
// many keys may be judged by it.
func (l *look) wanted() (map[string][]byte, error) {
	if l.want != nil && l.wantSeq == l.replay.Seq() {
		return l.want, nil
	}
	all, err := l.replay.Books()
	if err != nil {
		return nil, err
	}
	l.want, l.wantSeq = make(map[string][]byte, len(all)), l.replay.Seq()
	for _, e := range all {
		l.want[e.Key] = e.Value
	}
	return l.want, nil
}

// judgeKey holds one of them to the replay at the very event that it is of.
func (l *look) judgeKey(ctx context.Context, key string) ([]suspicion, error) {
	e, err := l.settledEntry(ctx, key)
	if err != nil {
		return nil, err
	}
	if b := &l.shown.Balance; key == contract.KeyStats && (b.Gap || b.Off > 0) {
		return l.unbalanced(), nil
	}
	if ok, err := l.level(ctx); err != nil || !ok || !l.replay.Whole() {
		return nil, err
	}
	want, err := l.wanted()
	if gone := e.Revision == 0; err != nil || gone && !mustBeThere(want[key]) || bytes.Equal(want[key], e.Value) {
		return nil, err
	}
	s := suspicion{patience: patience, finding: contract.Finding{
		Kind: contract.StatsDiffer, Key: key, Seq: l.seq,
		Says: fmt.Sprintf("%s/%s is not what the events up to %d add up to: somebody else wrote to the bucket", contract.BucketJobs, key, l.seq),
		Do:   rebuild,
	}}
	if e.Revision == 0 {
		s.finding.Says = fmt.Sprintf("%s/%s is not there, and the events up to %d add up to it: somebody else removed it", contract.BucketJobs, key, l.seq)
	}
	if e.Revision > l.stats.Revision {
		s.evidence = fmt.Sprint(e.Revision)
	}
	return []suspicion{s}, nil
}

// maxStray is how often the stats are read again for a document that is newer.
const maxStray = 3

// settledEntry reads the stats and then a key, again where the key is of a later commit than they are. Its
// revision is 0 where it is not there.
func (l *look) settledEntry(ctx context.Context, key string) (e stream.Entry, err error) {
	for range maxStray {
		if err := l.readStats(ctx); err != nil {
			return e, err
		}
		if e = l.stats; key != contract.KeyStats {
			e, err = l.o.Ledger.Get(ctx, key)
		}
		if errors.Is(err, stream.ErrNotFound) {
			return stream.Entry{}, nil
		}
		if err != nil || e.Revision <= l.stats.Revision {
			return e, err
		}
	}
	return e, nil
}

// holes suspects that events were taken out of the stream behind the ledger's back: it has come past them and
// wrote no gap down, so it counted them. Those that a document lists are told with their job; what is left are
// events that only moved sums, such as a unit without work.
func (l *look) holes() []suspicion {
	var first, last uint64
	count, b := 0, &l.shown.Balance
	for from, to := range l.replay.Gaps() {
		for seq := from; seq <= min(to, l.looked); seq++ {
			if recorded := b.GapAt <= seq && seq <= b.GapTo; recorded {
				seq = b.GapTo
				continue
			}
			if !l.named[seq] {
				first, last = cmp.Or(first, seq), seq
				count++
			}
		}
	}
	if count == 0 {
		return nil
	}
	return []suspicion{{patience: patience, evidence: fmt.Sprint(first, " ", last, " ", count), finding: contract.Finding{
		Kind: contract.EventMissing, Key: contract.StreamEvents, Seq: first, Count: count,
		Says: fmt.Sprintf("the stream %s no longer has %d events of %d to %d, which the ledger has counted and of which no document tells",
			contract.StreamEvents, count, first, last),
		Do: "restore the stream from its backup, and see who may change it. Where there is no backup, the books can be made anew of what is left: " +
			rebuild + fmt.Sprintf(", with --accept-gaps-to %d", last),
	}}}
}

// rebuild is what mends every document.
const rebuild = "stop the aggregator, run `nats kv del " + contract.BucketJobs + "`, and start it: it makes the bucket again from the stream"

// unbalanced says what the aggregator itself found.
func (l *look) unbalanced() []suspicion {
	b := &l.shown.Balance
	if b.Gap {
		return []suspicion{{finding: contract.Finding{
			Kind: contract.LedgerGap, Key: contract.StreamEvents, Seq: b.GapAt,
			Says: fmt.Sprintf("the stream has no event for %d sequences of %d to %d, and none of them was counted", b.Missing, b.GapAt, b.GapTo),
			Do: "bridges have said again what claims hold; what is missing still is named job by job. Give the stream more room " +
				"(nats stream edit " + contract.StreamEvents + ") if it was full. Where nothing was in them (docs/runbook.md), " +
				fmt.Sprintf("start the aggregators with --accept-gaps-to %d", b.GapTo),
		}}}
	}
	return []suspicion{{finding: contract.Finding{
		Kind: contract.StatsDiffer, Key: contract.KeyStats, Seq: l.seq,
		Says: fmt.Sprintf("%d sums are not those of the jobs' documents: somebody else wrote to the bucket %s", b.Off, contract.BucketJobs),
		Do:   rebuild,
	}}}
}
