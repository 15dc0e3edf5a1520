package natsd_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/natsd"
)

func TestStaging_InMemory(t *testing.T) {
	dir := t.TempDir()
	env := bustest.StartIn(t, dir, clock.System{})
	memory := bustest.BatchesInMemory(t, dir, event.StreamLedger)
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
	require.NotEqual(t, memory, bustest.BatchesInMemory(t, dir, event.StreamLedger))
}

// Some systems delete files in memory while programs use them.
func TestStaging_FolderRemoved(t *testing.T) {
	dir := t.TempDir()
	env := bustest.StartIn(t, dir, clock.System{})
	memory := bustest.BatchesInMemory(t, dir, event.StreamLedger)
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

// envStaging makes this test binary a server that is killed in the middle of a batch.
const envStaging = "TOCSIN_TEST_STAGING"

// TestStaging_InterruptedBatchIsCompleted by the engine at its next start, from memory, and
// no staging files remain.
func TestStaging_InterruptedBatchIsCompleted(t *testing.T) {
	if dir := os.Getenv(envStaging); dir != "" {
		dieInABatch(t, dir)
	}
	t.Parallel()
	dir := t.TempDir()
	for range 4 {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$")
		child.Env = append(os.Environ(), envStaging+"="+dir)
		out, err := child.CombinedOutput()
		require.ErrorContains(t, err, "killed", string(out))
		left := bustest.BatchesInMemory(t, dir, event.StreamLedger)

		env := bustest.StartIn(t, dir, clock.System{}) // fails if the engine logs an error
		head, err := env.Bus.Head(t.Context())
		require.NoError(t, err)
		last, err := env.Bus.Get(t.Context(), head)
		require.NoError(t, err)
		require.True(t, last.Header.Get("Nats-Batch-Id") == "" || last.Header.Get("Nats-Batch-Commit") == "1", "a batch ends at record %d: %v", head, last.Header)
		require.NoDirExists(t, left)
		require.NoDirExists(t, filepath.Dir(left))
		env.Bus.Close()
		env.Server.Stop()
	}
}

// dieInABatch kills the process as soon as part of a large batch is in the stream.
func dieInABatch(t *testing.T, dir string) {
	s, err := natsd.Start(t.Context(), natsd.Config{Dir: dir, Log: zap.NewNop()})
	require.NoError(t, err)
	nc, err := s.Connect(natsd.ConnectOptions("test")...)
	require.NoError(t, err)
	b, err := bus.Open(t.Context(), nc, bus.Config{Clock: clock.System{}, Log: zap.NewNop(), Engine: s})
	require.NoError(t, err)
	head, err := b.Head(t.Context())
	require.NoError(t, err)
	self, err := os.FindProcess(os.Getpid())
	require.NoError(t, err)
	size := func() (n int64) {
		blocks, _ := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", event.StreamLedger, "msgs", "*.blk"))
		for _, block := range blocks {
			if info, err := os.Stat(block); err == nil {
				n += info.Size()
			}
		}
		return n
	}
	go func() {
		for from := int(head); ; from += 900 {
			records := make([]event.Record, 900)
			for i := range records {
				records[i] = event.RawRecord(fmt.Sprintf("rules.%d.%d", os.Getpid(), from+i), stamp, "", []byte(`{"x":"`+strings.Repeat("x", 4000)+`"}`))
			}
			_, _ = b.Commit(context.Background(), records)
		}
	}()
	for before := size() + 4<<20; size() < before; {
	}
	_ = self.Kill()
	select {}
}

// A copy of the data folder that is started on the same machine does not touch the
// staging files of the original's server.
func TestStaging_CopiedFolder(t *testing.T) {
	dir, copied := t.TempDir(), t.TempDir()
	env := bustest.StartIn(t, dir, clock.System{})
	memory := bustest.BatchesInMemory(t, dir, event.StreamLedger)
	_, err := env.Bus.Commit(t.Context(), several(0, 50))
	require.NoError(t, err)
	staged := filepath.Join(memory, "a-batch-in-hand")
	require.NoError(t, os.MkdirAll(staged, 0o700))
	out, err := exec.CommandContext(t.Context(), "cp", "-a", dir+"/.", copied).CombinedOutput()
	require.NoError(t, err, string(out))

	other := bustest.StartIn(t, copied, clock.System{})
	head, err := other.Bus.Head(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 50, head)
	require.NotEqual(t, memory, bustest.BatchesInMemory(t, copied, event.StreamLedger))
	_, err = other.Bus.Commit(t.Context(), several(50, 50))
	require.NoError(t, err)
	other.Bus.Close()
	other.Server.Stop()
	require.DirExists(t, staged)
	require.NoError(t, os.Remove(staged))
	_, err = env.Bus.Commit(t.Context(), several(100, 50))
	require.NoError(t, err)
	require.Equal(t, memory, bustest.BatchesInMemory(t, dir, event.StreamLedger), "it goes on where it was")
}
