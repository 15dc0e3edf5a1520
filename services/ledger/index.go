package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"modernc.org/sqlite" // and the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tocsin-project/tocsin/internal/event"
)

// schemaVersion changes with schema: an index of another version is made anew.
const schemaVersion = 1

const schema = `
CREATE TABLE position (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, salt TEXT NOT NULL);
INSERT INTO position VALUES (1, 0, '');
-- Every record, by the incident that its subject names (in tokens).
CREATE TABLE records (
	seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL,
	operator TEXT NOT NULL, incident TEXT NOT NULL, subject TEXT NOT NULL);
CREATE INDEX records_incident ON records (operator, incident, seq);
-- row is the escalation as queries show it, before any acknowledgement. Times
-- are nanoseconds since 1970.
CREATE TABLE escalations (
	record INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, desk TEXT NOT NULL, operator TEXT NOT NULL,
	grade INTEGER NOT NULL, reported_at INTEGER NOT NULL, acknowledge_by INTEGER,
	acknowledged_at INTEGER, acknowledged_by TEXT NOT NULL DEFAULT '', row TEXT NOT NULL);
CREATE INDEX escalations_desk ON escalations (desk, record);
CREATE INDEX escalations_operator ON escalations (operator, record);
CREATE INDEX escalations_grade ON escalations (grade, record);
CREATE INDEX escalations_open ON escalations (desk, record) WHERE acknowledged_at IS NULL;
-- What an escalation has several of: its statutes, regions and sectors.
CREATE TABLE tags (
	kind TEXT NOT NULL, value TEXT NOT NULL, record INTEGER NOT NULL,
	PRIMARY KEY (kind, value, record)) WITHOUT ROWID;
`

// index is the projection of the ledger that answers queries. It can be
// deleted at any time: it is made again from the stream. One goroutine writes.
type index struct {
	db   *sql.DB
	path string
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
	if err == nil && version == schemaVersion {
		return x, nil
	}
	return x, x.reset(ctx)
}

func (x *index) open(ctx context.Context) error {
	// What is lost by a crash is read again from the stream, so the index need
	// not sync every commit; it must only never be torn, which the WAL sees to.
	db, err := sql.Open("sqlite", "file:"+x.path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=busy_timeout(5000)")
	if err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	x.db = db
	return db.PingContext(ctx)
}

// reset makes the index anew, empty.
func (x *index) reset(ctx context.Context) error {
	if x.db != nil {
		if err := x.db.Close(); err != nil {
			return fmt.Errorf("ledger: index: %w", err)
		}
	}
	if err := discardIndex(filepath.Dir(x.path)); err != nil {
		return err
	}
	if err := x.open(ctx); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	if _, err := x.db.ExecContext(ctx, schema+fmt.Sprintf("PRAGMA user_version = %d", schemaVersion)); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
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

func (x *index) close() error { return x.db.Close() }

// position returns the last record indexed, and its salt, by which a ledger
// that was put back or swapped is told from ours.
func (x *index) position(ctx context.Context) (seq uint64, salt string, err error) {
	err = x.db.QueryRowContext(ctx, "SELECT seq, salt FROM position").Scan(&seq, &salt)
	return seq, salt, err
}

// apply adds records in one transaction, with the position.
func (x *index) apply(ctx context.Context, batch []event.Stored) (unreadable []error, err error) {
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("ledger: index: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	for _, s := range batch {
		err := add(ctx, tx, s)
		if unread := (*unreadableError)(nil); errors.As(err, &unread) {
			unreadable = append(unreadable, err)
		} else if err != nil {
			return nil, fmt.Errorf("ledger: index record %d: %w", s.Sequence, err)
		}
	}
	last := batch[len(batch)-1]
	if _, err := tx.ExecContext(ctx, "UPDATE position SET seq = ?, salt = ?", last.Sequence, last.Salt); err != nil {
		return nil, fmt.Errorf("ledger: index: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return nil, fmt.Errorf("ledger: index: %w", err)
	}
	return unreadable, nil
}

// unreadableError is a record whose body says nothing to us. It is in the
// story of its incident all the same.
type unreadableError struct{ err error }

func (e *unreadableError) Error() string { return e.err.Error() }

func add(ctx context.Context, tx *sql.Tx, s event.Stored) error {
	a := event.ParseSubject(s.Subject)
	at := s.Time
	if at.IsZero() {
		at = s.StoredAt
	}
	if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, ?, ?)",
		s.Sequence, at.UnixNano(), a.Kind, a.Operator, a.Incident, s.Subject); err != nil {
		return err
	}
	switch a.Kind {
	case event.KindEscalated:
		return addEscalation(ctx, tx, s)
	case event.KindAcknowledged:
		ack, err := event.Decode[event.Acknowledgement](s)
		if err != nil {
			return &unreadableError{err}
		}
		_, err = tx.ExecContext(ctx, "UPDATE escalations SET acknowledged_at = ?, acknowledged_by = ? WHERE id = ? AND acknowledged_at IS NULL",
			ack.At.UnixNano(), ack.Officer, event.EscalationOf(s.Subject))
		return err
	}
	return nil
}

func addEscalation(ctx context.Context, tx *sql.Tx, s event.Stored) error {
	e, err := event.Decode[event.Escalated](s)
	if err != nil {
		return &unreadableError{err}
	}
	row, err := json.Marshal(e.Row(s.Sequence, nil, nil, e.ReportedAt))
	if err != nil {
		return err
	}
	var acknowledgeBy sql.NullInt64
	if e.AcknowledgeBy != nil {
		acknowledgeBy = sql.NullInt64{Int64: e.AcknowledgeBy.UnixNano(), Valid: true}
	}
	res, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO escalations (record, id, desk, operator, grade, reported_at, acknowledge_by, row)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		s.Sequence, e.ID, e.Desk, e.Operator, int(e.Grade), e.ReportedAt.UnixNano(), acknowledgeBy, row)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	for _, tag := range tagsOf(e) {
		if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO tags VALUES (?, ?, ?)", tag.kind, tag.value, s.Sequence); err != nil {
			return err
		}
	}
	return nil
}

type tag struct{ kind, value string }

const (
	tagStatute = "statute"
	tagRegion  = "region"
	tagSector  = "sector"
)

func tagsOf(e *event.Escalated) (tags []tag) {
	for _, duties := range [][]event.Duty{e.Duties, e.Standing} {
		for _, d := range duties {
			tags = append(tags, tag{tagStatute, d.Statute})
		}
	}
	for _, f := range e.Facilities {
		tags = append(tags, tag{tagRegion, f.Region}, tag{tagSector, f.Sector})
	}
	return tags
}
