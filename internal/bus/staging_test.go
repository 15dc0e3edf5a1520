package bus_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// inMemory returns where a stream's batches are gathered in memory.
func inMemory(t *testing.T, dir, stream string) string {
	t.Helper()
	links, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", stream, "batches"))
	require.NoError(t, err)
	if len(links) == 0 {
		t.Skip("this system has no place for files in memory")
	}
	require.Len(t, links, 1)
	target, err := os.Readlink(links[0])
	require.NoError(t, err)
	require.DirExists(t, target)
	return target
}

func several(from, n int) []event.Record {
	records := make([]event.Record, n)
	for i := range records {
		records[i] = accepted(from + i)
	}
	return records
}

func TestBatchesAreGatheredInMemory(t *testing.T) {
	dir := t.TempDir()
	env := bustest.StartIn(t, dir, clock.System{})
	memory := inMemory(t, dir, event.StreamLedger)
	long := clock.System{}.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(memory, long, long))
	_, err := env.Bus.Commit(t.Context(), several(0, 50))
	require.NoError(t, err)
	after, err := os.Stat(memory)
	require.NoError(t, err)
	require.True(t, after.ModTime().After(long.Add(time.Minute)), "the engine has made a folder in it")

	env.Bus.Close()
	env.Server.Stop()
	require.NoDirExists(t, filepath.Dir(memory), "it ends with the server")
	again := bustest.StartIn(t, dir, clock.System{})
	head, err := again.Bus.Head(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 50, head)
	require.NotEqual(t, memory, inMemory(t, dir, event.StreamLedger))
}

// Some systems empty folders in memory while programs have files there.
func TestThePlaceInMemoryIsTakenAway(t *testing.T) {
	dir := t.TempDir()
	env := bustest.StartIn(t, dir, clock.System{})
	memory := inMemory(t, dir, event.StreamLedger)
	_, err := env.Bus.Commit(t.Context(), several(0, 50))
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(filepath.Dir(memory)))
	for _, from := range []int{50, 100, 150} {
		results, err := env.Bus.Commit(t.Context(), several(from, 50))
		require.NoError(t, err)
		for _, r := range results {
			require.Nil(t, r.Existing)
		}
	}
	head, err := env.Bus.Head(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 200, head, "each once")
	require.NoDirExists(t, memory, "batches are on disk again")
}

// envStaging makes this test binary a server that is killed.
const envStaging = "TOCSIN_TEST_STAGING"

func TestAKilledServerLeavesNothingInMemory(t *testing.T) {
	if dir := os.Getenv(envStaging); dir != "" {
		s, err := bus.StartServer(t.Context(), bus.ServerConfig{Dir: dir, Log: zap.NewNop()})
		require.NoError(t, err)
		nc, err := s.Connect()
		require.NoError(t, err)
		b, err := bus.Open(t.Context(), nc, bus.Config{Clock: clock.System{}, Log: zap.NewNop(), Server: s})
		require.NoError(t, err)
		_, err = b.Commit(t.Context(), several(0, 50))
		require.NoError(t, err)
		self, err := os.FindProcess(os.Getpid())
		require.NoError(t, err)
		require.NoError(t, self.Kill())
		select {}
	}
	dir := t.TempDir()
	child := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], "-test.run", "^"+t.Name()+"$")
	child.Env = append(os.Environ(), envStaging+"="+dir)
	require.Error(t, child.Run(), "it was killed")
	left := inMemory(t, dir, event.StreamLedger)

	env := bustest.StartIn(t, dir, clock.System{})
	head, err := env.Bus.Head(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 50, head)
	require.NoDirExists(t, filepath.Dir(left))
}
