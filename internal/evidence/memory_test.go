package evidence

import (
	"crypto/sha256"
	"encoding/binary"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"
)

// entriesOf returns entries that look random and are the same in every run.
func entriesOf(seed, n uint64) []Hash {
	entries := make([]Hash, n)
	for i := range entries {
		entries[i] = sha256.Sum256(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, seed), uint64(i)))
	}
	return entries
}

// memory is Tiles without a disk.
type memory map[string][]byte

// inMemory returns the tiles of a log.
func inMemory(entries []Hash) memory {
	m, e := memory{}, &edge{}
	for _, entry := range entries {
		e.add(entry, func(p TilePath, data []byte) { m[p.String()] = data })
	}
	for level := EntriesLevel; level < levels; level++ {
		if p, data := e.partial(level); p.Width > 0 {
			m[p.String()] = data
		}
	}
	return m
}

func (m memory) Tile(path string) ([]byte, error) {
	if data, ok := m[path]; ok {
		return data, nil
	}
	p, err := ParseTilePath(path)
	if err != nil {
		return nil, err
	}
	for width := p.Width + 1; width <= TileWidth; width++ {
		if data, ok := m[TilePath{p.Level, p.Index, width}.String()]; ok {
			return data[:min(len(data), p.bytes())], nil
		}
	}
	return nil, fs.ErrNotExist
}

// paths are sorted.
func (m memory) paths() []string { return slices.Sorted(maps.Keys(m)) }

// flipped returns a copy with one bit of one tile flipped.
func (m memory) flipped(path string, bit int) memory {
	out := maps.Clone(m)
	out[path] = slices.Clone(m[path])
	out[path][bit/8] ^= 1 << (bit % 8)
	return out
}

// reference is package tlog's version of a log: every hash by its number.
type reference []tlog.Hash

func referenceOf(t require.TestingT, entries []Hash) *reference {
	r := &reference{}
	for i, entry := range entries {
		hashes, err := tlog.StoredHashes(int64(i), entry[:], r)
		require.NoError(t, err)
		*r = append(*r, hashes...)
	}
	return r
}

func (r *reference) ReadHashes(numbers []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(numbers))
	for i, n := range numbers {
		hashes[i] = (*r)[n]
	}
	return hashes, nil
}

func (r *reference) root(t require.TestingT, size uint64) Hash {
	h, err := tlog.TreeHash(int64(size), r)
	require.NoError(t, err)
	return Hash(h)
}

// filesBelow returns the files of a folder, by their paths in it.
func filesBelow(t testing.TB, dir string) memory {
	files := memory{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		files[filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	}))
	return files
}

func theirs(path []Hash) []tlog.Hash {
	out := make([]tlog.Hash, len(path))
	for i, h := range path {
		out[i] = tlog.Hash(h)
	}
	return out
}

// quickDir returns a folder for tests that write much: in memory where the system
// supports it, because a shared disk would slow them down.
func quickDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "evidence")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}
