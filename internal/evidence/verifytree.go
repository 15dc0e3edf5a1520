package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// ProvedTree reads the tiles of a tree from the root down: everything that it returns has
// been checked against a checkpoint. Several goroutines may use it, if its tiles allow
// that.
type ProvedTree struct {
	tiles Tiles
	size  uint64
	edge  [levels][]byte // the last tile of each level, where it is not full

	mu    sync.Mutex
	cache map[TilePath]*provedTile // guarded by mu
	order []TilePath               // guarded by mu; the oldest first
}

type provedTile struct {
	once   sync.Once
	hashes []byte // nil: nothing proves them
	fault  error  // of the stored tile
}

// maxCachedTiles bounds the cache of tiles, 8 KiB each.
const maxCachedTiles = 256

func newProvedTree(tiles Tiles, size uint64) *ProvedTree {
	return &ProvedTree{tiles: tiles, size: size, cache: map[TilePath]*provedTile{}}
}

// treeBelowEdge returns a tree that is checked against its right edge as it is stored: a
// proof made from it must be verified with a checkpoint.
func treeBelowEdge(tiles Tiles, size uint64) (t *ProvedTree, err error) {
	t = newProvedTree(tiles, size)
	t.edge, err = readEdgeTiles(tiles, size)
	return t, err
}

// ProveTree reads the right edge of a tree and checks it against the root of the
// checkpoint. With both a tree and an error, tiles of the edge are damaged and were
// replaced by what is stored below them. The tree is nil where that does not give the
// root either: then nothing below can be checked.
func ProveTree(tiles Tiles, cp Checkpoint) (*ProvedTree, error) {
	t := newProvedTree(tiles, cp.Size)
	var faults []error
	top := TilePath{}
	for level := range levels {
		p := edgePath(level, cp.Size)
		if p.Width == 0 {
			continue
		}
		stored, err := readTile(tiles, p)
		if err != nil {
			faults = append(faults, err)
		}
		t.edge[level], top = stored, p
	}
	if rootOf(t.size, t.edge) == cp.Root {
		return t, nil
	}
	stored := t.edge
	for level := range levels {
		if p := edgePath(level, cp.Size); p.Width > 0 {
			if below, err := t.recompute(p, stored[level]); err == nil {
				t.edge[level] = below
			}
		}
	}
	if rootOf(t.size, t.edge) != cp.Root {
		if len(faults) == 0 {
			faults = []error{&TileError{top.String(), 1, cp.Size, errors.New("the last tiles of all levels do not give the root of the checkpoint")}}
		}
		return nil, errors.Join(faults...)
	}
	for level, tile := range stored {
		if tile != nil && !bytes.Equal(tile, t.edge[level]) {
			faults = append(faults, tileError(edgePath(level, cp.Size), errParentMismatch))
		}
	}
	return t, errors.Join(faults...)
}

var errParentMismatch = errors.New("its hashes do not give the one above them")

// Size returns the number of records in the tree.
func (t *ProvedTree) Size() uint64 { return t.size }

// Path returns the path of a tile in a tree of this size; its width may be 0.
func (t *ProvedTree) Path(level int, index uint64) TilePath {
	p := edgePath(level, t.size)
	switch {
	case index < p.Index:
		return TilePath{level, index, TileWidth}
	case index == p.Index:
		return p
	}
	return TilePath{level, index, 0}
}

// tile returns the hashes of a tile, proved.
func (t *ProvedTree) tile(level int, index uint64) ([]byte, error) {
	p := t.Path(level, index)
	switch {
	case p.Width == 0:
		return nil, tileError(p, fmt.Errorf("a log of %d records has no such tile", t.size))
	case p.Width < TileWidth:
		return t.edge[level], nil
	}
	kept := t.keep(p)
	if kept.hashes == nil {
		return nil, kept.fault
	}
	return kept.hashes, nil
}

// keep returns a full tile, which it proves unless it is in the cache.
func (t *ProvedTree) keep(p TilePath) *provedTile {
	kept := t.cached(p)
	kept.once.Do(func() { kept.hashes, kept.fault = t.prove(p) })
	return kept
}

func (t *ProvedTree) cached(p TilePath) *provedTile {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept, ok := t.cache[p]
	if !ok {
		if len(t.order) == maxCachedTiles {
			delete(t.cache, t.order[0])
			t.order = append(t.order[:0], t.order[1:]...)
		}
		kept = &provedTile{}
		t.cache[p] = kept
		t.order = append(t.order, p)
	}
	return kept
}

// prove reads a full tile and checks it against the tile above. Where it does not match
// but what is stored below it does, prove returns that with the fault.
func (t *ProvedTree) prove(p TilePath) (hashes []byte, fault error) {
	above, err := t.tile(p.Level+1, p.Index/TileWidth)
	if err != nil {
		return nil, err
	}
	want := hashAt(above, int(p.Index%TileWidth))
	stored, err := readTile(t.tiles, p)
	if err == nil && subtree(stored) == want {
		return stored, nil
	}
	if err == nil {
		err = tileError(p, errParentMismatch)
	}
	if below, failed := t.recompute(p, stored); failed == nil && subtree(below) == want {
		return below, err
	}
	return nil, err
}

// recompute computes a tile from what is stored below it. Where nothing can be read
// there, it keeps the hash of the stored tile, which is nil if that cannot be read.
func (t *ProvedTree) recompute(p TilePath, stored []byte) ([]byte, error) {
	if p.Level == 0 {
		bundle, err := readTile(t.tiles, TilePath{EntriesLevel, p.Index, p.Width})
		if err != nil {
			return nil, err
		}
		return leavesOf(bundle), nil
	}
	computed := make([]byte, p.bytes())
	copy(computed, stored)
	for i := range p.Width {
		child := TilePath{p.Level - 1, p.Index*TileWidth + uint64(i), TileWidth}
		tile, err := readTile(t.tiles, child)
		if err == nil && subtree(tile) == hashAt(computed, i) {
			continue
		}
		if below, failed := t.recompute(child, tile); failed == nil {
			tile, err = below, nil
		}
		switch {
		case err == nil:
			h := subtree(tile)
			copy(computed[i*hashSize:], h[:])
		case stored == nil:
			return nil, err
		}
	}
	return computed, nil
}

// Leaf returns the hash of a record's leaf, proved.
func (t *ProvedTree) Leaf(sequence uint64) (Hash, error) {
	if sequence == 0 || sequence > t.size {
		return Hash{}, fmt.Errorf("record %d is not among the %d that the checkpoint covers", sequence, t.size)
	}
	leaves, err := t.tile(0, (sequence-1)/TileWidth)
	if err != nil {
		return Hash{}, err
	}
	return hashAt(leaves, int((sequence-1)%TileWidth)), nil
}

// Check compares a stored tile or bundle with the tree. It returns all faults.
func (t *ProvedTree) Check(p TilePath) []error {
	if p.Width != t.Path(p.Level, p.Index).Width {
		return []error{tileError(p, fmt.Errorf("a log of %d records has no such tile", t.size))}
	}
	if p.Level != EntriesLevel && p.Width == TileWidth {
		if fault := t.keep(p).fault; fault != nil {
			return []error{fault}
		}
		return nil
	}
	want, unproved := t.tile(max(p.Level, 0), p.Index)
	stored, err := readTile(t.tiles, p)
	switch {
	case unproved != nil && p.Level == EntriesLevel && err != nil:
		return []error{unproved, err}
	case unproved != nil:
		return []error{unproved}
	case err != nil:
		return []error{err}
	case p.Level != EntriesLevel && !bytes.Equal(stored, want):
		return []error{tileError(p, errParentMismatch)}
	case p.Level != EntriesLevel:
		return nil
	}
	var faults []error
	for i := range p.Width {
		if LeafHash(entryAt(stored, i)) != hashAt(want, i) {
			n := p.Index*TileWidth + uint64(i) + 1
			faults = append(faults, &TileError{Path: p.String(), First: n, Last: n, Err: errors.New("the entry is not the one that the tree has")})
		}
	}
	return faults
}

// CheckAround checks the stored tile of leaves and the bundle that contain a record.
func (t *ProvedTree) CheckAround(sequence uint64) (faults []error) {
	p := t.Path(0, (sequence-1)/TileWidth)
	faults = t.Check(p)
	p.Level = EntriesLevel
	for _, err := range t.Check(p) {
		if len(faults) == 0 || err.Error() != faults[0].Error() { // a fault further up is found twice
			faults = append(faults, err)
		}
	}
	return faults
}

// ReadHashes returns hashes by their numbers in package tlog.
func (t *ProvedTree) ReadHashes(numbers []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(numbers))
	for i, number := range numbers {
		height, n := tlog.SplitStoredHashIndex(number)
		level, up := height/tileHeight, height%tileHeight
		first := uint64(n) << up // of the level's hashes below it
		tile, err := t.tile(level, first>>tileHeight)
		if err != nil {
			return nil, err
		}
		at := int(first%TileWidth) * hashSize
		hashes[i] = tlog.Hash(subtree(tile[at : at+hashSize<<up]))
	}
	return hashes, nil
}
