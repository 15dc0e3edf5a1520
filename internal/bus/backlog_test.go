package bus

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// TestWhoIsBehind: a follower that makes progress and is behind counts; one that is new
// or hangs does not, and none while the ledger is frozen.
func TestWhoIsBehind(t *testing.T) {
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
	f.wrote([]event.Stored{{Sequence: 20_000}}) // after undelivered records of others
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
	p.moved.Store(int64(clock.Running() - stuckAfter))
	require.Zero(t, behind(), "it hangs")
	p.note(51)
	require.EqualValues(t, 19_950, behind())
	b.held.Store("log", "the record ends too early")
	require.Zero(t, behind(), "callers are told why")
	b.held.Delete("log")
	p.note(20_001)
	require.Zero(t, behind())
}

// TestWhatWasWrittenIsKeptWithinBounds, in records and in bytes.
func TestWhatWasWrittenIsKeptWithinBounds(t *testing.T) {
	t.Parallel()
	f := newFeed(0)
	big := func(seq uint64) event.Stored {
		return event.Stored{Sequence: seq, Record: event.Record{Data: make([]byte, 1<<20)}}
	}
	for seq := uint64(1); seq <= 20; seq++ {
		f.wrote([]event.Stored{big(seq)})
	}
	require.Len(t, f.ahead, feedBytes>>20)
	f.add([]event.Stored{big(1), big(2), big(3)})
	require.Len(t, f.ahead, feedBytes>>20-3)
	require.Equal(t, feedBytes-3<<20, f.extra)
	batch, longer, has := f.after(2, true)
	require.True(t, has)
	require.Nil(t, longer)
	require.Len(t, batch, 2)
	batch, _, _ = f.after(4, true)
	require.EqualValues(t, 4, batch[0].Sequence)
	batch, longer, has = f.after(4, false)
	require.True(t, has)
	require.Nil(t, batch)
	require.NotNil(t, longer)
	f.add([]event.Stored{{Sequence: 4, Wire: "others", StoredAt: time.Unix(1, 0)}})
	batch, _, _ = f.after(4, false)
	require.Equal(t, "others", batch[0].Wire, "what the engine delivers")
}

// TestTheFeedRecallsWhatItWrote: a report that comes back is not parsed again, and one
// that never comes back is not kept indefinitely.
func TestTheFeedRecallsWhatItWrote(t *testing.T) {
	t.Parallel()
	f := newFeed(0)
	report := func(id string) (*event.Accepted, *pending) {
		a := &event.Accepted{Operator: "a", Incident: "x", Report: id}
		r, err := event.NewRecord(event.AcceptedSubject("a", "x", "s", id), time.Time{}, "", a)
		require.NoError(t, err)
		return a, &pending{record: r}
	}
	a, p := report("1")
	f.writes([]*pending{p})
	m := p.record.Message(event.Real)
	f.add([]event.Stored{event.ReadStored(event.Real, m.Subject, m.Header, m.Data, 1, time.Time{})})
	batch, _, has := f.after(1, false)
	require.True(t, has)
	got, err := event.Decode[event.Accepted](batch[0])
	require.NoError(t, err)
	require.Same(t, a, got)
	require.Empty(t, f.made)

	for range feedRecords + 1 {
		_, refused := report("2")
		f.writes([]*pending{refused})
	}
	require.Len(t, f.made, 1)

	for range 3 * feedBytes / (1 << 20) {
		_, large := report("3")
		large.record.Data = append(large.record.Data, make([]byte, 1<<20)...)
		f.writes([]*pending{large})
		require.Less(t, f.making, feedBytes+2<<20)
	}
	require.Less(t, len(f.made), feedBytes>>20+2)
}
