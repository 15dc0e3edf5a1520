package bus_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/event"
)

func TestGetMany_KeepsTheOrder(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	commit(t, env.Bus, 0, 60)
	s, err := bustest.JetStream(t, env).Stream(t.Context(), event.StreamLedger)
	require.NoError(t, err)
	require.NoError(t, s.DeleteMsg(t.Context(), 7))

	seqs := []uint64{60, 7, 61}
	for seq := uint64(59); seq > 20; seq-- {
		seqs = append(seqs, seq, seq)
	}
	got, err := env.Bus.GetMany(t.Context(), seqs)
	require.NoError(t, err)
	require.Len(t, got, len(seqs))
	for i, seq := range seqs {
		require.Equal(t, seq, got[i].Sequence)
		if seq == 7 || seq == 61 { // one deleted, one not stored yet
			require.Equal(t, event.Stored{Sequence: seq}, got[i])
			continue
		}
		one, err := env.Bus.Get(t.Context(), seq)
		require.NoError(t, err)
		require.Equal(t, one, got[i])
	}
	none, err := env.Bus.GetMany(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, none)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = env.Bus.GetMany(ctx, seqs)
	require.ErrorIs(t, err, context.Canceled)
}
