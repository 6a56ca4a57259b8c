package api

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// index holds the documents where they can be searched. It is disposable: the bucket is the truth, so the
// file is made anew at every start and is synced never.
type index struct{ write, read *sql.DB }

const indexSchema = `CREATE TABLE jobs (id TEXT PRIMARY KEY, submitted INTEGER, updated INTEGER, state TEXT, queue TEXT, type TEXT, doc BLOB) STRICT`

// indexOrders are what lists are read by. They are made once all is there: to keep five of them in order while a
// million documents come, in no order at all, takes longer than the documents do.
const indexOrders = `
CREATE INDEX newest   ON jobs (submitted, id);
CREATE INDEX by_state ON jobs (state, submitted, id);
CREATE INDEX by_queue ON jobs (queue, submitted, id);
CREATE INDEX by_type  ON jobs (type, submitted, id);
CREATE INDEX waiting  ON jobs (queue, submitted, id) WHERE ` + isWaiting + `;`

// isWaiting is of the jobs that nothing has claimed. SQLite takes their index where it is asked for word by word.
const isWaiting = `state IN ('` + string(contract.StateAccepted) + `', '` + string(contract.StateQueued) + `')`

const pragmas = "_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=busy_timeout(5000)&_pragma=cache_size(-16000)"

// indexReaders bounds how many reads are under way beside the one writer.
const indexReaders = 4

// openIndex makes an empty index. With no path it is in memory, on one connection for all.
func openIndex(path string) (*index, error) {
	if path == "" {
		db, err := openDB(":memory:")
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(1)
		return &index{write: db, read: db}, makeTable(db)
	}
	for _, old := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Remove(old); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("index: %w", err)
		}
	}
	uri := "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path) + "?" + pragmas
	write, err := openDB(uri)
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	if err := makeTable(write); err != nil {
		return nil, err
	}
	read, err := openDB(uri)
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(indexReaders)
	return &index{write: write, read: read}, nil
}

func openDB(uri string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", uri)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	db.SetConnMaxIdleTime(0)
	return db, nil
}

// order makes what lists are read by.
func (x *index) order(ctx context.Context) error {
	if _, err := x.write.ExecContext(ctx, indexOrders); err != nil {
		return fmt.Errorf("index: put in order: %w", err)
	}
	return nil
}

// drop empties it, down to the table alone, which is how it is filled fastest.
func (x *index) drop(ctx context.Context) error {
	tx, err := x.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	if _, err := tx.ExecContext(ctx, "DROP TABLE jobs;"+indexSchema); err != nil {
		return errors.Join(fmt.Errorf("index: drop: %w", err), tx.Rollback())
	}
	return tx.Commit()
}

// makeTable makes the one table.
func makeTable(db *sql.DB) error {
	if _, err := db.Exec(indexSchema); err != nil {
		return errors.Join(fmt.Errorf("index: %w", err), db.Close())
	}
	return nil
}

func (x *index) close() {
	x.read.Close()
	if x.write != x.read {
		x.write.Close()
	}
}

// change is a document as the bucket now has it; nil where it is gone. One without an id is one of the others.
type change struct {
	id  string
	doc []byte
	row row

	book   *stream.Entry
	stats  []byte // of a commit, behind all of its documents and books
	loaded bool   // all that was there has been handed over
}

// row is what documents are found by.
type row struct {
	State       contract.State `json:"state"`
	Queue       string         `json:"queue"`
	Type        string         `json:"type"`
	SubmittedAt contract.Time  `json:"submittedAt"`
	UpdatedAt   contract.Time  `json:"updatedAt"`
}

// updated is when anything happened last to the job; never before it was submitted.
func (r *row) updated() int64 { return max(r.UpdatedAt.UnixMilli(), r.SubmittedAt.UnixMilli()) }

const upsert = `INSERT INTO jobs VALUES (?,?,?,?,?,?,?)
ON CONFLICT (id) DO UPDATE SET updated = excluded.updated, state = excluded.state, doc = excluded.doc`

// apply writes many changes in one transaction.
func (x *index) apply(ctx context.Context, changes []change) (err error) {
	tx, err := x.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("index: %w", err), tx.Rollback())
		}
	}()
	put, err := tx.PrepareContext(ctx, upsert)
	if err != nil {
		return err
	}
	defer put.Close()
	for _, c := range changes {
		if c.doc == nil {
			_, err = tx.ExecContext(ctx, `DELETE FROM jobs WHERE id = ?`, c.id)
		} else {
			_, err = put.ExecContext(ctx, c.id, c.row.SubmittedAt.UnixMilli(), c.row.updated(), string(c.row.State), c.row.Queue, c.row.Type, c.doc)
		}
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

// retired are the jobs that ended before a moment; those submitted later than it are not looked at.
const retired = `DELETE FROM jobs WHERE submitted < ?1 AND updated < ?1 AND state IN (?2, ?3, ?4) RETURNING id`

// retire removes the jobs that ended before a moment, in milliseconds, and names them.
func (x *index) retire(ctx context.Context, before int64) (gone []string, err error) {
	rows, err := x.write.QueryContext(ctx, retired, before,
		string(contract.StateSucceeded), string(contract.StateFailed), string(contract.StateCancelled))
	if err != nil {
		return nil, fmt.Errorf("index: retire: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("index: retire: %w", err)
		}
		gone = append(gone, id)
	}
	return gone, rows.Err()
}

// get gives a document, nil where there is none.
func (x *index) get(ctx context.Context, id string) ([]byte, error) {
	var doc []byte
	err := x.read.QueryRowContext(ctx, `SELECT doc FROM jobs WHERE id = ?`, id).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("index: get %s: %w", id, err)
	}
	return doc, nil
}

// query is a page of documents: newest first, behind a cursor.
type query struct {
	state, queue, jobType string
	waiting               bool // only those that nothing has claimed
	after                 cursor
	limit                 int
}

func (x *index) page(ctx context.Context, q query) (docs [][]byte, err error) {
	var where []string
	var args []any
	filter := func(cond string, on bool, values ...any) {
		if on {
			where, args = append(where, cond), append(args, values...)
		}
	}
	filter("state = ?", q.state != "", q.state)
	filter(isWaiting, q.waiting)
	filter("queue = ?", q.queue != "", q.queue)
	filter("type = ?", q.jobType != "", q.jobType)
	filter("(submitted, id) < (?, ?)", q.after.id != "", q.after.submitted, q.after.id)
	text := "SELECT doc FROM jobs"
	if len(where) > 0 {
		text += " WHERE " + strings.Join(where, " AND ")
	}
	rows, err := x.read.QueryContext(ctx, text+" ORDER BY submitted DESC, id DESC LIMIT ?", append(args, q.limit)...)
	if err != nil {
		return nil, fmt.Errorf("index: list: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var doc []byte
		if err := rows.Scan(&doc); err != nil {
			return nil, fmt.Errorf("index: list: %w", err)
		}
		docs = append(docs, doc)
	}
	return docs, rows.Err()
}

// waitingBehind counts the jobs of a queue that wait and were submitted earlier than what a cursor names, all of
// them where it names nothing; at most limit.
func (x *index) waitingBehind(ctx context.Context, queue string, at cursor, limit int) (n int, err error) {
	if at.id == "" {
		at.submitted = math.MaxInt64
	}
	const text = `SELECT count(*) FROM (SELECT 1 FROM jobs WHERE ` + isWaiting + ` AND queue = ? AND (submitted, id) < (?, ?) LIMIT ?)`
	row := x.read.QueryRowContext(ctx, text, queue, at.submitted, at.id, limit)
	if err := row.Scan(&n); err != nil {
		return 0, fmt.Errorf("index: count what waits in queue %s: %w", queue, err)
	}
	return n, nil
}
