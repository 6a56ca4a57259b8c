package api

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/dispatch"
	"tallyman/internal/queue"
	"tallyman/internal/stream"
)

// blank is every port, well and empty: nothing is kept behind it, and nothing fails.
type blank struct{}

func (blank) Get(context.Context, string) (stream.Entry, error) {
	return stream.Entry{}, stream.ErrNotFound
}

func (blank) Create(context.Context, string, []byte) (uint64, error) { return 1, nil }

func (blank) Put(context.Context, string, []byte) (uint64, error) { return 1, nil }

func (blank) Delete(context.Context, string, uint64) error { return nil }

func (blank) Event(context.Context, uint64) (stream.Stored, error) {
	return stream.Stored{}, stream.ErrNotFound
}

func (blank) Info(context.Context) (stream.Info, error) { return stream.Info{}, nil }

func (blank) Page(context.Context, uint64, int) ([]stream.Stored, error) { return nil, nil }

func (blank) Since(context.Context, time.Time) (uint64, error) { return 0, stream.ErrNotFound }

func (blank) Ready(context.Context) error { return nil }

func (blank) At(context.Context, uint64, time.Time) ([]stream.Entry, error) { return nil, nil }

func (blank) Follow(ctx context.Context, _ uint64, _ func(stream.Stored) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func (blank) Subscribe(ctx context.Context, _ string, _ func(string, []byte)) error {
	<-ctx.Done()
	return ctx.Err()
}

func (blank) Submit(context.Context, contract.Task) (contract.State, error) {
	return contract.StateQueued, nil
}

func (blank) SubmitKeyed(context.Context, contract.Task) (contract.State, error) {
	return contract.StateQueued, nil
}

func (blank) Successor(_ context.Context, t contract.Task, _ contract.TaskSource, _ contract.Time) (contract.Task, error) {
	return t, nil
}

func (blank) Cancel(_ context.Context, t contract.Task, _ func(int) bool) (dispatch.Cancelled, error) {
	return dispatch.Cancelled{Run: t.Run}, nil
}

func (blank) CancelUnclaimed(context.Context, contract.Task) (bool, error) { return true, nil }

func (blank) Counts(context.Context, string) (queue.Counts, error) { return queue.Counts{}, nil }

func (blank) Run(context.Context) (contract.AuditReport, error) { return report(), nil }

func (blank) LastScaling(context.Context, string) ([]contract.Scaling, error) { return nil, nil }

// away is every port with NATS away: reads never load, writes are refused.
type away struct{}

func (away) Watch(ctx context.Context, _ string, _ func(stream.Entry) error, _ func() error) error {
	<-ctx.Done()
	return ctx.Err()
}

func (away) Get(context.Context, string) (stream.Entry, error) {
	return stream.Entry{}, stream.ErrUnavailable
}

func (away) Create(context.Context, string, []byte) (uint64, error) { return 0, stream.ErrUnavailable }

func (away) Put(context.Context, string, []byte) (uint64, error) { return 0, stream.ErrUnavailable }

func (away) Delete(context.Context, string, uint64) error { return stream.ErrUnavailable }

func (away) Event(context.Context, uint64) (stream.Stored, error) {
	return stream.Stored{}, stream.ErrUnavailable
}

func (away) Info(context.Context) (stream.Info, error) { return stream.Info{}, stream.ErrUnavailable }

func (away) Follow(ctx context.Context, _ uint64, _ func(stream.Stored) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func (away) Subscribe(ctx context.Context, _ string, _ func(string, []byte)) error {
	<-ctx.Done()
	return ctx.Err()
}

func (away) Page(context.Context, uint64, int) ([]stream.Stored, error) {
	return nil, stream.ErrUnavailable
}

func (away) Since(context.Context, time.Time) (uint64, error) { return 0, stream.ErrUnavailable }

func (away) Ready(context.Context) error { return stream.ErrUnavailable }

func (away) Submit(context.Context, contract.Task) (contract.State, error) {
	return "", stream.ErrUnavailable
}

func (away) SubmitKeyed(context.Context, contract.Task) (contract.State, error) {
	return "", stream.ErrUnavailable
}

func (away) Successor(context.Context, contract.Task, contract.TaskSource, contract.Time) (contract.Task, error) {
	return contract.Task{}, stream.ErrUnavailable
}

func (away) Cancel(context.Context, contract.Task, func(int) bool) (dispatch.Cancelled, error) {
	return dispatch.Cancelled{}, stream.ErrUnavailable
}

func (away) CancelUnclaimed(context.Context, contract.Task) (bool, error) {
	return false, stream.ErrUnavailable
}

func (away) Counts(context.Context, string) (queue.Counts, error) {
	return queue.Counts{}, queue.ErrUnavailable
}

func (away) LastScaling(context.Context, string) ([]contract.Scaling, error) {
	return nil, stream.ErrUnavailable
}

func (away) Run(context.Context) (contract.AuditReport, error) {
	return contract.AuditReport{}, stream.ErrUnavailable
}

func blankOptions() Options {
	return Options{
		Addr: "127.0.0.1:0", Config: testConfig("u"), Jobs: replay{}, Schedules: blank{}, Ticks: replay{}, Output: blank{}, Webhooks: blank{},
		Events: blank{}, Signals: blank{}, Dispatch: blank{}, Cron: minutely{}, Past: blank{}, Log: slog.New(slog.DiscardHandler),
		Claims: blank{}, Counter: blank{}, Remarks: blank{}, Auditor: blank{}, Reports: replay{},
	}
}

// serve runs s until the test ends.
func serve(t testing.TB, s *Server) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// gone is a stream that no longer has any event.
type gone struct{ *stream.Stream }

func (gone) Event(context.Context, uint64) (stream.Stored, error) {
	return stream.Stored{}, stream.ErrNotFound
}

// lagging is a NATS of three whose server that answers reads has stored no more than the first so many events, though
// the leader has all. Nobody who follows there is told anything.
type lagging struct {
	*stream.Stream
	until  atomic.Uint64
	missed atomic.Int64 // pages in which something was
}

// lagged puts the events of a world behind one that has caught up.
func lagged(o *Options) *lagging {
	l := &lagging{Stream: o.Events.(*stream.Stream)}
	l.catchUp()
	o.Events = l
	return l
}

func (l *lagging) catchUp() { l.until.Store(math.MaxUint64) }

func (l *lagging) Event(ctx context.Context, seq uint64) (stream.Stored, error) {
	if seq <= l.until.Load() {
		return l.Stream.Event(ctx, seq)
	}
	info, err := l.Info(ctx)
	if err == nil {
		err = info.Absent(seq)
	}
	return stream.Stored{}, err
}

func (l *lagging) Page(ctx context.Context, from uint64, limit int) ([]stream.Stored, error) {
	all, err := l.Stream.Page(ctx, from, limit)
	until := l.until.Load()
	has := slices.IndexFunc(all, func(st stream.Stored) bool { return st.Seq > until })
	if has < 0 {
		return all, err
	}
	l.missed.Add(1)
	return all[:has], err
}

func (l *lagging) Follow(ctx context.Context, _ uint64, _ func(stream.Stored) error) error {
	<-ctx.Done()
	return ctx.Err()
}
