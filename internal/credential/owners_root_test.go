//go:build unix && root

package credential_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/credential"
)

// If root works on a folder, all of it has one owner: no key goes to another user.
func TestFolder_OfSeveralOwners(t *testing.T) {
	t.Parallel()
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
