package index

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
)

// indexes makes indexes for one test, whose chunks may be small. They are copies of an
// empty one and are never synced: waiting for the disk took most of the time of a test
// that makes hundreds.
type indexes struct {
	top   string
	empty []byte // an index without records
	n     int
}

func (i *indexes) open(t require.TestingT, shift int) *Index {
	i.n++
	dir := filepath.Join(i.top, fmt.Sprint(i.n))
	if i.empty == nil {
		x, err := openOf(context.Background(), dir, shift)
		require.NoError(t, err)
		require.NoError(t, x.Close())
		i.empty, err = os.ReadFile(indexFile(dir))
		require.NoError(t, err)
	}
	require.NoError(t, os.MkdirAll(dir, 0o700))
	require.NoError(t, os.WriteFile(indexFile(dir), i.empty, 0o600))
	return i.openIn(t, dir, shift)
}

func (i *indexes) openIn(t require.TestingT, dir string, shift int) *Index {
	x, err := openOf(context.Background(), dir, shift)
	require.NoError(t, err)
	_, err = x.writer.ExecContext(context.Background(), "PRAGMA synchronous = OFF")
	require.NoError(t, err)
	return x
}

// close closes an index after moving the write-ahead log into the file, so that SQLite
// has nothing left to sync.
func (i *indexes) close(t require.TestingT, x *Index) {
	_, err := x.writer.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
	require.NoError(t, err)
	require.NoError(t, x.Close())
}

// build returns an index of records, which it gets in batches of any size.
func (i *indexes) build(t *rapid.T, shift int, records []event.Stored) *Index {
	x := i.open(t, shift)
	for len(records) > 0 {
		n := rapid.IntRange(1, len(records)).Draw(t, "batch")
		_, err := x.apply(context.Background(), records[:n])
		require.NoError(t, err)
		records = records[n:]
	}
	return x
}
