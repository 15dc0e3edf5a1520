// Package index answers queries about escalations and incidents from a projection of the
// ledger in SQLite, with the words of their titles and counts.
//
// It is a pure function of the records that were written to it, in ledger order, and of
// their removals: it can be deleted at any time and rebuilt from the stream. Rows and the
// position they were read up to commit together. One goroutine writes; a query sees what
// was committed when it began. A damaged file is reported by an error for which
// MustRebuild is true, never by a wrong answer where SQLite or the form of the data can
// tell. The index is not evidence: what is shown of a record is verified elsewhere.
package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/private"
	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
)

// schemaVersion changes with schema and with the contents of its tables: an index of
// another version is rebuilt.
const schemaVersion = 9

// Times are nanoseconds since 1970, records are ledger sequences, and operators,
// incidents and desks are by their tokens.
const schema = `
CREATE TABLE position (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, salt TEXT NOT NULL);
INSERT INTO position VALUES (1, 0, '');
-- What records have in common, such as a desk; its number is a term.
CREATE TABLE terms (term INTEGER PRIMARY KEY, value TEXT NOT NULL);
-- Which records of a chunk have a term, by both (spot). Of the chunk that is still
-- growing they are in memory only. Chunks come one after another, so this table
-- grows at its end and nothing else in it moves.
CREATE TABLE postings (spot INTEGER PRIMARY KEY, bits BLOB NOT NULL);
CREATE TABLE chunks (chunk INTEGER PRIMARY KEY, times BLOB NOT NULL);
-- record and revision are the current one's; 0 before the first.
CREATE TABLE incidents (
	id INTEGER PRIMARY KEY, operator TEXT NOT NULL, incident TEXT NOT NULL,
	record INTEGER NOT NULL, revision INTEGER NOT NULL);
CREATE UNIQUE INDEX incidents_name ON incidents (incident, operator);
-- Every record of an incident.
CREATE TABLE story (seq INTEGER PRIMARY KEY, incident INTEGER NOT NULL, kind INTEGER NOT NULL, at INTEGER NOT NULL);
CREATE INDEX story_incident ON story (incident);
-- Every revision; row is what of the record is read.
CREATE TABLE revisions (record INTEGER PRIMARY KEY, incident INTEGER NOT NULL, revision INTEGER NOT NULL, row BLOB NOT NULL);
CREATE TABLE escalations (record INTEGER PRIMARY KEY, reported_at INTEGER NOT NULL, acknowledge_by INTEGER, row BLOB NOT NULL);
-- The escalations of an incident by the rest of their names, and what each tells
-- its desk.
CREATE TABLE told (
	incident INTEGER NOT NULL, desk INTEGER NOT NULL, last TEXT NOT NULL,
	record INTEGER NOT NULL, acknowledge_by INTEGER, tells INTEGER NOT NULL,
	PRIMARY KEY (incident, desk, last)) WITHOUT ROWID;
-- What became of an escalation: the record of its acknowledgement and the record
-- that there was none in time; 0 where there is none.
CREATE TABLE outcomes (
	record INTEGER PRIMARY KEY,
	acknowledged INTEGER NOT NULL, acknowledged_at INTEGER NOT NULL, acknowledged_by TEXT NOT NULL,
	overdue INTEGER NOT NULL, overdue_at INTEGER NOT NULL);
-- What each desk has to do with an incident: the record that last told it, and
-- that of its last closing; 0 where there is none.
CREATE TABLE desks (
	incident INTEGER NOT NULL, desk INTEGER NOT NULL, told INTEGER NOT NULL, closed INTEGER NOT NULL,
	PRIMARY KEY (incident, desk)) WITHOUT ROWID;
CREATE TABLE closings (record INTEGER PRIMARY KEY, desk INTEGER NOT NULL, closing TEXT NOT NULL);
`

// Bounds of SQLite's memory: one connection writes, and each of the readers has several
// connections, so that reads from the disk overlap.
const (
	readers       = 4
	lanes         = 8        // connections of a reader
	laneCache     = 2 << 10  // KiB
	writerCache   = 48 << 10 // KiB
	pageSize      = 8 << 10
	saveAfter     = 100_000 // statements until the next checkpoint
	writerPragmas = "&_pragma=secure_delete(1)&_pragma=wal_autocheckpoint(0)"
)

// Index is the projection of the ledger that answers queries. It can be deleted at any
// time: it is rebuilt from the stream. One goroutine writes; every query has a snapshot
// of what was committed when it began.
type Index struct {
	path  string
	shift int // a chunk is 1<<shift sequences
	db    *sql.DB

	// Owned by the goroutine that writes.
	writer   *sql.Conn
	prepared [statements]*sql.Stmt
	known    known
	newest   int64 // highest id of an incident
	unsaved  int   // statements since the last checkpoint
	erase    bool  // something was removed since the last checkpoint

	slots  chan struct{} // one value for each query that may run
	idle   shelf
	cache  *cache
	isOpen bool // queries are accepted

	mu     sync.RWMutex        // held to commit, and to begin a query
	seq    uint64              // the last record indexed
	words  *extract.Vocabulary // it only grows
	sealed []sealedChunk
	tail   *tail // nil before the first record
}

// Open opens the index in a folder. It discards one that is damaged or of another
// version, for it is rebuilt from the stream; one that cannot be opened at the moment is
// left as it is.
func Open(ctx context.Context, dir string) (*Index, error) {
	return openOf(ctx, dir, postings.ChunkShift)
}

// openOf opens an index with chunks of another size.
func openOf(ctx context.Context, dir string, shift int) (*Index, error) {
	if err := private.MakeFolder(dir); err != nil {
		return nil, fmt.Errorf("ledger: index: %w", err)
	}
	dir, err := filepath.Abs(dir) // so that SQLite does not interpret a relative path
	if err != nil {
		return nil, fmt.Errorf("ledger: index: %w", err)
	}
	x := &Index{path: indexFile(dir), shift: shift}
	var version int
	err = x.connect(ctx)
	if err == nil {
		err = x.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	}
	if err == nil && version == schemaVersion {
		err = x.load(ctx)
	}
	if err == nil && version == schemaVersion {
		return x, nil
	}
	if err == nil || isDamaged(err) {
		err = x.Reset(ctx)
	}
	if err != nil {
		_ = x.Close()
		return nil, err
	}
	return x, nil
}

// connect opens the file. Commits lost in a crash are read again from the stream, so not
// every commit is synced; the file only must not be torn, which the WAL ensures.
func (x *Index) connect(ctx context.Context) (err error) {
	if err := makePrivate(x.path); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	source := fmt.Sprintf("file:%s?_pragma=busy_timeout(%d)&_pragma=page_size(%d)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)%s", uriPath.Replace(x.path), busyTimeout.Milliseconds(), pageSize, writerPragmas+exclusive())
	if x.db, err = sql.Open("sqlite", source); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	return x.db.PingContext(ctx)
}

// exclusive makes SQLite keep the index of its write-ahead log in memory and not in a
// mapped file (-shm): truncating such a file would end the process with SIGBUS. Another
// process cannot open the index meanwhile.
func exclusive() string {
	if runtime.GOOS == "windows" {
		return "" // SQLite has no such VFS there
	}
	return "&vfs=unix-excl"
}

// busyTimeout is how long SQLite waits for another process's lock.
const busyTimeout = time.Second

// uriPath escapes what would end a path in SQLite's URI, or be taken for an escape.
var uriPath = strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23")

// makePrivate creates the file, or takes away other users' access to it. SQLite gives the
// files beside it the same mode.
func makePrivate(path string) error {
	f, err := private.Lock(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(private.FileMode), f.Close())
}

// load prepares the connections and reads what is kept in memory: the terms, the times of
// every chunk, and the growing chunk.
func (x *Index) load(ctx context.Context) (err error) {
	if x.writer, err = x.db.Conn(ctx); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	if _, err = x.writer.ExecContext(ctx, fmt.Sprintf("PRAGMA cache_size = -%d", writerCache)); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	for i, text := range statementTexts {
		if bulk[i] > 0 {
			text += rowsOf(bulk[i], rowsAtOnce)
		}
		if x.prepared[i], err = x.writer.PrepareContext(ctx, text); err != nil {
			return fmt.Errorf("ledger: index: %w", err)
		}
	}
	x.slots = make(chan struct{}, readers)
	for range readers {
		x.slots <- struct{}{}
	}
	x.isOpen, x.cache = true, newCache()
	if err := x.loadMemory(ctx); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	return nil
}

// Reset discards the index and opens an empty one.
func (x *Index) Reset(ctx context.Context) error {
	if err := x.Close(); err != nil {
		return err
	}
	if err := Discard(filepath.Dir(x.path)); err != nil {
		return err
	}
	if err := x.connect(ctx); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	if _, err := x.db.ExecContext(ctx, schema+fmt.Sprintf("PRAGMA user_version = %d", schemaVersion)); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	return x.load(ctx)
}

// Close waits for running queries.
func (x *Index) Close() error {
	if x.db == nil {
		return nil
	}
	if x.isOpen {
		x.isOpen = false
		for range cap(x.slots) {
			<-x.slots
		}
		close(x.slots)
		for r := x.idle.take(); r != nil; r = x.idle.take() {
			r.close()
		}
	}
	if x.writer != nil {
		release(x.writer, x.prepared[:])
		x.writer, x.prepared = nil, [len(x.prepared)]*sql.Stmt{}
	}
	err := x.db.Close()
	if x.db = nil; err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	return nil
}

// release returns a connection after closing the statements prepared on it (nil: none
// were). SQLite keeps a closed connection, its memory and its files, for as long as it
// has a statement, and database/sql closes none that a [sql.Conn] prepared.
func release(conn *sql.Conn, prepared []*sql.Stmt) {
	for _, s := range prepared {
		if s != nil {
			_ = s.Close()
		}
	}
	_ = conn.Close()
}

// The files of an index.
const walSuffix = "-wal"

// shmSuffix is of a file that earlier versions had: see exclusive.
const shmSuffix = "-shm"

var indexSuffixes = [...]string{"", walSuffix, shmSuffix}

func indexFile(dir string) string { return filepath.Join(dir, "index.sqlite") }

// Discard removes the files of an index, which must not be open.
func Discard(dir string) error {
	for _, suffix := range indexSuffixes {
		if err := os.Remove(indexFile(dir) + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("ledger: index: %w", err)
		}
	}
	return nil
}

// Position returns the last record indexed, and its salt, which detects a ledger that was
// restored or exchanged.
func (x *Index) Position(ctx context.Context) (seq uint64, salt string, err error) {
	err = x.db.QueryRowContext(ctx, "SELECT seq, salt FROM position").Scan(&seq, &salt)
	return seq, salt, err
}
