package evidence

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var errKilled = errors.New("killed")

// killer aborts the work of a disk before its n-th operation. Only part of a file that
// was not yet synced then exists.
func killer(n int, random *rand.Rand) func(op, path string) error {
	unsynced := map[string]bool{}
	return func(op, path string) error {
		switch op {
		case "write":
			unsynced[path+".new"] = true
		case "rename":
			delete(unsynced, path+".new")
		}
		if n--; n >= 0 {
			return nil
		}
		for path := range unsynced {
			if info, err := os.Stat(path); err == nil {
				if err := os.Truncate(path, random.Int64N(info.Size()+1)); err != nil {
					return err
				}
			}
		}
		return errKilled
	}
}

// TestTree_KilledAtAnyStep repeatedly aborts the work of a tree at any operation on the disk. Each
// time the tree is opened at the size of the last completed Write, and continues with
// entries that may differ from the lost ones.
func TestTree_KilledAtAnyStep(t *testing.T) {
	t.Parallel()
	base := quickDir(t)
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(base, "")
		require.NoError(t, err)
		defer os.RemoveAll(dir)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		var certified []Hash
		var sizes []uint64 // what a checkpoint may have covered
		for life := range rapid.IntRange(1, 3).Draw(t, "lives") {
			tree, err := OpenTree(dir, uint64(len(certified)))
			require.NoError(t, err)
			want, err := Root(inMemory(certified), tree.Size())
			require.NoError(t, err)
			require.Equal(t, want, tree.Root())

			tree.disk.step = killer(rapid.IntRange(0, 60).Draw(t, "operations"), random)
			entries := append(certified[:len(certified):len(certified)], entriesOf(uint64(life), 900)...)
			for range rapid.IntRange(1, 4).Draw(t, "writes") {
				more := rapid.IntRange(0, 300).Draw(t, "more")
				size := min(len(entries), int(tree.Size())+more)
				err := tree.Append(entries[tree.Size():size]...)
				if err == nil {
					err = tree.Write()
				}
				if err != nil {
					require.ErrorIs(t, err, errKilled)
					break
				}
				certified, sizes = entries[:size], append(sizes, uint64(size))
			}
		}
		tree, err := OpenTree(dir, uint64(len(certified)))
		require.NoError(t, err)
		entries := append(certified[:len(certified):len(certified)], entriesOf(99, rapid.Uint64Range(1, 500).Draw(t, "last"))...)
		require.NoError(t, tree.Append(entries[tree.Size():]...))
		require.NoError(t, tree.Write())
		// Not only of what was certified: no size is read out of what was lost.
		for range 20 {
			sizes = append(sizes, random.Uint64N(uint64(len(entries))+1))
		}
		holds(t, dir, entries, sizes...)
	})
}

// TestTree_FailedWrite has a disk that fails once at each operation in turn. The same
// tree then continues.
func TestTree_FailedWrite(t *testing.T) {
	t.Parallel()
	entries := largest[:600]
	for failing := 0; ; failing++ {
		dir := quickDir(t)
		written(t, dir, entries[:250])
		tree, err := OpenTree(dir, 250)
		require.NoError(t, err)
		n, failed := failing, false
		tree.disk.step = func(string, string) error {
			if n--; n == -1 {
				failed = true
				return errKilled
			}
			return nil
		}
		require.NoError(t, tree.Append(entries[250:]...))
		if err := tree.Write(); failed {
			require.ErrorIs(t, err, errKilled)
			require.NoError(t, tree.Write())
		}
		require.Equal(t, inMemory(entries).paths(), filesBelow(t, dir).paths())
		holds(t, dir, entries)
		if !failed {
			require.Greater(t, failing, 20)
			return
		}
	}
}

// TestOrderOnDisk follows a tree's operations on the disk: no file is renamed into
// place before its bytes are durable, nothing is removed before its replacement is
// durable, and when Write returns every folder is synced.
func TestOrderOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree, err := OpenTree(dir, 0)
	require.NoError(t, err)
	synced, waiting := map[string]bool{}, map[string]bool{}
	tree.disk.step = func(op, path string) error {
		switch op {
		case "write":
			delete(synced, path)
		case "sync":
			synced[path] = true
		case "rename":
			require.True(t, synced[path], path)
			waiting[filepath.Dir(path)] = true
		case "mkdir":
			waiting[filepath.Dir(path)] = true
		case "syncdir":
			delete(waiting, path)
		case "remove":
			require.Empty(t, waiting, path)
		default:
			require.Contains(t, []string{"create"}, op)
		}
		return nil
	}
	for size := uint64(0); size < 3000; {
		size += 1 + size/2
		require.NoError(t, tree.Append(largest[tree.Size():size]...))
		require.NoError(t, tree.Write())
		require.Empty(t, waiting)
	}
	require.NotEmpty(t, synced)
	tree.disk.step = func(op, path string) error { return errKilled }
	require.NoError(t, tree.Write(), "nothing is new")
}
