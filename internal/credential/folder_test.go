package credential_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/credential"
)

// Nothing of a root key reaches what another user prepared, and a folder in which one
// could prepare something is refused before any key is made.
func TestInit_InAFolderOfOthers(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	foreign := filepath.Join(t.TempDir(), "foreign")
	require.NoError(t, os.WriteFile(foreign, []byte("theirs"), 0o600))
	f := credential.In(data)
	require.NoError(t, os.MkdirAll(filepath.Join(string(f), "keys"), 0o755))
	for _, name := range []string{"operator.nk", "keys/services.nk", "keys/system.nk"} {
		require.NoError(t, os.WriteFile(filepath.Join(string(f), name+".new"), []byte("prepared"), 0o666))
		require.NoError(t, os.Symlink(foreign, filepath.Join(string(f), name)))
	}
	for _, open := range []string{string(f), data} {
		for _, mode := range []fs.FileMode{0o777, 0o775, 0o777 | fs.ModeSticky} {
			if open == data && mode&fs.ModeSticky != 0 {
				continue // what is ours there nobody takes away
			}
			require.NoError(t, os.Chmod(open, mode))
			require.ErrorContains(t, credential.Init(f, now), "chmod go-w "+open)
			require.NoFileExists(t, filepath.Join(string(f), "operator.jwt"))
			require.NoError(t, os.Chmod(open, 0o755))
		}
	}
	require.NoError(t, credential.Init(f, now))
	_, err := f.Add(grid, now, 0)
	require.NoError(t, err)
	for _, name := range []string{"operator.nk", "keys/services.nk", "keys/system.nk"} {
		raw, err := os.ReadFile(filepath.Join(string(f), name+".new"))
		require.NoError(t, err)
		require.Equal(t, "prepared", string(raw))
		info, err := os.Lstat(filepath.Join(string(f), name))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode())
	}
	raw, err := os.ReadFile(foreign)
	require.NoError(t, err)
	require.Equal(t, "theirs", string(raw))
}
