package evidence

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// edge is the right edge of a tree: everything that adding an entry touches.
type edge struct {
	size uint64
	// full[i] is the root of the subtree of 1<<i entries that ends where the i-th bit of
	// size indicates, if that bit is set.
	full    [62]Hash
	entries []byte         // the bundle that is not full
	tiles   [levels][]byte // the tile of each level that is not full
}

// add adds an entry. It passes tiles that become full to filled, which keeps the bytes.
func (e *edge) add(entry Hash, filled func(p TilePath, data []byte)) {
	if e.entries == nil {
		e.entries = make([]byte, 0, TileWidth*entrySize)
	}
	e.entries = binary.BigEndian.AppendUint16(e.entries, uint16(hashSize))
	e.entries = append(e.entries, entry[:]...)
	if len(e.entries) == TileWidth*entrySize {
		filled(TilePath{EntriesLevel, e.size >> tileHeight, TileWidth}, e.entries)
		e.entries = nil
	}
	h := LeafHash(entry)
	e.push(0, h, filled)
	i := 0
	for ; e.size>>i&1 == 1; i++ {
		h = nodeHash(e.full[i], h)
		if (i+1)%tileHeight == 0 {
			e.push((i+1)/tileHeight, h, filled)
		}
	}
	e.full[i] = h
	e.size++
}

func (e *edge) push(level int, h Hash, filled func(p TilePath, data []byte)) {
	tile := e.tiles[level]
	if tile == nil {
		tile = make([]byte, 0, TileWidth*hashSize)
	}
	tile = append(tile, h[:]...)
	if len(tile) == TileWidth*hashSize {
		filled(TilePath{level, e.size >> (tileHeight * (level + 1)), TileWidth}, tile)
		tile = nil
	}
	e.tiles[level] = tile
}

// root returns the root of the tree.
func (e *edge) root() Hash {
	root, found := EmptyRoot(), false
	for i := range e.full {
		switch {
		case e.size>>i&1 == 0:
		case !found:
			root, found = e.full[i], true
		default:
			root = nodeHash(e.full[i], root)
		}
	}
	return root
}

// rootOf returns the root of a tree of some size from the tiles at its right edge.
func rootOf(size uint64, tiles [levels][]byte) Hash {
	e := edge{size: size}
	for level, tile := range tiles {
		e.join(level, tile)
	}
	return e.root()
}

// join takes the roots of full subtrees from a tile that is not full: their widths are
// powers of two, from the left, as RFC 6962 splits a tree.
func (e *edge) join(level int, tile []byte) {
	width := len(tile) / hashSize
	for i := tileHeight - 1; i >= 0; i-- {
		if width>>i&1 == 1 {
			e.full[level*tileHeight+i] = subtree(tile[:hashSize<<i])
			tile = tile[hashSize<<i:]
		}
	}
}

// partial returns the tile of a level that is not full, or the bundle. Its width is 0
// when there is none.
func (e *edge) partial(level int) (TilePath, []byte) {
	p := edgePath(level, e.size)
	if level == EntriesLevel {
		return p, e.entries
	}
	return p, e.tiles[level]
}

// edgePath returns the path of the partial tile at the right end of a level, in a tree of
// a given size. Its width is 0 when all tiles of the level are full.
func edgePath(level int, size uint64) TilePath {
	n := size >> (tileHeight * max(level, 0))
	return TilePath{level, n >> tileHeight, int(n % TileWidth)}
}

// readEdge reads the right edge of a tree of some size from its tiles.
func readEdge(tiles Tiles, size uint64) (*edge, error) {
	stored, err := readEdgeTiles(tiles, size)
	if err != nil {
		return nil, err
	}
	e := &edge{size: size}
	for level, tile := range stored {
		if tile != nil {
			e.tiles[level] = append(make([]byte, 0, TileWidth*hashSize), tile...)
			e.join(level, tile)
		}
	}
	p := edgePath(EntriesLevel, size)
	if p.Width == 0 {
		return e, nil
	}
	bundle, err := readTile(tiles, p)
	if err != nil {
		return nil, err
	}
	e.entries = append(make([]byte, 0, TileWidth*entrySize), bundle...)
	return e, checkBundle(p, bundle, e.tiles[0])
}

// readEdgeTiles reads the tile of each level that is not full.
func readEdgeTiles(tiles Tiles, size uint64) (stored [levels][]byte, err error) {
	if size >= MaxSize {
		return stored, fmt.Errorf("evidence: a log of %d entries is too large", size)
	}
	for level := range levels {
		if p := edgePath(level, size); p.Width > 0 {
			if stored[level], err = readTile(tiles, p); err != nil {
				return stored, err
			}
		}
	}
	return stored, nil
}

// leavesOf returns the tile of leaves over a bundle of entries.
func leavesOf(bundle []byte) []byte {
	leaves := make([]byte, 0, len(bundle)/entrySize*hashSize)
	for i := range len(bundle) / entrySize {
		leaf := LeafHash(entryAt(bundle, i))
		leaves = append(leaves, leaf[:]...)
	}
	return leaves
}

// checkBundle compares a bundle with the tile of its leaves. Its TileError names the
// first and last records that do not match.
func checkBundle(p TilePath, bundle, leaves []byte) error {
	var wrong []uint64
	for i := range p.Width {
		if LeafHash(entryAt(bundle, i)) != hashAt(leaves, i) {
			wrong = append(wrong, p.Index*TileWidth+uint64(i)+1)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	err := tileError(p, errors.New("the entry is not what its leaf says"))
	if len(wrong) > 1 {
		err.Err = fmt.Errorf("the entries of %d records are not what their leaves say", len(wrong))
	}
	err.First, err.Last = wrong[0], wrong[len(wrong)-1]
	return err
}

func hashAt(tile []byte, i int) Hash    { return Hash(tile[i*hashSize : (i+1)*hashSize]) }
func entryAt(bundle []byte, i int) Hash { return Hash(bundle[i*entrySize+2 : (i+1)*entrySize]) }

// LeafHash returns the hash of the leaf that an entry becomes (RFC 6962, 2.1).
func LeafHash(entry Hash) Hash       { return Hash(tlog.RecordHash(entry[:])) }
func nodeHash(left, right Hash) Hash { return Hash(tlog.NodeHash(tlog.Hash(left), tlog.Hash(right))) }

// subtree returns the root of a full subtree over a power of two of hashes.
func subtree(hashes []byte) Hash {
	if len(hashes) == hashSize {
		return Hash(hashes)
	}
	half := len(hashes) / 2
	return nodeHash(subtree(hashes[:half]), subtree(hashes[half:]))
}
