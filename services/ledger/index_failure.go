package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"modernc.org/sqlite" // and the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// The index is a projection: whatever is wrong with its files stops queries and
// nothing else. It is opened again, and rebuilt from the stream where that does not
// help.
const (
	reopenPause    = time.Second // before the index is opened again; it doubles
	maxReopenPause = 5 * time.Second
	rebuildAfter   = 3 // attempts in a row that failed, where a rebuild may help
	lookEvery      = time.Second
)

// errReplaced says that a file of the index is not the one that was opened, or has
// become shorter.
var errReplaced = errors.New("a file of the index was removed, replaced or truncated")

// sqliteCode is the primary result code of an error of SQLite.
func sqliteCode(err error) (code int, ok bool) {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0, false
	}
	return e.Code() & 0xff, true
}

// isDamaged reports whether the files are not what they were.
func isDamaged(err error) bool {
	if errors.Is(err, errPostings) || errors.Is(err, errReplaced) {
		return true
	}
	code, _ := sqliteCode(err)
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
}

// isIndexError reports whether an error is of the index, and not of the stream or of
// the question.
func isIndexError(err error) bool {
	_, ok := sqliteCode(err)
	return ok || isDamaged(err) || errors.As(err, new(*os.PathError))
}

// passes reports whether the index is as good as before once the cause is over: it
// was locked, or there was no room.
func passes(err error) bool {
	switch code, _ := sqliteCode(err); code {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT:
		return true
	}
	return false
}

// mustRebuild reports whether the index has to be rebuilt after so many attempts in a
// row that failed.
func mustRebuild(err error, failures int) bool {
	return isDamaged(err) || isIndexError(err) && !passes(err) && failures >= rebuildAfter
}

// guard watches the files of an open index until ctx ends. Where one is replaced or
// truncated, new connections would see another index than those that are open.
func (x *index) guard(ctx context.Context) error {
	var opened [len(indexSuffixes)]os.FileInfo
	for {
		for i, suffix := range indexSuffixes {
			now, err := os.Stat(x.path + suffix)
			was := opened[i]
			if was == nil {
				opened[i] = now // SQLite makes the files beside the first when it needs them
				continue
			}
			isLog := suffix == walSuffix // which SQLite truncates itself
			if err != nil || !os.SameFile(was, now) || now.Size() < was.Size() && !isLog {
				return fmt.Errorf("ledger: index: %w: %s", errReplaced, x.path+suffix)
			}
			opened[i] = now
		}
		if !sleep(ctx, lookEvery) {
			return ctx.Err()
		}
	}
}
