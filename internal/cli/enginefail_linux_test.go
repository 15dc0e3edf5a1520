package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
)

// endsWithin waits for the server to exit unasked and returns its exit code.
func (s *server) endsWithin(d time.Duration) int {
	s.t.Helper()
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.cmd.Wait() }()
	select {
	case <-ended:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(d):
		s.t.Fatalf("the server neither serves nor ends %v after the fault", d)
		return -1
	}
}

// largeReports yields the reports from up to to, of some 40 KB each, so that every file of the engine grows.
func largeReports(from, to int) func(yield func([]byte) error) error {
	text := strings.Repeat("x", 20_000)
	return func(yield func([]byte) error) error {
		for i := from; i < to; i++ {
			raw := fmt.Sprintf(`{"specversion":"1.0","type":%q,"source":%q,"id":"r1","subject":"large-%d","time":"2026-01-01T00:00:00Z","data":{"facilities":["dispatch"],"containsNoStateSecrets":true,"discoveredAt":"2026-01-01T00:00:00Z","measures":%q,"impact":%q}}`,
				event.TypeInitial, event.SourceOf("grid-east"), i, text, text)
			if err := yield([]byte(raw)); err != nil {
				return err
			}
		}
		return nil
	}
}

// After an error from which the engine does not recover, the process reports it and ends
// in bounded time; restarted, it has every report that it gave a receipt for.
func TestServe_EngineFault(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]struct {
		resource int
		value    uint64
	}{
		"writes fail":           {unix.RLIMIT_FSIZE, 1 << 20},
		"no file can be opened": {unix.RLIMIT_NOFILE, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			c, err := client.Dial(s.url(), time.Minute)
			require.NoError(t, err)
			defer c.Close()
			var receipts []*event.Receipt
			keep := func(r *event.Receipt) error { receipts = append(receipts, r); return nil }
			require.NoError(t, c.Reports(t.Context(), "", 8, largeReports(0, 8), keep))
			var was unix.Rlimit
			require.NoError(t, unix.Prlimit(s.cmd.Process.Pid, limit.resource, nil, &was))
			require.NoError(t, unix.Prlimit(s.cmd.Process.Pid, limit.resource, &unix.Rlimit{Cur: limit.value, Max: was.Max}, nil))
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				_ = c.Reports(ctx, "", 8, largeReports(8, 400), keep)
			}()
			require.Equal(t, exitRefused, s.endsWithin(time.Minute))
			stop()
			<-sent
			said, err := os.ReadFile(s.log.Name())
			require.NoError(t, err)
			require.Contains(t, string(said), "tocsin: the embedded server ended: the engine stores nothing any more")

			s.start()
			again, err := client.Dial(s.url(), time.Minute)
			require.NoError(t, err)
			defer again.Close()
			require.GreaterOrEqual(t, len(receipts), 8, "those from before the fault")
			for i, r := range receipts {
				require.Equal(t, event.StatusAccepted, r.Status)
				found := 0
				require.NoError(t, again.Show(t.Context(), "grid-east", fmt.Sprintf("large-%d", i), func(e api.StoryEntry) error {
					if e.Record == r.Record {
						found++
					}
					return nil
				}))
				require.Equal(t, 1, found, "record %d, of which there is a receipt", r.Record)
			}
		})
	}
}
