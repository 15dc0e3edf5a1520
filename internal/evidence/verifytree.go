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
	hashes []byte
	err    error
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
// checkpoint. The tree is nil where that fails: then nothing below can be checked. With
// both a tree and an error, the last tile of leaves is damaged and is replaced by one
// computed from its entries.
func ProveTree(tiles Tiles, cp Checkpoint) (*ProvedTree, error) {
	t := newProvedTree(tiles, cp.Size)
	var missing []error
	for level := range levels {
		p := edgePath(level, cp.Size)
		if p.Width == 0 {
			continue
		}
		tile, err := readTile(tiles, p)
		if err != nil {
			missing = append(missing, err)
			tile = make([]byte, p.bytes())
		}
		t.edge[level] = tile
	}
	if rootOf(t.size, t.edge) == cp.Root {
		return t, errors.Join(missing...)
	}
	faults := missing
	if len(faults) == 0 {
		faults = []error{errors.New("the last tiles of all levels do not give the root of the checkpoint")}
	}
	p := edgePath(0, cp.Size)
	leaves, err := t.readLeaves(p)
	if p.Width == 0 || err != nil {
		return nil, errors.Join(faults...)
	}
	stored := t.edge[0]
	if t.edge[0] = leaves; rootOf(t.size, t.edge) != cp.Root {
		return nil, errors.Join(faults...)
	}
	if len(missing) == 0 && !bytes.Equal(stored, leaves) {
		missing = append(missing, tileError(p, errParentMismatch))
	}
	return t, errors.Join(missing...)
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
	kept.once.Do(func() { kept.hashes, kept.err = t.prove(p) })
	return kept.hashes, kept.err
}

func (t *ProvedTree) keep(p TilePath) *provedTile {
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

// prove reads a full tile and checks it against the tile above. Where a tile of leaves
// does not match but one computed from its entries does, it uses that: check finds
// the fault.
func (t *ProvedTree) prove(p TilePath) ([]byte, error) {
	above, err := t.tile(p.Level+1, p.Index/TileWidth)
	if err != nil {
		return nil, err
	}
	want := hashAt(above, int(p.Index%TileWidth))
	tile, err := readTile(t.tiles, p)
	if err == nil && subtree(tile) == want {
		return tile, nil
	}
	if err == nil {
		err = tileError(p, errParentMismatch)
	}
	if p.Level == 0 {
		if leaves, failed := t.readLeaves(p); failed == nil && subtree(leaves) == want {
			return leaves, nil
		}
	}
	return nil, err
}

// readLeaves computes a tile of leaves from the entries below it.
func (t *ProvedTree) readLeaves(p TilePath) ([]byte, error) {
	p.Level = EntriesLevel
	bundle, err := readTile(t.tiles, p)
	if err != nil {
		return nil, err
	}
	return leavesOf(bundle), nil
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
	want, err := t.tile(max(p.Level, 0), p.Index)
	if err != nil {
		return []error{err}
	}
	stored, err := readTile(t.tiles, p)
	switch {
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
