package api

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// replay is a bucket that hands over entries, says that it is loaded, and stays.
type replay []stream.Entry

func (r replay) Watch(ctx context.Context, _ string, fn func(stream.Entry) error, loaded func() error) error {
	for _, e := range r {
		if err := fn(e); err != nil {
			return err
		}
	}
	if err := loaded(); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func TestLedgerReadsTheBucket(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	x, err := openIndex("")
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	l := newLedger(slog.New(slog.NewJSONHandler(&logged, nil)), x, newBells())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	const a, b, c = noJob, "01890a5d-ac96-774b-bcce-b302099a8001", "01890a5d-ac96-774b-bcce-b302099a8002"
	doc := func(id, state string) stream.Entry {
		return stream.Entry{Key: contract.JobKey(id), Value: []byte(`{"v":1,"jobId":"` + id + `","state":"` + state + `","submittedAt":"2026-01-01T00:00:00.000Z"}`)}
	}
	go func() {
		done <- l.run(ctx, replay{
			doc(a, "queued"), doc(b, "queued"), doc(a, "running"), {Key: contract.JobKey(b), Deleted: true},
			{Key: contract.JobKey(c), Value: []byte("not a document")}, {Key: contract.KeyCheckpoint, Value: []byte("x")},
			{Key: contract.KeyStats, Value: []byte(`{"succeedJob":1}`)},
		})
	}()
	<-l.loaded()
	if job, err := l.job(ctx, a); err != nil || job.State != contract.StateRunning {
		t.Errorf("%+v, %v", job, err)
	}
	for _, id := range []string{b, c} {
		if _, err := l.job(ctx, id); !isNotFound(err) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if !strings.HasPrefix(string(l.answer.Load().body), `{"succeedJob":1,`) {
		t.Errorf("books %s", l.answer.Load().body)
	}
	if !strings.Contains(logged.String(), contract.JobKey(c)) {
		t.Errorf("the document that cannot be read is not named: %s", logged.String())
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Whoever sees a job counted must not be told of an older state of it: the books wait for the documents.
func TestStatsAreShownBehindTheirDocuments(t *testing.T) {
	t.Parallel()
	x, err := openIndex("")
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	l := newLedger(slog.New(slog.DiscardHandler), x, newBells())
	changes := make(chan change, 10)
	hand := func(c change) error { changes <- c; return nil }
	for _, e := range []stream.Entry{
		{Key: contract.JobKey(noJob), Value: []byte(`{"v":1,"jobId":"` + noJob + `","state":"succeeded","submittedAt":"2026-01-01T00:00:00.000Z"}`)},
		{Key: contract.KeyStats, Value: []byte(`{"succeedJob":1,"asOf":{"seq":7,"time":"2026-01-01T00:00:00.000Z"}}`)},
	} {
		if err := l.take(e, hand); err != nil {
			t.Fatal(err)
		}
	}
	if seq := l.books.asOf().Seq; seq != 0 {
		t.Errorf("the books are shown as of %d, and no document is there", seq)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	changes <- change{loaded: true}
	go func() { done <- l.write(ctx, changes) }()
	<-l.loaded()
	job, err := l.job(ctx, noJob)
	if err != nil || job.State != contract.StateSucceeded || l.books.asOf().Seq != 7 {
		t.Errorf("%+v, %v, as of %d", job, err, l.books.asOf().Seq)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
