package app_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tocsin-project/tocsin/internal/app"
)

// A copy of a data folder says so when it is started, in the log and in /readyz, until
// somebody confirms it. A restart of the original says nothing.
func TestStart_WarnsOfACopiedDataFolder(t *testing.T) {
	t.Parallel()
	original := t.TempDir()
	warned := func(w *world) bool {
		return slices.ContainsFunc(w.awaitHealthy().Warnings, func(s string) bool {
			return strings.Contains(s, "is a copy or was moved") && strings.Contains(s, "same name and key")
		})
	}
	w := startWorldIn(t, original, nil)
	require.False(t, warned(w))
	w.shutdown()
	w = startWorldIn(t, original, nil)
	require.False(t, warned(w), "the same folder")
	w.shutdown()
	dir := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.CopyFS(dir, os.DirFS(original)))
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = os.Chmod(path, 0o600) // CopyFS widens what a file may be read by
		}
		return err
	}))
	core, logs := observer.New(zap.ErrorLevel)
	w = startWorldIn(t, dir, func(c *app.Config) { c.Log = zap.New(core) })
	require.True(t, warned(w))
	require.Equal(t, 1, logs.FilterMessage("data folder is a copy or was moved").Len())
	require.NoError(t, os.Remove(filepath.Join(dir, "place")))
	require.False(t, warned(w), "it was confirmed")
	require.FileExists(t, filepath.Join(dir, "place"))
	w.shutdown()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "place"), []byte("machine 0011223344556677\nfolder 5\n"), 0o600))
	w = startWorldIn(t, dir, nil)
	require.True(t, warned(w), "a disk that was moved to another machine")
}
