package app_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/clock"
)

func TestStart_RefusesANewerDataFormat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mark := filepath.Join(dir, "format")
	w := startWorldIn(t, dir, nil)
	w.report("initial", at, inc, "r1", onSite+large)
	w.shutdown()
	raw, err := os.ReadFile(mark)
	require.NoError(t, err)
	require.Equal(t, "1\n", string(raw))

	start := func() error {
		a, err := app.Start(t.Context(), app.Config{
			Data: dir, NATSListen: "127.0.0.1:0", Rulebook: rules(t, "", ""), Clock: clock.System{}, Log: zap.NewNop(),
		})
		if err == nil {
			a.Stop()
		}
		return err
	}
	before, err := os.ReadDir(filepath.Join(dir, "nats", "jetstream"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(mark, []byte("2\n"), 0o600))
	require.ErrorContains(t, start(), "has format 2, and this program knows formats up to 1: start a newer tocsin")
	after, err := os.ReadDir(filepath.Join(dir, "nats", "jetstream"))
	require.NoError(t, err)
	require.Len(t, after, len(before))
	require.NoError(t, os.WriteFile(mark, []byte("\x00"), 0o600))
	require.ErrorContains(t, start(), "put the file back from a copy")

	require.NoError(t, os.Remove(mark)) // a folder from before the mark
	w = startWorldIn(t, dir, nil)
	require.NotEmpty(t, w.settled().graded)
	require.FileExists(t, mark)
}
