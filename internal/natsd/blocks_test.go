package natsd_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/tocsin-project/tocsin/internal/natsd"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// blocksOf stops a server and returns the blocks of its ledger.
func blocksOf(t *testing.T, dir string, env *bustest.Env) []string {
	t.Helper()
	env.Bus.Close()
	env.Conn.Close()
	env.Server.Stop()
	blocks, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", event.StreamLedger, "msgs", "*.blk"))
	require.NoError(t, err)
	require.NotEmpty(t, blocks)
	return blocks
}

// A flipped high bit in a sequence makes the engine fill its memory, unless it is made to
// check checksums: then it leaves out the damaged records.
func TestGuardBlocks_EndlessBlock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := bustest.StartIn(t, dir, clock.System{})
	commit(t, env.Bus, 0, 100)
	block := blocksOf(t, dir, env)[0]
	index := filepath.Join(filepath.Dir(block), "index.db")
	require.FileExists(t, index)

	found, err := natsd.MendBlocks(dir)
	require.NoError(t, err)
	require.Empty(t, found, "sound blocks are left alone")
	require.FileExists(t, index)

	raw, err := os.ReadFile(block)
	require.NoError(t, err)
	at := 0
	for range 40 {
		at += int(binary.LittleEndian.Uint32(raw[at:]) &^ (1 << 31))
	}
	raw[at+4+5] ^= 1 << 3 // bit 43 of the sequence's 64
	require.NoError(t, os.WriteFile(block, raw, 0o600))
	found, err = natsd.MendBlocks(dir)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Contains(t, found[0], block)
	require.NoFileExists(t, index)

	env = bustest.StartIn(t, dir, clock.System{})
	for sequence, there := range map[uint64]bool{1: true, 40: true, 41: false} {
		_, err := env.Bus.Get(t.Context(), sequence)
		if there {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, bus.ErrNotFound)
		}
	}
}

// Checking a block terminates, whatever it contains.
func FuzzMendBlocks(f *testing.F) {
	f.Add([]byte{30, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 30, 0, 0, 0, 1, 0, 0, 0, 0, 4, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := filepath.Join(t.TempDir(), "jetstream", "A", "streams", "S", "msgs")
		require.NoError(t, os.MkdirAll(dir, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "1.blk"), raw, 0o600))
		_, err := natsd.MendBlocks(filepath.Join(dir, "../../../../.."))
		require.NoError(t, err)
	})
}
