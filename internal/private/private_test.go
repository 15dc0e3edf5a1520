//go:build unix

package private_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/private"
)

func ownerOf(t *testing.T, path string) uint32 {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	return info.Sys().(*syscall.Stat_t).Uid
}

// mend runs the command at the end of an error.
func mend(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	_, command, ok := strings.Cut(err.Error(), ": ch")
	require.True(t, ok, "%v names no command", err)
	out, failed := exec.Command("/bin/sh", "-c", "ch"+command).CombinedOutput()
	require.NoError(t, failed, "%s", out)
}

// Whatever another user has prepared in the folder, no part of the secret goes there.
func TestWrite_PreparedFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	foreign := filepath.Join(t.TempDir(), "foreign")
	require.NoError(t, os.WriteFile(foreign, []byte("theirs"), 0o644))
	key := filepath.Join(dir, "operator.nk")
	require.NoError(t, os.WriteFile(key+".new", []byte("prepared"), 0o666))
	held, err := os.Open(key + ".new")
	require.NoError(t, err)
	defer held.Close()
	require.NoError(t, os.Symlink(foreign, filepath.Join(dir, "services.nk.new")))
	require.NoError(t, os.Symlink(foreign, filepath.Join(dir, "services.nk")))
	for _, name := range []string{"operator.nk", "services.nk"} {
		require.NoError(t, private.Write(filepath.Join(dir, name), []byte("secret")))
		info, err := os.Lstat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode())
	}
	prepared, err := os.ReadFile(key + ".new")
	require.NoError(t, err)
	require.Equal(t, "prepared", string(prepared))
	theirs, err := os.ReadFile(foreign)
	require.NoError(t, err)
	require.Equal(t, "theirs", string(theirs))

	for _, open := range []func(string) (*os.File, error){private.Create, private.Lock} {
		require.NoError(t, os.Remove(filepath.Join(dir, "services.nk")))
		require.NoError(t, os.Symlink(foreign, filepath.Join(dir, "services.nk")))
		_, err = open(filepath.Join(dir, "services.nk"))
		require.Error(t, err, "a symbolic link is not followed")
	}
	_, err = private.Create(key)
	require.ErrorIs(t, err, fs.ErrExist)
}

func TestWrite_FoldersOfOthers(t *testing.T) {
	t.Parallel()
	for _, mode := range []fs.FileMode{0o777, 0o775, 0o757, 0o777 | fs.ModeSticky} {
		dir := filepath.Join(t.TempDir(), "it's ours")
		require.NoError(t, os.Mkdir(dir, 0o700))
		require.NoError(t, os.Chmod(dir, mode))
		err := private.Write(filepath.Join(dir, "key"), []byte("secret"))
		require.ErrorContains(t, err, "chmod go-w")
		left, readErr := os.ReadDir(dir)
		require.NoError(t, readErr)
		require.Empty(t, left, "nothing was written before the refusal")
		if mode&fs.ModeSticky != 0 {
			require.NoError(t, private.WriteOutput(filepath.Join(dir, "proof"), []byte("proof")), "nobody takes it away there")
		} else {
			require.Error(t, private.WriteOutput(filepath.Join(dir, "proof"), []byte("proof")))
		}
		mend(t, err)
		require.NoError(t, private.Write(filepath.Join(dir, "key"), []byte("secret")))
	}
	above := filepath.Join(t.TempDir(), "above")
	require.NoError(t, os.MkdirAll(filepath.Join(above, "ours"), 0o700))
	require.NoError(t, os.Chmod(above, 0o777))
	for _, err := range []error{private.Check(filepath.Join(above, "ours")), private.MakeFolder(filepath.Join(above, "ours", "identity"))} {
		require.ErrorContains(t, err, "chmod go-w "+above)
	}
	require.NoError(t, os.Chmod(above, 0o777|fs.ModeSticky))
	require.NoError(t, private.Check(filepath.Join(above, "ours")), "as in /tmp")
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(filepath.Join(above, "ours"), link))
	require.NoError(t, private.Check(link), "a symbolic link of our own")
	require.NoError(t, os.Chmod(above, 0o777))
	require.Error(t, private.Check(link), "what is behind a symbolic link counts")
}

// New files and folders belong to the owner of the folder that they are in.
func TestOwnerOfNewFiles(t *testing.T) {
	t.Parallel()
	requireOneOwner(t, t.TempDir())
}

// requireOneOwner creates files in every way and requires that they have the owner of
// the folder.
func requireOneOwner(t *testing.T, dir string) {
	t.Helper()
	owner := ownerOf(t, dir)
	require.NoError(t, private.MakeFolder(filepath.Join(dir, "identity", "keys")))
	require.NoError(t, private.Write(filepath.Join(dir, "identity", "keys", "a.nk"), []byte("x")))
	f, err := private.Create(filepath.Join(dir, "identity", "b"))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	lock, err := private.Lock(filepath.Join(dir, "identity", ".lock"))
	require.NoError(t, err)
	require.NoError(t, lock.Close())
	found := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		require.Equal(t, owner, ownerOf(t, path), path)
		found++
		return nil
	}))
	require.Equal(t, 6, found)
}

func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, young := filepath.Join(dir, "key.X.new"), filepath.Join(dir, "key.Y.new")
	for _, path := range []string{old, young, filepath.Join(dir, "key")} {
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	long := time.Now().Add(-2 * time.Hour)
	require.NoError(t, os.Chtimes(old, long, long))
	require.NoError(t, os.Chtimes(filepath.Join(dir, "key"), long, long))
	require.NoError(t, private.Write(filepath.Join(dir, "other"), nil))
	require.NoFileExists(t, old)
	require.FileExists(t, young)
	require.FileExists(t, filepath.Join(dir, "key"))
}
