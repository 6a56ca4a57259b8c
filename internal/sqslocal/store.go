package sqslocal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/jonboulle/clockwork"
)

const (
	maxWaitingWork = 1024 // requests that may queue up before the store
	maxGroup       = 256  // requests that share one commit
)

var errClosed = serviceUnavailable.errorf("The server is shutting down.")

// store owns the database. One goroutine does all the work, so that nothing
// needs a lock and every counter is exact; requests that arrive while it works
// share the next transaction, so that a burst costs few commits. An answer is
// given only after the commit that holds it.
type store struct {
	db      *sql.DB
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt
	queues  map[string]*queue
	lines   map[string]*line // long polls by queue
	clock   clockwork.Clock
	alarm   clockwork.Timer // rings when a hidden message becomes visible to a poll
	log     *slog.Logger
	address address
	faults  *Faults
	limit   int64 // messages of one queue in flight

	work     chan *request
	draining chan struct{} // closed when no poll may wait any more
	drain    func()
	closing  chan struct{} // closed when no request is taken any more
	close    func()
	gone     chan struct{} // closed when the goroutine has ended
	shutting sync.Mutex
}

// request is one piece of work and the place where its result is awaited.
type request struct {
	ctx  context.Context
	run  func(*tx) error
	err  error
	done chan struct{}
}

// tx is the transaction that a request runs in. It may be shared with others:
// work checks everything before it writes anything, and returns an *Error for
// a refusal. Any other error takes the whole group down.
type tx struct {
	*store
	now    int64 // milliseconds
	joined []*poll
	served []*poll
}

func openStore(ctx context.Context, o Options) (*store, error) {
	db, conn, err := openDatabase(ctx, o.Path)
	if err != nil {
		return nil, err
	}
	s := &store{
		db: db, conn: conn, stmts: map[string]*sql.Stmt{}, lines: map[string]*line{},
		clock: o.Clock, log: o.Log, address: address{o.Region, o.AccountID}, faults: o.Faults, limit: maxInFlight,
		work: make(chan *request, maxWaitingWork), gone: make(chan struct{}),
		draining: make(chan struct{}), closing: make(chan struct{}),
	}
	s.drain = sync.OnceFunc(func() { close(s.draining) })
	s.close = sync.OnceFunc(func() { close(s.closing) })
	if err := s.loadQueues(); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", o.Path, err), conn.Close(), db.Close())
	}
	go s.loop()
	return s, nil
}

// do runs work in a transaction and returns once it is committed. A context
// that ends before the work has begun means that it never begins; after that
// its result is waited for.
func (s *store) do(ctx context.Context, run func(*tx) error) error {
	r := &request{ctx: ctx, run: run, done: make(chan struct{})}
	select {
	case <-s.closing: // checked alone first, because select picks at random
		return errClosed
	default:
	}
	select {
	case s.work <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return errClosed
	}
	select {
	case <-r.done:
		return r.err
	case <-s.gone:
	}
	select {
	case <-r.done:
		return r.err
	default:
		return errClosed // the store ended before it came to this request
	}
}

// shut ends the goroutine after the group it is in and closes the file.
func (s *store) shut() error {
	s.drain()
	s.close()
	<-s.gone
	s.shutting.Lock()
	defer s.shutting.Unlock()
	if s.stmts == nil {
		return nil // somebody was here before
	}
	var faults []error
	for _, stmt := range s.stmts {
		faults = append(faults, stmt.Close())
	}
	s.stmts = nil
	return errors.Join(append(faults, s.conn.Close(), s.db.Close())...)
}

func (s *store) loop() {
	defer close(s.gone)
	defer s.endAllPolls()
	s.alarm = s.clock.NewTimer(0)
	defer s.alarm.Stop()
	for {
		select {
		case <-s.closing:
			return
		case r := <-s.work:
			s.group(r)
		case <-s.alarm.Chan():
			s.group(nil)
		}
	}
}

// group runs first, and whatever else is waiting by then, in one transaction.
func (s *store) group(first *request) {
	t := &tx{store: s, now: s.clock.Now().UnixMilli()}
	done, err := t.runGroup(first)
	if err != nil {
		s.log.Error("sqs transaction rolled back", "requests", len(done), "error", err)
		t.rollback(done, err)
	} else {
		t.endServed()
	}
	for _, r := range done {
		close(r.done)
	}
	s.setAlarm()
}

func (t *tx) runGroup(first *request) ([]*request, error) {
	var done []*request
	if first != nil {
		done = append(done, first)
	}
	if err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return done, fmt.Errorf("begin: %w", err)
	}
	for next := first; next != nil; next = t.next(len(done)) {
		if next != first {
			done = append(done, next)
		}
		if err := t.runOne(next); err != nil {
			return done, err
		}
	}
	if err := t.servePolls(); err != nil {
		return done, err
	}
	if err := t.exec("COMMIT"); err != nil {
		return done, fmt.Errorf("commit: %w", err)
	}
	return done, nil
}

// next is a request that is already waiting, if the group has room for it.
func (t *tx) next(size int) *request {
	if size >= maxGroup {
		return nil
	}
	select {
	case r := <-t.work:
		return r
	default:
		return nil
	}
}

func (t *tx) runOne(r *request) error {
	if r.err = r.ctx.Err(); r.err != nil {
		return nil // whoever asked is gone: nothing may happen in their name
	}
	r.err = r.run(t)
	if r.err == nil || refusalOf(r.err) != nil {
		return nil
	}
	return r.err
}

// rollback undoes the group and tells everybody in it.
func (t *tx) rollback(done []*request, err error) {
	for _, r := range done {
		r.err = err
	}
	// The transaction may be gone already, so what ROLLBACK says is no news.
	_, _ = t.conn.ExecContext(context.Background(), "ROLLBACK")
	if err := t.loadQueues(); err != nil {
		t.log.Error("sqs queues not readable after a rollback", "error", err)
	}
	t.abandonPolls(err)
}

// exec and its two sisters run one statement, prepared at its first use. They
// take no context: what was begun is ended, and each of them is short.
func (s *store) exec(query string, values ...any) error {
	_, err := s.execCount(query, values...)
	return err
}

func (s *store) execCount(query string, values ...any) (int64, error) {
	stmt, err := s.stmt(query)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(context.Background(), values...)
	if err != nil {
		return 0, fmt.Errorf("%.40s: %w", query, err)
	}
	return result.RowsAffected()
}

// execID runs an insert and returns the number of the new row.
func (s *store) execID(query string, values ...any) (int64, error) {
	stmt, err := s.stmt(query)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(context.Background(), values...)
	if err != nil {
		return 0, fmt.Errorf("%.40s: %w", query, err)
	}
	return result.LastInsertId()
}

// each calls scan for every row of the query's result.
func (s *store) each(query string, values []any, scan func(*sql.Rows) error) (err error) {
	stmt, err := s.stmt(query)
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(context.Background(), values...)
	if err != nil {
		return fmt.Errorf("%.40s: %w", query, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("%.40s: %w", query, err)
		}
	}
	return rows.Err()
}

func (s *store) stmt(query string) (*sql.Stmt, error) {
	if stmt, ok := s.stmts[query]; ok {
		return stmt, nil
	}
	stmt, err := s.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("prepare %.40s: %w", query, err)
	}
	s.stmts[query] = stmt
	return stmt, nil
}
