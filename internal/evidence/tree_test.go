package evidence

import (
	"context"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// written writes a tree of entries to a folder, with a Write after each part.
func written(t require.TestingT, dir string, entries []Hash, parts ...int) {
	tree, err := OpenTree(dir, 0)
	require.NoError(t, err)
	for _, part := range append(parts, len(entries)) {
		require.NoError(t, tree.Append(entries[tree.Size():part]...))
		require.NoError(t, tree.Write())
	}
}

// holds requires that the files of a folder are a log of these entries: the same files as
// any other way of writing it gives, and the roots of the sizes, too.
func holds(t require.TestingT, dir string, entries []Hash, sizes ...uint64) {
	want := inMemory(entries)
	for path, data := range want {
		got, err := os.ReadFile(filepath.Join(dir, path))
		require.NoError(t, err)
		require.Equal(t, data, got, path)
	}
	size := uint64(len(entries))
	root, err := Root(want, size)
	require.NoError(t, err)
	require.NoError(t, CheckTiles(context.Background(), Dir(dir), Checkpoint{Size: size, Root: root}))
	for _, size := range sizes {
		got, err := Root(Dir(dir), size)
		require.NoError(t, err)
		root, err := Root(want, size)
		require.NoError(t, err)
		require.Equal(t, root, got, "of size %d", size)
	}
}

func TestTree_Continues(t *testing.T) {
	t.Parallel()
	dir := quickDir(t)
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(dir, "")
		require.NoError(t, err)
		defer os.RemoveAll(dir)
		final := sizes(0).Draw(t, "final")
		var size uint64
		for size < final {
			tree, err := OpenTree(dir, size)
			require.NoError(t, err)
			root, err := Root(inMemory(largest[:size]), size)
			require.NoError(t, err)
			require.Equal(t, root, tree.Root())
			for range rapid.IntRange(1, 3).Draw(t, "writes") {
				size = min(final, tree.Size()+rapid.Uint64Range(1, 700).Draw(t, "more"))
				require.NoError(t, tree.Append(largest[tree.Size():size]...))
				require.NoError(t, tree.Write())
				require.Equal(t, size, tree.Size())
			}
		}
		holds(t, dir, largest[:final])
	})
}

// TestTreeOfThreeLevels writes far more between two writes than the tree keeps in memory,
// and finds only a log's files in its folder, for its owner alone.
func TestTreeOfThreeLevels(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "log")
	written(t, dir, largest, 1, 300, 65_536+3)
	holds(t, dir, largest, 1, 2, 299, 65_535, 65_536, 65_537, uint64(len(largest)))

	// Also: a partial tile is gone that has become full.
	require.Equal(t, inMemory(largest).paths(), filesBelow(t, dir).paths())
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, path)
		return nil
	}))
	_, err := os.Stat(filepath.Join(dir, "tile/0/000.p"))
	require.ErrorIs(t, err, fs.ErrNotExist, "a partial tile that has become full")
}

func TestOpenDamagedTree(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, path, want string }{
		{"a leaf", "tile/0/002.p/88", "tile/entries/002.p/88 (records 513 to 513): the entry is not what its leaf says"},
		{"an entry", "tile/entries/002.p/88", "tile/entries/002.p/88 (records 513 to 513)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			written(t, dir, largest[:600])
			path := filepath.Join(dir, c.path)
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			data[5] ^= 4
			require.NoError(t, os.WriteFile(path, data, 0o600))
			_, err = OpenTree(dir, 600)
			require.ErrorContains(t, err, c.want)

			require.NoError(t, os.WriteFile(path, data[:40], 0o600))
			_, err = OpenTree(dir, 600)
			require.ErrorContains(t, err, "it has 40 bytes")

			require.NoError(t, os.Remove(path))
			_, err = OpenTree(dir, 600)
			require.ErrorIs(t, err, fs.ErrNotExist)
			var fault *TileError
			require.ErrorAs(t, err, &fault)
			require.Equal(t, c.path, fault.Path)
		})
	}
	dir := t.TempDir()
	written(t, dir, largest[:600])
	_, err := OpenTree(dir, 601)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = OpenTree(dir, 1<<62)
	require.ErrorContains(t, err, "too large")
}

// TestStaleTiles begins a new tree over a longer log.
func TestStaleTiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	written(t, dir, entriesOf(7, 1000), 100, 200, 700)
	written(t, dir, largest[:300], 50)
	holds(t, dir, largest[:300], 20, 50, 100, 200, 256, 280, 300)
}

func TestDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	written(t, dir, largest[:300], 10, 20)
	for path, want := range map[string]string{
		"tile/0/000.p/7":        "tile/0/000",
		"tile/entries/000.p/20": "tile/entries/000",
		"tile/entries/001.p/3":  "tile/entries/001.p/44",
	} {
		got, err := Dir(dir).Tile(path)
		require.NoError(t, err)
		all, err := os.ReadFile(filepath.Join(dir, want))
		require.NoError(t, err)
		p, err := ParseTilePath(path)
		require.NoError(t, err)
		require.Equal(t, all[:p.bytes()], got)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), nil, 0o600))
	for _, path := range []string{"tile/0/001", "tile/0/001.p/45", "tile/0/002.p/1", "tile/3/000"} {
		_, err := Dir(dir).Tile(path)
		require.ErrorIs(t, err, fs.ErrNotExist, path)
	}
	for _, path := range []string{"secret", "../secret", "tile/0/../../secret", strings.Repeat("tile/", 3), dir + "/tile/0/000"} {
		_, err := Dir(dir).Tile(path)
		require.ErrorContains(t, err, "is not the path of a tile")
	}
	// A full tile that was cut.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tile/0/000"), []byte("short"), 0o600))
	got, err := Dir(dir).Tile("tile/0/000.p/7")
	require.NoError(t, err)
	require.Len(t, got, 5)
}

// TestReadWhileWritten reads every certified size while the tree grows and partial tiles
// are replaced by full ones.
func TestReadWhileWritten(t *testing.T) {
	t.Parallel()
	dir, e := quickDir(t), &edge{}
	roots := []Hash{e.root()}
	for _, entry := range largest[:700] {
		e.add(entry, func(TilePath, []byte) {})
		roots = append(roots, e.root())
	}
	var certified atomic.Uint64
	done := make(chan error, 1)
	go func() {
		tree, err := OpenTree(dir, 0)
		for err == nil && tree.Size() < 700 {
			size := min(700, tree.Size()+13)
			if err = tree.Append(largest[tree.Size():size]...); err == nil {
				err = tree.Write()
			}
			certified.Store(size)
		}
		done <- err
	}()
	for {
		size := rand.Uint64N(certified.Load() + 1)
		root, err := Root(Dir(dir), size)
		require.NoError(t, err)
		require.Equal(t, roots[size], root)
		select {
		case err := <-done:
			require.NoError(t, err)
			return
		default:
		}
	}
}
