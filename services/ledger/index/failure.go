package index

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"modernc.org/sqlite" // and the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
)

// The index is a projection: a fault in its files stops queries and nothing else. It is
// opened again, and rebuilt from the stream if that does not help.
const (
	rebuildAfter = 3 // consecutive failures, if a rebuild may help
	lookEvery    = time.Second
)

// errReplaced is of a file of the index that is no longer the one that was opened, or has
// become shorter.
var errReplaced = errors.New("a file of the index was removed, replaced or truncated")

func sqliteCode(err error) (code int, ok bool) {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0, false
	}
	return e.Code() & 0xff, true
}

func isDamaged(err error) bool {
	if errors.Is(err, postings.ErrDamaged) || errors.Is(err, extract.ErrDamaged) || errors.Is(err, errReplaced) {
		return true
	}
	code, _ := sqliteCode(err)
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
}

// IsFault reports whether an error is of the index, and not of the stream or of the
// query.
func IsFault(err error) bool {
	_, ok := sqliteCode(err)
	return ok || isDamaged(err) || errors.As(err, new(*os.PathError))
}

// IsTemporary reports whether an error is temporary: the index was locked, or there was no
// room.
func IsTemporary(err error) bool {
	switch code, _ := sqliteCode(err); code {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT:
		return true
	}
	return false
}

// MustRebuild reports whether the index has to be rebuilt after so many consecutive
// failures.
func MustRebuild(err error, failures int) bool {
	return isDamaged(err) || IsFault(err) && !IsTemporary(err) && failures >= rebuildAfter
}

// Guard watches the files of an open index until ctx ends. If one is replaced or
// truncated, new connections would see a different index than the open ones.
func (x *Index) Guard(ctx context.Context) error {
	var opened [len(indexSuffixes)]os.FileInfo
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		for i, suffix := range indexSuffixes {
			now, err := os.Stat(x.path + suffix)
			was := opened[i]
			if was == nil {
				opened[i] = now // SQLite creates the files beside the first when needed
				continue
			}
			isLog := suffix == walSuffix // which SQLite truncates itself
			if err != nil || !os.SameFile(was, now) || now.Size() < was.Size() && !isLog {
				return fmt.Errorf("ledger: index: %w: %s", errReplaced, x.path+suffix)
			}
			opened[i] = now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
