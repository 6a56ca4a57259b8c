package sqslocal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

// schemaVersion is kept in the file, so that a later release can tell what it opens.
const schemaVersion = 1

// schema keeps a message in two rows: what every receive rewrites is small,
// and the body, which never changes, is written once. Times are milliseconds
// since 1970, as SQS reports them.
const schema = `
CREATE TABLE queues (
	id         INTEGER PRIMARY KEY,
	name       TEXT NOT NULL UNIQUE,
	attributes TEXT NOT NULL,     -- JSON object of those that were set
	tags       TEXT NOT NULL,     -- JSON object
	created    INTEGER NOT NULL,
	modified   INTEGER NOT NULL,
	purged     INTEGER NOT NULL   -- when it was last purged, 0 never
);
CREATE TABLE messages (
	id             INTEGER PRIMARY KEY,
	queue          INTEGER NOT NULL,
	message        BLOB NOT NULL,     -- MessageId
	sent           INTEGER NOT NULL,
	visible        INTEGER NOT NULL,  -- when it may be received (again)
	in_flight      INTEGER NOT NULL,  -- 1: hidden by a receive; 0: new, delayed or released
	receives       INTEGER NOT NULL,  -- ApproximateReceiveCount
	receipt        INTEGER NOT NULL,  -- grows with each receive, names the newest handle
	first_received INTEGER NOT NULL,
	received       INTEGER NOT NULL,  -- the latest receive
	source         TEXT NOT NULL      -- the queue that it was moved here from, for a dead letter
);
CREATE INDEX messages_by_visibility ON messages (queue, visible, id);
CREATE INDEX messages_by_age ON messages (queue, sent);
CREATE TABLE bodies (
	id    INTEGER PRIMARY KEY,
	body  TEXT NOT NULL,
	extra BLOB                       -- JSON of what rides along, NULL for nothing
);`

// pragmas choose what a local queue promises: what was acknowledged survives
// the death of this process, because the log is written before the answer; it
// is not synced to the disk each time, so a power cut may take the last moments.
var pragmas = []string{
	"PRAGMA locking_mode = EXCLUSIVE", // a second process gets an error, not a second opinion
	"PRAGMA journal_mode = WAL",
	"PRAGMA synchronous = NORMAL",
	"PRAGMA wal_autocheckpoint = 8000",      // pages of 4 KiB: fewer syncs in a burst
	"PRAGMA journal_size_limit = 134217728", // bytes: give the disk back after one
	"PRAGMA cache_size = -32000",            // KiB
	"PRAGMA temp_store = MEMORY",
}

// openDatabase opens, or makes, the file at path and takes it for this process alone.
func openDatabase(ctx context.Context, path string) (*sql.DB, *sql.Conn, error) {
	if err := makePrivate(path); err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", path, err)
	}
	db, err := sql.Open("sqlite", dataSource(path))
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", path, err)
	}
	conn, err := prepareDatabase(ctx, db)
	if err != nil {
		return nil, nil, errors.Join(explainOpen(path, err), db.Close())
	}
	return db, conn, nil
}

// makePrivate makes the file before SQLite does: messages are nobody else's
// business, and the log beside the file takes the file's permissions.
func makePrivate(path string) error {
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

func dataSource(path string) string {
	if path == "" {
		return ":memory:"
	}
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String()
}

func prepareDatabase(ctx context.Context, db *sql.DB) (*sql.Conn, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	for _, pragma := range pragmas {
		if _, err := conn.ExecContext(ctx, pragma); err != nil {
			return nil, fmt.Errorf("%s: %w", pragma, err)
		}
	}
	var version int
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return nil, err
	}
	switch version {
	case schemaVersion:
		// An empty write takes the exclusive lock now, rather than at the first message.
		_, err = conn.ExecContext(ctx, "BEGIN IMMEDIATE; COMMIT")
	case 0:
		_, err = conn.ExecContext(ctx, fmt.Sprintf("BEGIN IMMEDIATE; %s PRAGMA user_version = %d; COMMIT", schema, schemaVersion))
	default:
		err = fmt.Errorf("its format is %d and this release knows %d; use the release that wrote it, or another file", version, schemaVersion)
	}
	return conn, err
}

func explainOpen(path string, err error) error {
	var failure *sqlite.Error
	if errors.As(err, &failure) && failure.Code()&0xff == sqlitelib.SQLITE_BUSY {
		return fmt.Errorf("open %s: another process has it open; stop that one or choose another file: %w", path, err)
	}
	return fmt.Errorf("open %s: %w", path, err)
}
