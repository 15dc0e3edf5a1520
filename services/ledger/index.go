package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"modernc.org/sqlite" // and the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// schemaVersion changes with schema: an index of another version is made anew.
const schemaVersion = 2

const schema = `
CREATE TABLE position (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, salt TEXT NOT NULL);
INSERT INTO position VALUES (1, 0, '');
-- Every record, by the incident that its subject names (in tokens).
CREATE TABLE records (
	seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL,
	operator TEXT NOT NULL, incident TEXT NOT NULL, subject TEXT NOT NULL);
CREATE INDEX records_incident ON records (operator, incident, seq);
-- row is the escalation as queries show it, before anything became of it. Times
-- are nanoseconds since 1970. overdue_at is when nobody was found to have
-- acknowledged in time.
CREATE TABLE escalations (
	record INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, desk TEXT NOT NULL, operator TEXT NOT NULL,
	grade INTEGER NOT NULL, reported_at INTEGER NOT NULL, acknowledge_by INTEGER,
	acknowledged_at INTEGER, acknowledged_by TEXT NOT NULL DEFAULT '', overdue_at INTEGER, row TEXT NOT NULL);
CREATE INDEX escalations_desk ON escalations (desk, record);
CREATE INDEX escalations_operator ON escalations (operator, record);
CREATE INDEX escalations_grade ON escalations (grade, record);
CREATE INDEX escalations_open ON escalations (desk, record) WHERE acknowledged_at IS NULL;
-- What an escalation has several of: its statutes, regions and sectors.
CREATE TABLE tags (
	kind TEXT NOT NULL, value TEXT NOT NULL, record INTEGER NOT NULL,
	PRIMARY KEY (kind, value, record)) WITHOUT ROWID;
-- The last revision of every incident (in tokens); record is the revision's.
-- row is the incident as queries show it, without its desks.
CREATE TABLE incidents (
	record INTEGER PRIMARY KEY, operator TEXT NOT NULL, incident TEXT NOT NULL, revision INTEGER NOT NULL,
	withdrawn INTEGER NOT NULL, owed INTEGER NOT NULL, row TEXT NOT NULL, UNIQUE (operator, incident));
-- What each desk has to do with an incident: the record that last told it, and
-- that of its last closing; 0 where there is none.
CREATE TABLE desks (
	operator TEXT NOT NULL, incident TEXT NOT NULL, desk TEXT NOT NULL,
	told INTEGER NOT NULL DEFAULT 0, closed INTEGER NOT NULL DEFAULT 0, closing TEXT,
	PRIMARY KEY (operator, incident, desk)) WITHOUT ROWID;
`

// index is the projection of the ledger that answers queries. It can be
// deleted at any time: it is made again from the stream. One goroutine writes,
// over a connection of its own, on which the statements stay prepared.
type index struct {
	db       *sql.DB // for queries
	writer   *sql.DB // one connection
	prepared [statements]*sql.Stmt
	path     string
}

// openIndex opens the index in a folder; one that cannot be read or is of
// another version is discarded.
func openIndex(ctx context.Context, dir string) (*index, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("ledger: index: %w", err)
	}
	x := &index{path: indexFile(dir)}
	var version int
	err := x.open(ctx)
	if err == nil {
		err = x.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	}
	if err == nil && version == schemaVersion && x.prepare(ctx) == nil {
		return x, nil
	}
	return x, x.reset(ctx)
}

func (x *index) open(ctx context.Context) (err error) {
	// What is lost by a crash is read again from the stream, so the index need
	// not sync every commit; it must only never be torn, which the WAL sees to.
	source := "file:" + x.path + "?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=busy_timeout(5000)"
	for _, db := range []**sql.DB{&x.db, &x.writer} {
		if *db, err = sql.Open("sqlite", source); err != nil {
			return fmt.Errorf("ledger: index: %w", err)
		}
	}
	x.writer.SetMaxOpenConns(1)
	return x.db.PingContext(ctx)
}

func (x *index) prepare(ctx context.Context) (err error) {
	for i, text := range statementTexts {
		if x.prepared[i], err = x.writer.PrepareContext(ctx, text); err != nil {
			return fmt.Errorf("ledger: index: %w", err)
		}
	}
	return nil
}

// reset makes the index anew, empty.
func (x *index) reset(ctx context.Context) error {
	if err := x.close(); err != nil {
		return err
	}
	if err := discardIndex(filepath.Dir(x.path)); err != nil {
		return err
	}
	if err := x.open(ctx); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	if _, err := x.writer.ExecContext(ctx, schema+fmt.Sprintf("PRAGMA user_version = %d", schemaVersion)); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	return x.prepare(ctx)
}

func (x *index) close() error {
	for _, db := range []*sql.DB{x.writer, x.db} {
		if db == nil {
			continue
		}
		if err := db.Close(); err != nil {
			return fmt.Errorf("ledger: index: %w", err)
		}
	}
	return nil
}

func indexFile(dir string) string { return filepath.Join(dir, "index.sqlite") }

// discardIndex removes the files of an index that nobody has open.
func discardIndex(dir string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(indexFile(dir) + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("ledger: index: %w", err)
		}
	}
	return nil
}

// isDamaged reports whether SQLite says that the file is not what it was.
func isDamaged(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	primary := e.Code() & 0xff
	return primary == sqlite3.SQLITE_CORRUPT || primary == sqlite3.SQLITE_NOTADB
}

// position returns the last record indexed, and its salt, by which a ledger
// that was put back or swapped is told from ours.
func (x *index) position(ctx context.Context) (seq uint64, salt string, err error) {
	err = x.db.QueryRowContext(ctx, "SELECT seq, salt FROM position").Scan(&seq, &salt)
	return seq, salt, err
}
