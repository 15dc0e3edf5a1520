package interop

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// checkLimit bounds the checker's time for a damaged log: for an altered bundle far from
// the end, version 1.0.4 never returns, which also means that it does not accept the log.
const checkLimit = 2 * time.Second

var errEndless = errors.New("the checker does not come to an end")

// check runs the checker on the whole log.
func check(l *written, from fsck.Fetcher, limit time.Duration) error {
	result := make(chan error, 1)
	go func() {
		f := fsck.New(l.key.Origin(), l.verifier, from, leaves, fsck.Opts{N: 2})
		result <- f.Check(context.Background())
	}()
	select {
	case err := <-result:
		return err
	case <-time.After(limit):
		return errEndless
	}
}

func TestInterop_VerifyTheLog(t *testing.T) {
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			l := newLog(t, size)
			for name, from := range l.readers(t) {
				t.Run(name, func(t *testing.T) {
					require.NoError(t, check(l, from, time.Minute))

					cp, raw, _, err := client.FetchCheckpoint(context.Background(), from.ReadCheckpoint, l.verifier, l.key.Origin())
					require.NoError(t, err)
					require.Equal(t, l.cp.Note, string(raw))
					require.Equal(t, size, cp.Size)
					require.Equal(t, l.cp.Root[:], cp.Hash)
					bundle, err := client.GetEntryBundle(context.Background(), from.ReadEntryBundle, (size-1)/256, size)
					require.NoError(t, err)
					require.Equal(t, asBytes(l.entries[(size-1)/256*256:]), bundle.Entries)

					proofs(t, l, from)
				})
			}
		})
	}
}

// proofs makes proofs with both sides, which must be equal and valid.
func proofs(t *testing.T, l *written, from fsck.Fetcher) {
	size, root := l.cp.Size, l.cp.Root[:]
	builder, err := client.NewProofBuilder(context.Background(), size, from.ReadTile)
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(size, 0))
	for _, index := range []uint64{0, size - 1, size / 2, random.Uint64N(size), random.Uint64N(size), random.Uint64N(size)} {
		ours, err := evidence.ProveInclusion(evidence.Dir(l.dir), size, index)
		require.NoError(t, err)
		theirs, err := builder.InclusionProof(context.Background(), index)
		require.NoError(t, err)
		require.Equal(t, asBytes(ours), theirs)
		leaf := rfc6962.DefaultHasher.HashLeaf(l.entries[index][:])
		require.NoError(t, proof.VerifyInclusion(rfc6962.DefaultHasher, index, size, leaf, asBytes(ours), root))

		old := index + 1
		oldRoot, err := evidence.Root(evidence.Dir(l.dir), old)
		require.NoError(t, err)
		ours, err = evidence.ProveConsistency(evidence.Dir(l.dir), old, size)
		require.NoError(t, err)
		theirs, err = builder.ConsistencyProof(context.Background(), old, size)
		require.NoError(t, err)
		require.Equal(t, asBytes(ours), theirs)
		require.NoError(t, proof.VerifyConsistency(rfc6962.DefaultHasher, old, size, asBytes(ours), oldRoot[:], root))
	}
}

// TestInterop_FollowTheLog has a client follow the log as it grows; at each step it checks
// the new checkpoint against its last one.
func TestInterop_FollowTheLog(t *testing.T) {
	t.Parallel()
	l := newLog(t, 1)
	for name, from := range l.readers(t) {
		t.Run(name, func(t *testing.T) {
			tracker, err := client.NewLogStateTracker(context.Background(), from.ReadTile, []byte(l.cp.Note), l.verifier, l.key.Origin(), client.UnilateralConsensus(from.ReadCheckpoint))
			require.NoError(t, err)
			for range 12 {
				l.grow(t, l.cp.Size+l.cp.Size/2+1)
				_, _, _, err := tracker.Update(context.Background())
				require.NoError(t, err)
				require.Equal(t, l.cp.Size, tracker.Latest().Size)
			}
		})
	}
}

// TestInterop_FindAFlippedBit flips one bit in each file of a log.
func TestInterop_FindAFlippedBit(t *testing.T) {
	t.Parallel()
	l := newLog(t, 5000)
	random := rand.New(rand.NewPCG(1, 2))
	require.NoError(t, filepath.WalkDir(l.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(l.dir, path)
		require.NoError(t, err)
		if p, err := evidence.ParseTilePath(name); err == nil && p.Level <= 0 && p.Index > 1 && p.Width == 256 {
			return nil // like the two before it
		}
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			bit := random.IntN(len(data) * 8)
			data[bit/8] ^= 1 << (bit % 8)
			require.NoError(t, os.WriteFile(path, data, 0o600))
			require.Error(t, check(l, client.FileFetcher{Root: l.dir}, checkLimit))
			if name != "checkpoint" {
				require.Error(t, evidence.CheckTiles(context.Background(), evidence.Dir(l.dir), l.cp))
			}
			data[bit/8] ^= 1 << (bit % 8)
			require.NoError(t, os.WriteFile(path, data, 0o600))
		})
		return nil
	}))
	require.NoError(t, check(l, client.FileFetcher{Root: l.dir}, time.Minute))
}

// TestInterop_FindDamageInALargeLog has the altered bundle far from the end.
func TestInterop_FindDamageInALargeLog(t *testing.T) {
	t.Parallel()
	l := newLog(t, 140_000)
	path := filepath.Join(l.dir, "tile/entries/001")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	data[77] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o600))
	err = check(l, client.FileFetcher{Root: l.dir}, checkLimit)
	require.Error(t, err)
	t.Log(err)
	require.ErrorContains(t, evidence.CheckTiles(context.Background(), evidence.Dir(l.dir), l.cp), "tile/entries/001 (records 259 to 259)")
}
