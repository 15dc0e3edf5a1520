package index

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// A closed index has no file open: SQLite keeps a connection with its memory until the
// last statement on it is closed too.
func TestClose_ReleasesTheFiles(t *testing.T) {
	t.Parallel()
	made := indexes{top: t.TempDir()}
	open := func() (names []string) {
		fds, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		for _, fd := range fds {
			if name, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(name, made.top) {
				names = append(names, name)
			}
		}
		return names
	}
	x := made.open(t, postings.ChunkShift)
	answersOf(t, x)
	require.NotEmpty(t, open())
	require.NoError(t, x.Reset(ledgertest.Anyone(t)))
	answersOf(t, x)
	require.NoError(t, x.Close())
	require.Empty(t, open())
}
