package evidence

import (
	"errors"
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
	t, err := treeBelowEdge(tiles, size)
	if err != nil {
		return nil, err
	}
	if faults := t.CheckAround(index + 1); len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	path, err := tlog.ProveRecord(int64(size), int64(index), t)
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
	t, err := treeBelowEdge(tiles, size)
	if err != nil {
		return nil, err
	}
	path, err := tlog.ProveTree(int64(size), int64(old), t)
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
