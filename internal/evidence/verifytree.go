package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
)

// provedTree reads the tiles of a tree from the root down: everything that it returns has
// been checked against a checkpoint. Several goroutines may use it, if its tiles allow
// that.
type provedTree struct {
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

// tilesInMind bounds a cache of tiles of 8 KiB each.
const tilesInMind = 256

// proveTree reads the right edge of the tree and checks it against the root of the
// checkpoint. The tree is nil where that fails: then nothing below can be checked. With
// both a tree and an error, the last tile of leaves is damaged and is replaced by one
// computed from its entries.
func proveTree(tiles Tiles, cp Checkpoint) (*provedTree, error) {
	t := &provedTree{tiles: tiles, size: cp.Size, cache: map[TilePath]*provedTile{}}
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
	if t.root() == cp.Root {
		return t, errors.Join(missing...)
	}
	faults := missing
	if len(faults) == 0 {
		faults = []error{errors.New("the last tiles of all levels do not give the root of the checkpoint")}
	}
	p := edgePath(0, cp.Size)
	leaves, err := t.leavesOf(p)
	if p.Width == 0 || err != nil {
		return nil, errors.Join(faults...)
	}
	stored := t.edge[0]
	if t.edge[0] = leaves; t.root() != cp.Root {
		return nil, errors.Join(faults...)
	}
	if len(missing) == 0 && !bytes.Equal(stored, leaves) {
		missing = append(missing, tileError(p, errUnfit))
	}
	return t, errors.Join(missing...)
}

var errUnfit = errors.New("its hashes do not give the one above them")

// root combines the full subtrees along the right edge (RFC 6962, 2.1).
func (t *provedTree) root() Hash {
	e := edge{size: t.size}
	for level, tile := range t.edge {
		for i := tileHeight - 1; i >= 0; i-- {
			if n := hashSize << i; len(tile) >= n {
				e.full[level*tileHeight+i] = subtree(tile[:n])
				tile = tile[n:]
			}
		}
	}
	return e.root()
}

// path returns the path of a tile in a tree of this size; its width may be 0.
func (t *provedTree) path(level int, index uint64) TilePath {
	p := edgePath(level, t.size)
	switch {
	case index < p.Index:
		return TilePath{level, index, tileWidth}
	case index == p.Index:
		return p
	}
	return TilePath{level, index, 0}
}

// tile returns the hashes of a tile, proved.
func (t *provedTree) tile(level int, index uint64) ([]byte, error) {
	p := t.path(level, index)
	switch {
	case p.Width == 0:
		return nil, tileError(p, fmt.Errorf("a log of %d records has no such tile", t.size))
	case p.Width < tileWidth:
		return t.edge[level], nil
	}
	kept := t.keep(p)
	kept.once.Do(func() { kept.hashes, kept.err = t.prove(p) })
	return kept.hashes, kept.err
}

func (t *provedTree) keep(p TilePath) *provedTile {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept, ok := t.cache[p]
	if !ok {
		if len(t.order) == tilesInMind {
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
func (t *provedTree) prove(p TilePath) ([]byte, error) {
	above, err := t.tile(p.Level+1, p.Index/tileWidth)
	if err != nil {
		return nil, err
	}
	want := hashAt(above, int(p.Index%tileWidth))
	tile, err := readTile(t.tiles, p)
	if err == nil && subtree(tile) == want {
		return tile, nil
	}
	if err == nil {
		err = tileError(p, errUnfit)
	}
	if p.Level == 0 {
		if leaves, failed := t.leavesOf(p); failed == nil && subtree(leaves) == want {
			return leaves, nil
		}
	}
	return nil, err
}

// leavesOf computes a tile of leaves from the entries below it.
func (t *provedTree) leavesOf(p TilePath) ([]byte, error) {
	p.Level = EntriesLevel
	bundle, err := readTile(t.tiles, p)
	if err != nil {
		return nil, err
	}
	leaves := make([]byte, 0, p.Width*hashSize)
	for i := range p.Width {
		leaf := leafHash(entryAt(bundle, i))
		leaves = append(leaves, leaf[:]...)
	}
	return leaves, nil
}

// leaf returns the hash of a record's leaf, proved.
func (t *provedTree) leaf(sequence uint64) (Hash, error) {
	if sequence == 0 || sequence > t.size {
		return Hash{}, fmt.Errorf("record %d is not among the %d that the checkpoint covers", sequence, t.size)
	}
	leaves, err := t.tile(0, (sequence-1)/tileWidth)
	if err != nil {
		return Hash{}, err
	}
	return hashAt(leaves, int((sequence-1)%tileWidth)), nil
}

// check compares a stored tile or bundle with the tree. It returns all faults.
func (t *provedTree) check(p TilePath) []error {
	if p.Width != t.path(p.Level, p.Index).Width {
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
		return []error{tileError(p, errUnfit)}
	case p.Level != EntriesLevel:
		return nil
	}
	var faults []error
	for i := range p.Width {
		if leafHash(entryAt(stored, i)) != hashAt(want, i) {
			n := p.Index*tileWidth + uint64(i) + 1
			faults = append(faults, &TileError{Path: p.String(), First: n, Last: n, Err: errors.New("the entry is not the one that the tree has")})
		}
	}
	return faults
}

// checkAround checks the stored tile of leaves and the bundle that contain a record.
func (t *provedTree) checkAround(sequence uint64) (faults []error) {
	p := t.path(0, (sequence-1)/tileWidth)
	faults = t.check(p)
	p.Level = EntriesLevel
	for _, err := range t.check(p) {
		if len(faults) == 0 || err.Error() != faults[0].Error() { // a fault further up is found twice
			faults = append(faults, err)
		}
	}
	return faults
}
