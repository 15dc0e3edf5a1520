package evidence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// sizes are of logs, most of them where tiles begin and end.
func sizes(least uint64) *rapid.Generator[uint64] {
	return rapid.OneOf(
		rapid.Uint64Range(least, 1500),
		rapid.SampledFrom([]uint64{1, 2, 255, 256, 257, 511, 512, 513, 1024}),
	)
}

// largest is a log of three levels of tiles, made once.
var largest = entriesOf(1, 256*256+256+3)

func TestRootIsThatOfTlog(t *testing.T) {
	t.Parallel()
	tiles, tlogs := inMemory(largest), referenceOf(t, largest)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Uint64Range(0, uint64(len(largest))).Draw(t, "size")
		root, err := Root(tiles, size)
		require.NoError(t, err)
		require.Equal(t, tlogs.root(t, size), root)
	})
	e := &edge{}
	for i, entry := range largest[:3000] {
		require.Equal(t, tlogs.root(t, uint64(i)), e.root())
		e.add(entry, func(TilePath, []byte) {})
	}
}

func TestProofsVerify(t *testing.T) {
	t.Parallel()
	tiles, tlogs := inMemory(largest), referenceOf(t, largest)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.Uint64Range(1, uint64(len(largest))), sizes(1)).Draw(t, "size")
		root := tlog.Hash(tlogs.root(t, size))

		index := rapid.Uint64Range(0, size-1).Draw(t, "index")
		path, err := ProveInclusion(tiles, size, index)
		require.NoError(t, err)
		leaf := tlog.RecordHash(largest[index][:])
		require.NoError(t, tlog.CheckRecord(theirs(path), int64(size), root, int64(index), leaf))

		old := rapid.Uint64Range(1, size).Draw(t, "old")
		path, err = ProveConsistency(tiles, old, size)
		require.NoError(t, err)
		require.NoError(t, tlog.CheckTree(theirs(path), int64(size), root, int64(old), tlog.Hash(tlogs.root(t, old))))
	})
}

func TestProve_MissingEntries(t *testing.T) {
	t.Parallel()
	tiles := inMemory(largest[:300])
	for _, c := range []struct{ size, index uint64 }{{0, 0}, {300, 300}, {1 << 63, 1}} {
		_, err := ProveInclusion(tiles, c.size, c.index)
		require.ErrorContains(t, err, "there is no entry")
	}
	_, err := ProveConsistency(tiles, 301, 300)
	require.ErrorContains(t, err, "not the beginning")
	_, err = Root(tiles, 1<<62)
	require.ErrorContains(t, err, "too large")
	for _, old := range []uint64{0, 300} {
		path, err := ProveConsistency(tiles, old, 300)
		require.NoError(t, err)
		require.Empty(t, path)
	}
	// A log that is longer than its tiles.
	_, err = ProveInclusion(tiles, 301, 7)
	require.ErrorIs(t, err, fs.ErrNotExist)
	var fault *TileError
	require.ErrorAs(t, err, &fault)
	require.Equal(t, "tile/0/001.p/45", fault.Path)
	require.Equal(t, []uint64{257, 301}, []uint64{fault.First, fault.Last})
}

func TestEntries(t *testing.T) {
	t.Parallel()
	tiles := inMemory(largest[:1000])
	rapid.Check(t, func(t *rapid.T) {
		to := rapid.Uint64Range(0, 1000).Draw(t, "to")
		from := rapid.Uint64Range(0, to).Draw(t, "from")
		got := []Hash{}
		for entry, err := range Entries(tiles, from, to) {
			require.NoError(t, err)
			got = append(got, entry)
		}
		require.Equal(t, largest[from:to], got)
	})
	var failed error
	n := 0
	for _, err := range Entries(tiles, 990, 1001) {
		n, failed = n+1, err
	}
	require.ErrorIs(t, failed, fs.ErrNotExist)
	require.Equal(t, 1, n) // nothing of a bundle that is too short
	for range Entries(tiles, 0, 1000) {
		break
	}
}

// watched notes which tiles are read.
type watched struct {
	Tiles
	read map[string]bool
}

func (w watched) Tile(path string) ([]byte, error) {
	w.read[path] = true
	return w.Tiles.Tile(path)
}

// TestFlippedBit flips one bit anywhere. The check of the whole tree must name that file,
// and a proof that has read it must not verify.
func TestFlippedBit(t *testing.T) {
	t.Parallel()
	logs := map[uint64]memory{}
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(sizes(1), sizes(1), sizes(1), rapid.Just(uint64(len(largest)))).Draw(t, "size")
		if logs[size] == nil {
			logs[size] = inMemory(largest[:size])
			root, err := Root(logs[size], size)
			require.NoError(t, err)
			require.NoError(t, CheckTiles(context.Background(), logs[size], Checkpoint{Size: size, Root: root}))
		}
		root, err := Root(logs[size], size)
		require.NoError(t, err)
		path := rapid.SampledFrom(logs[size].paths()).Draw(t, "path")
		bit := rapid.IntRange(0, len(logs[size][path])*8-1).Draw(t, "bit")
		tiles := logs[size].flipped(path, bit)

		cp := Checkpoint{Size: size, Root: root}
		faults := TileErrors(CheckTiles(context.Background(), tiles, cp))
		require.Len(t, faults, 1)
		require.Equal(t, path, faults[0].Path)
		p, err := ParseTilePath(path)
		require.NoError(t, err)
		first, last := p.Records()
		if p.Level == EntriesLevel && bit/8%entrySize >= 2 { // inside an entry
			first += uint64(bit / 8 / entrySize)
			last = first
		}
		require.Equal(t, []uint64{first, last}, []uint64{faults[0].First, faults[0].Last})

		near := rapid.Uint64Range(first-1, last-1)
		if p.Level > 0 { // below the very hash
			first += uint64(bit/8/hashSize) << (p.Level * tileHeight)
			near = rapid.Uint64Range(first-1, min(first+255, last)-1)
		}
		index := rapid.OneOf(near, rapid.Uint64Range(0, size-1)).Draw(t, "index")
		read := watched{tiles, map[string]bool{}}
		proof, err := ProveInclusion(read, size, index)
		if err == nil {
			err = tlog.CheckRecord(theirs(proof), int64(size), tlog.Hash(root), int64(index), tlog.RecordHash(largest[index][:]))
		}
		require.Equal(t, read.read[path], err != nil, "read: %v; error: %v", read.read, err)

		// A proof of consistency does not use everything that it reads: what verifies
		// must equal the proof from an undamaged tree.
		old := rapid.Uint64Range(1, size).Draw(t, "old")
		if proof, err = ProveConsistency(tiles, old, size); err == nil {
			right, err := ProveConsistency(logs[size], old, size)
			require.NoError(t, err)
			oldRoot, err := Root(logs[size], old)
			require.NoError(t, err)
			err = tlog.CheckTree(theirs(proof), int64(size), tlog.Hash(root), int64(old), tlog.Hash(oldRoot))
			require.Equal(t, fmt.Sprint(right) == fmt.Sprint(proof), err == nil)
		}
	})
}

func TestManyFaults(t *testing.T) {
	t.Parallel()
	tiles := inMemory(largest)
	size := uint64(len(largest))
	root, err := Root(tiles, size)
	require.NoError(t, err)
	cp := Checkpoint{Size: size, Root: root}

	t.Run("a tile and its bundle are gone", func(t *testing.T) {
		damaged := tiles.flipped("tile/1/000", 0)
		delete(damaged, "tile/0/007")
		delete(damaged, "tile/entries/007")
		err := CheckTiles(context.Background(), damaged, cp)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.Equal(t, []string{"tile/1/000", "tile/0/007", "tile/entries/007"}, pathsOf(err))
	})
	t.Run("two on one way up", func(t *testing.T) {
		damaged := tiles.flipped("tile/2/000.p/1", 3).flipped("tile/1/000", 3)
		require.Equal(t, []string{"tile/1/000", "tile/2/000.p/1"}, pathsOf(CheckTiles(context.Background(), damaged, cp)))
	})
	t.Run("all on one way up", func(t *testing.T) {
		damaged := tiles.flipped("tile/2/000.p/1", 3).flipped("tile/1/000", 3).flipped("tile/entries/000", 77)
		err := CheckTiles(context.Background(), damaged, cp)
		require.Equal(t, []string{"tile/2/000.p/1"}, pathsOf(err), "nothing tells which of them is right")
		require.Equal(t, []uint64{1, size}, []uint64{TileErrors(err)[0].First, TileErrors(err)[0].Last})
	})
	t.Run("another log, sound in itself", func(t *testing.T) {
		err := CheckTiles(context.Background(), inMemory(entriesOf(2, size)), cp)
		require.ErrorContains(t, err, "do not give the root of the checkpoint")
		require.Equal(t, []string{"tile/2/000.p/1"}, pathsOf(err))
		require.Equal(t, size, TileErrors(err)[0].Last)
	})
	t.Run("another subtree, sound in itself", func(t *testing.T) {
		other, damaged := inMemory(entriesOf(2, 256)), inMemory(largest)
		damaged["tile/0/000"], damaged["tile/entries/000"] = other["tile/0/000"], other["tile/entries/000"]
		require.Equal(t, []string{"tile/0/000"}, pathsOf(CheckTiles(context.Background(), damaged, cp)))
	})
	t.Run("of the wrong size", func(t *testing.T) {
		damaged := inMemory(largest)
		damaged["tile/0/003"] = damaged["tile/0/003"][1:]
		require.ErrorContains(t, CheckTiles(context.Background(), damaged, cp), "tile/0/003 (records 769 to 1024): it has 8191 bytes, not 8192")
	})
	t.Run("all bundles are gone", func(t *testing.T) {
		damaged := inMemory(largest)
		for path := range damaged {
			if p, _ := ParseTilePath(path); p.Level == EntriesLevel {
				delete(damaged, path)
			}
		}
		require.Len(t, TileErrors(CheckTiles(context.Background(), damaged, cp)), maxFaults)
	})
	t.Run("stopped", func(t *testing.T) {
		ctx, stop := context.WithCancel(context.Background())
		stop()
		require.ErrorIs(t, CheckTiles(ctx, tiles, cp), context.Canceled)
	})
	t.Run("nothing", func(t *testing.T) {
		require.NoError(t, CheckTiles(context.Background(), memory{}, Checkpoint{Root: EmptyRoot()}))
		require.Error(t, CheckTiles(context.Background(), memory{}, Checkpoint{Root: root}))
		require.Error(t, CheckTiles(context.Background(), memory{}, Checkpoint{Size: 1 << 62}))
	})
	require.Nil(t, TileErrors(errors.New("other")))
	require.Len(t, TileErrors(fmt.Errorf("wrapped: %w", &TileError{})), 1)
}

func pathsOf(err error) (paths []string) {
	for _, fault := range TileErrors(err) {
		paths = append(paths, fault.Path)
	}
	return paths
}
