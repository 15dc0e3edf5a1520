package credential_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
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

// If root works on a folder, all of it has one owner: no key goes to another user.
func TestFolder_OfSeveralOwners(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return // only root changes owners
	}
	data := t.TempDir()
	f := credential.In(data)
	require.NoError(t, os.MkdirAll(filepath.Join(string(f), "keys"), 0o700))
	require.NoError(t, os.Chown(filepath.Join(string(f), "keys"), 12345, 12345))
	require.ErrorContains(t, credential.Init(f, now), "to user 12345")
	require.NoFileExists(t, filepath.Join(string(f), "keys", "services.nk"))
	for _, dir := range []string{data, string(f)} {
		require.NoError(t, os.Chown(dir, 12345, 12345))
	}
	for _, dir := range []string{"accounts", "creds"} {
		require.NoError(t, os.Chown(filepath.Join(string(f), dir), 12345, 12345))
	}
	require.NoError(t, credential.Init(f, now))
	file, err := f.Add(grid, now, 0)
	require.NoError(t, err)
	for _, path := range []string{file, filepath.Join(string(f), "operator.nk"), filepath.Join(string(f), "keys", "services.nk"), filepath.Join(string(f), ".lock")} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.EqualValues(t, 12345, info.Sys().(*syscall.Stat_t).Uid, path)
	}
	require.NoError(t, os.Chown(filepath.Join(string(f), "creds"), 54321, 54321))
	_, err = f.Rotate(grid.Role, grid.ID, nil, now, 0)
	require.ErrorContains(t, err, "to user 54321")
}
