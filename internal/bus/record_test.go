package bus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/event"
)

// TestRange_Gaps: whatever is removed, also at either end, a range returns the rest in
// order, and ends.
func TestRange_Gaps(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	ctx := t.Context()
	there := []uint64{}
	held := func(from, to uint64, subjects ...string) []uint64 {
		out := []uint64{}
		add := func(batch []event.Stored) error {
			for _, s := range batch {
				out = append(out, s.Sequence)
			}
			return nil
		}
		if subjects == nil {
			require.NoError(t, env.Bus.Range(ctx, from, to, bus.Ahead, add))
		}
		ranged := out
		out = []uint64{}
		for { // pages give the same result
			page, err := env.Bus.Page(ctx, from, to, subjects, 7, 1<<20)
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			require.NoError(t, add(page))
			from = out[len(out)-1] + 1
		}
		if subjects == nil {
			require.Equal(t, ranged, out)
		}
		return out
	}
	require.Empty(t, held(1, 100))
	for i := range 60 {
		r, err := event.NewRecord(fmt.Sprintf("incident.accepted.op.i%d.r%d", i%2, i), time.Now(), "", i)
		require.NoError(t, err)
		_, err = env.Bus.Commit(ctx, []event.Record{r})
		require.NoError(t, err)
		there = append(there, uint64(i+1))
	}
	for _, gone := range []uint64{30, 31, 60, 59, 1, 58, 2, 45} {
		remove := map[bool]func(context.Context, uint64) error{true: env.Bus.Erase, false: env.Bus.Remove}[gone%2 == 0]
		require.NoError(t, remove(ctx, gone))
		require.NoError(t, remove(ctx, gone), "again")
		there = slices.DeleteFunc(there, func(s uint64) bool { return s == gone })
		require.Equal(t, there, held(1, 1000))
		require.Equal(t, there, held(1, 60))
		require.Equal(t, slices.DeleteFunc(slices.Clone(there), func(s uint64) bool { return s < 20 || s > 32 }), held(20, 32))
		require.Equal(t, slices.DeleteFunc(slices.Clone(there), func(s uint64) bool { return s%2 == 0 }), held(1, 60, "incident.accepted.op.i0.*"))
		require.Equal(t, there, held(1, 60, "incident.accepted.op.i0.*", "incident.accepted.op.i1.*", "incident.accepted.op.*.r7"))
		state, err := env.Bus.State(ctx)
		require.NoError(t, err)
		require.Equal(t, bus.State{Last: 60, Messages: uint64(len(there))}, state)
	}
	require.Empty(t, held(58, 60))
	stop := errors.New("enough")
	require.ErrorIs(t, env.Bus.Range(ctx, 1, 60, bus.Ahead, func([]event.Stored) error { return stop }), stop)
	_, err := env.Bus.From(ctx, 58)
	require.ErrorIs(t, err, bus.ErrNotFound)
	s, err := env.Bus.From(ctx, 30)
	require.NoError(t, err)
	require.EqualValues(t, 32, s.Sequence)
}

// TestRange_LargeRecords: a record of the maximum size is read among small ones,
// whatever is left of the pull request's byte limit.
func TestRange_LargeRecords(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	sizes := []int{}
	for i := range 40 {
		size := 2 + i
		if i%3 == 0 {
			size = 4<<20 - 4<<10 - i // maxPayload less the headers
		}
		sizes = append(sizes, size)
		data := append(bytes.Repeat([]byte(" "), size-2), "{}"...)
		_, err := env.Bus.Commit(t.Context(), []event.Record{event.RawRecord(fmt.Sprintf("incident.accepted.op.i%d.r", i), time.Now(), "", data)})
		require.NoError(t, err)
	}
	for _, lead := range []bus.Lead{bus.Ahead, bus.AheadGently} {
		read := []int{}
		require.NoError(t, env.Bus.Range(t.Context(), 1, 40, lead, func(batch []event.Stored) error {
			for _, s := range batch {
				read = append(read, len(s.Data))
			}
			return nil
		}))
		require.Equal(t, sizes, read)
	}
}

func TestSequenceAt(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	seq, err := env.Bus.SequenceAt(t.Context(), time.Now())
	require.NoError(t, err)
	require.EqualValues(t, 1, seq)
	var at []time.Time
	for i := range 20 {
		r, err := event.NewRecord(fmt.Sprintf("incident.accepted.op.i.r%d", i), time.Now(), "", i)
		require.NoError(t, err)
		res, err := env.Bus.Commit(t.Context(), []event.Record{r})
		require.NoError(t, err)
		s, err := env.Bus.Get(t.Context(), res[0].Sequence)
		require.NoError(t, err)
		at = append(at, s.StoredAt)
	}
	require.NoError(t, env.Bus.Erase(t.Context(), 8))
	require.NoError(t, env.Bus.Erase(t.Context(), 20))
	for i, want := range at {
		seq, err := env.Bus.SequenceAt(t.Context(), want)
		require.NoError(t, err)
		first, err := env.Bus.From(t.Context(), seq)
		switch i + 1 {
		case 8: // it was removed
			require.EqualValues(t, 9, first.Sequence)
		case 20:
			require.ErrorIs(t, err, bus.ErrNotFound)
		default:
			require.EqualValues(t, i+1, first.Sequence)
		}
	}
	seq, err = env.Bus.SequenceAt(t.Context(), time.Now().Add(time.Hour))
	require.NoError(t, err)
	_, err = env.Bus.From(t.Context(), seq)
	require.ErrorIs(t, err, bus.ErrNotFound)
}

func TestCheckpoints_AreStored(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	kept, err := env.Bus.Checkpoints(t.Context())
	require.NoError(t, err)
	require.Empty(t, kept)
	require.NoError(t, env.Bus.SaveCheckpoint(t.Context(), "a1", "one"))
	require.NoError(t, env.Bus.SaveCheckpoint(t.Context(), "a1", "two"))
	require.NoError(t, env.Bus.SaveCheckpoint(t.Context(), "b2", "other"))
	kept, err = env.Bus.Checkpoints(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a1": "two", "b2": "other"}, kept)
}
