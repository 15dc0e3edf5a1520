package evidence

import (
	"fmt"
	"iter"

	"golang.org/x/mod/sumdb/tlog"
)

// Root returns the root of the first size entries, computed from the tiles at the right
// edge. It is certified only if a checkpoint has the same root.
func Root(tiles Tiles, size uint64) (Hash, error) {
	e, err := readEdge(tiles, size)
	if err != nil {
		return Hash{}, err
	}
	return e.root(), nil
}

// ProveInclusion proves that an entry, by its index from 0, is in the tree of size
// entries: the audit path of RFC 6962, from the leaf up. It reads the tiles between that
// leaf and the root, and checks each against the one above it and the entries against
// their leaves: a TileError names the one that does not match.
func ProveInclusion(tiles Tiles, size, index uint64) ([]Hash, error) {
	if index >= size || size >= MaxSize {
		return nil, fmt.Errorf("evidence: there is no entry %d in a log of %d entries", index, size)
	}
	r := newReader(tiles, size)
	leaves, err := r.tile(0, index>>tileHeight)
	if err != nil {
		return nil, err
	}
	p := r.path(EntriesLevel, index>>tileHeight)
	bundle, err := readTile(tiles, p)
	if err != nil {
		return nil, err
	}
	if err := checkBundle(p, bundle, leaves); err != nil {
		return nil, err
	}
	path, err := tlog.ProveRecord(int64(size), int64(index), r)
	return hashesOf(path), err
}

// ProveConsistency proves that the tree of the first old entries is the beginning of that
// of size entries (RFC 6962, 2.1.2). For trees of the same size, and for the empty tree,
// the proof is empty.
func ProveConsistency(tiles Tiles, old, size uint64) ([]Hash, error) {
	if old > size || size >= MaxSize {
		return nil, fmt.Errorf("evidence: a log of %d entries is not the beginning of one of %d", old, size)
	}
	if old == 0 || old == size {
		return nil, nil
	}
	path, err := tlog.ProveTree(int64(size), int64(old), newReader(tiles, size))
	return hashesOf(path), err
}

func hashesOf(path []tlog.Hash) []Hash {
	out := make([]Hash, len(path))
	for i, h := range path {
		out[i] = Hash(h)
	}
	return out
}

// Entries returns the hashes of the entries from one index (from 0) up to another, which
// is excluded. After an error there are no more.
func Entries(tiles Tiles, from, to uint64) iter.Seq2[Hash, error] {
	return func(yield func(Hash, error) bool) {
		for from < to {
			index := from >> tileHeight
			p := TilePath{EntriesLevel, index, int(min(to-index<<tileHeight, TileWidth))}
			bundle, err := readTile(tiles, p)
			if err != nil {
				yield(Hash{}, err)
				return
			}
			for ; from < to && from>>tileHeight == index; from++ {
				if !yield(entryAt(bundle, int(from%TileWidth)), nil) {
					return
				}
			}
		}
	}
}

// reader reads hashes of a tree of some size from its tiles. It checks every full tile
// against the hash above it, up to the right edge, which only a root can vouch for.
type reader struct {
	tiles Tiles
	size  uint64
	read  map[TilePath][]byte
}

func newReader(tiles Tiles, size uint64) *reader {
	return &reader{tiles, size, map[TilePath][]byte{}}
}

// path returns the path of a tile or a bundle, as wide as it is in a tree of this size.
func (r *reader) path(level int, index uint64) TilePath {
	p := edgePath(level, r.size)
	if index < p.Index {
		p = TilePath{level, index, TileWidth}
	}
	return p
}

// tile reads a tile of hashes.
func (r *reader) tile(level int, index uint64) ([]byte, error) {
	p := r.path(level, index)
	if data, ok := r.read[p]; ok {
		return data, nil
	}
	data, err := readTile(r.tiles, p)
	if err != nil {
		return nil, err
	}
	if p.Width == TileWidth {
		above, err := r.tile(level+1, index>>tileHeight)
		if err != nil {
			return nil, err
		}
		if subtree(data) != hashAt(above, int(index%TileWidth)) {
			return nil, tileError(p, errChildMismatch)
		}
	}
	r.read[p] = data
	return data, nil
}

// ReadHashes reads hashes by their numbers in package tlog.
func (r *reader) ReadHashes(numbers []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(numbers))
	for i, number := range numbers {
		height, n := tlog.SplitStoredHashIndex(number)
		level, up := height/tileHeight, height%tileHeight
		first := uint64(n) << up // of the level's hashes below it
		tile, err := r.tile(level, first>>tileHeight)
		if err != nil {
			return nil, err
		}
		at := int(first%TileWidth) * hashSize
		hashes[i] = tlog.Hash(subtree(tile[at : at+hashSize<<up]))
	}
	return hashes, nil
}
