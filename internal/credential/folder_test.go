package credential_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/credential"
)

// No part of a root key is written to a file that another user prepared, and a folder in
// which one could is refused before any key is created.
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
				continue // nobody else can remove our files there
			}
			require.NoError(t, os.Chmod(open, mode))
			require.ErrorContains(t, credential.Init(f, now), "chmod go-w "+open)
			require.NoFileExists(t, filepath.Join(string(f), "operator.jwt"))
			require.NoError(t, os.Chmod(open, 0o755))
		}
	}
	require.ErrorContains(t, credential.Init(f, now), "operator.nk exists but operator.jwt is missing", "no key takes the place of another")
	for _, name := range []string{"operator.nk", "keys/services.nk", "keys/system.nk"} {
		require.NoError(t, os.Remove(filepath.Join(string(f), name)))
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

// A key whose operator.jwt is missing is not overwritten, wherever it is.
func TestInit_OverwritesNoKey(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"operator.nk", "signing.json", "keys/services.nk", "keys/operator.grid-east.nk", "creds/admin.admin.creds"} {
		f := credential.In(t.TempDir())
		file := filepath.Join(string(f), filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte("kept"), 0o600))
		require.ErrorContains(t, credential.Init(f, now), filepath.Base(name)+" exists but operator.jwt is missing")
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, "kept", string(raw))
	}
}
