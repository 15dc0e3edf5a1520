package logcmd

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Files that appear in a folder while the evidence is written are not lost.
func TestPublish_FolderNoLongerEmpty(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "evidence")
	for _, folder := range []string{dir, dir + ".unfinished"} {
		require.NoError(t, os.Mkdir(folder, 0o700))
	}
	mine := filepath.Join(dir, "mine")
	require.NoError(t, os.WriteFile(mine, nil, 0o600))
	require.ErrorContains(t, publish(dir+".unfinished", dir), "is not empty")
	require.FileExists(t, mine)
	require.DirExists(t, dir+".unfinished")
	require.NoError(t, os.Remove(mine))
	require.NoError(t, publish(dir+".unfinished", dir))
	require.NoDirExists(t, dir+".unfinished")
}
