package bus

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// TestWhoIsBehind: who goes on and has lost the feed, or is about to; not who is
// new, who hangs, or anybody while nothing may be written.
func TestWhoIsBehind(t *testing.T) {
	t.Parallel()
	b := new(Bus)
	require.Empty(t, b.Behind(), "nobody reads")
	f := newFeed(100)
	b.feed.Store(f)
	p := &progress{name: "classifier"}
	b.following.Store(p, nil)
	f.wrote([]event.Stored{{Sequence: 20_000}}) // behind what others wrote, which is not delivered yet
	require.Empty(t, b.Behind(), "it has not been up with the feed")
	p.note(101)
	require.Equal(t, "classifier", b.Behind())
	p.note(20_000 - feedRecords)
	require.Empty(t, b.Behind())
	p.note(50)
	require.Equal(t, "classifier", b.Behind(), "the feed begins later")
	p.moved.Store(clock.System{}.Now().Add(-stuckAfter).UnixNano())
	require.Empty(t, b.Behind(), "it hangs")
	p.note(51)
	require.Equal(t, "classifier", b.Behind())
	b.held.Store("log", "the record ends too early")
	require.Empty(t, b.Behind(), "the door says why it is closed")
	b.held.Delete("log")
	b.following.Delete(p)
	require.Empty(t, b.Behind())
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
