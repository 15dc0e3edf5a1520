//go:build slow && linux

package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
)

// fillDisk writes a file until its disk is full.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	for chunk := make([]byte, 64<<10); ; {
		if _, err := f.Write(chunk); err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			return
		}
	}
}

// TestServe_FullDisk fills the disk ten times (or TOCSIN_FULL) under load, and each time
// also kills the server on it. The server keeps serving or ends, and once space is freed
// everything that it gave a receipt for is stored exactly once. It mounts a disk, so it
// needs root.
func TestServe_FullDisk(t *testing.T) {
	require.Zero(t, os.Geteuid(), "mounting a disk needs root")
	disk := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", disk, "tmpfs", 0, "size=96m"))
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	s := startServer(t, "--data", filepath.Join(disk, "data"))
	fill := filepath.Join(disk, "fill")

	var mu sync.Mutex
	receipts := map[int]*event.Receipt{}
	ctx, stop := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	for sender := range 8 {
		senders.Go(func() {
			c, err := client.Dial(s.url(), 2*time.Second)
			if err != nil {
				return
			}
			defer c.Close()
			for i := sender; ctx.Err() == nil; i += 8 {
				raw := fmt.Appendf(nil, `{"specversion":"1.0","type":%q,"source":%q,"id":"r1","subject":"full-%d","data":{"facilities":["dispatch"],"containsNoStateSecrets":true,"discoveredAt":"2026-01-01T00:00:00Z"}}`,
					event.TypeInitial, event.SourceOf("grid-east"), i)
				for ctx.Err() == nil {
					r, err := c.Report(ctx, "grid-east", raw)
					if err == nil {
						mu.Lock()
						receipts[i] = r
						mu.Unlock()
						time.Sleep(20 * time.Millisecond)
						break
					}
					time.Sleep(50 * time.Millisecond)
				}
			}
		})
	}
	for n := range number("TOCSIN_FULL", 10) {
		time.Sleep(500 * time.Millisecond)
		fillDisk(t, fill)
		time.Sleep(time.Second)
		if n%2 == 1 {
			s.kill()
		}
		require.NoError(t, os.Remove(fill))
		if n%2 == 1 || s.cmd.Process.Signal(syscall.Signal(0)) != nil {
			s.start()
		}
		before := len(receiptsOf(&mu, receipts))
		require.Eventually(t, func() bool { return len(receiptsOf(&mu, receipts)) > before }, 20*time.Second, 50*time.Millisecond, "it goes on after space is freed (%d)", n)
	}
	stop()
	senders.Wait()

	c, err := client.Dial(s.url(), time.Minute)
	require.NoError(t, err)
	defer c.Close()
	require.NotEmpty(t, receipts)
	seen := map[uint64]bool{}
	for i, r := range receipts {
		require.False(t, seen[r.Record], "record %d is of two receipts", r.Record)
		seen[r.Record] = true
		accepted := 0
		require.NoError(t, c.Show(t.Context(), "grid-east", fmt.Sprintf("full-%d", i), func(e api.StoryEntry) error {
			if e.Type == event.KindAccepted {
				require.Equal(t, r.Record, e.Record)
				accepted++
			}
			return nil
		}))
		require.Equal(t, 1, accepted, "records of full-%d", i)
	}
}

func receiptsOf(mu *sync.Mutex, receipts map[int]*event.Receipt) map[int]bool {
	mu.Lock()
	defer mu.Unlock()
	out := map[int]bool{}
	for i := range receipts {
		out[i] = true
	}
	return out
}
