package bus

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/clock"
)

// TestBacklog_SlowestService: a follower that makes progress and is behind counts; one that is new
// or hangs does not, and none while the ledger is frozen.
func TestBacklog_SlowestService(t *testing.T) {
	t.Parallel()
	b := &Bus{}
	behind := func() uint64 { _, records := b.slowest(); return records }
	full := func() string {
		if backlog, known := b.Backlog(); known && backlog.Records >= MaxBacklog {
			return backlog.Service
		}
		return ""
	}
	require.Zero(t, behind(), "nobody reads")
	f := newFeed(100)
	b.feed.Store(f)
	follow := func(name string) *progress {
		p := &progress{name: name, moves: make(chan struct{}, 1)}
		b.following.Store(p, nil)
		return p
	}
	p, q := follow("classifier"), follow("router")
	f.noteStored(20_000)
	require.Zero(t, behind(), "they have not been up with the feed")
	p.note(101)
	require.EqualValues(t, 19_900, behind())
	require.Equal(t, "classifier", full())
	q.note(51)
	require.EqualValues(t, 19_950, behind(), "the slower of them")
	b.following.Delete(q)
	p.note(20_002 - MaxBacklog)
	require.EqualValues(t, MaxBacklog-1, behind())
	require.Empty(t, full())
	f.from = 20_001
	require.Equal(t, "classifier", full(), "the feed begins later")
	f.from = 101
	require.Empty(t, full())
	p.moved.Store(int64(clock.Uptime() - stuckAfter))
	require.Zero(t, behind(), "it hangs")
	p.note(51)
	require.EqualValues(t, 19_950, behind())
	b.frozen.Store("log", "the record ends too early")
	require.Zero(t, behind(), "callers are told why")
	b.frozen.Delete("log")
	p.note(20_001)
	require.Zero(t, behind())
}
