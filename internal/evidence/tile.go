package evidence

import (
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	hashSize   = len(Hash{})
	tileHeight = 8 // levels of the tree that a tile spans
	// TileWidth is the number of hashes in a full tile.
	TileWidth = 1 << tileHeight
	// entrySize is the length of an entry in a bundle: two bytes with the length of its
	// hash, and the hash.
	entrySize = 2 + hashSize
	// MaxTileBytes is the length of the largest file of the tree, a full bundle of entries.
	MaxTileBytes = TileWidth * entrySize
	// levels is how many levels of tiles the largest log has.
	levels = 8
	// maxLevel is the highest level of which c2sp.org/tlog-tiles has a path.
	maxLevel = 63
)

// EntriesLevel is the Level of a TilePath that names an entry bundle.
const EntriesLevel = -1

// TilePath names a tile, or a bundle of entries, in the form of
// https://c2sp.org/tlog-tiles: "tile/0/x001/234" is tile 1234 of level 0,
// "tile/entries/000.p/17" the first 17 entries.
type TilePath struct {
	Level int    // from 0, the level of the leaves, to 63; EntriesLevel: a bundle of entries
	Index uint64 // from the left, from 0
	Width int    // hashes or entries in it, from 1 to 256; less than 256 is a partial tile
}

// Package tlog has the height of a tile in its path, and names a bundle "data".
const (
	tlogPrefix  = "tile/8/"
	tlogEntries = tlogPrefix + "data/"
	ourPrefix   = "tile/"
	ourEntries  = ourPrefix + "entries/"
)

// String returns the path.
func (p TilePath) String() string {
	path := tlog.Tile{H: tileHeight, L: p.Level, N: int64(p.Index), W: p.Width}.Path()
	if rest, ok := strings.CutPrefix(path, tlogEntries); ok {
		return ourEntries + rest
	}
	return ourPrefix + strings.TrimPrefix(path, tlogPrefix)
}

// ParseTilePath accepts exactly what TilePath.String writes. An accepted path is safe as
// the path of a file.
func ParseTilePath(path string) (TilePath, error) {
	other := tlogPrefix + strings.TrimPrefix(path, ourPrefix)
	if rest, ok := strings.CutPrefix(path, ourEntries); ok {
		other = tlogEntries + rest
	}
	t, err := tlog.ParseTilePath(other)
	p := TilePath{t.L, uint64(t.N), t.W}
	if err != nil || p.Level > maxLevel || p.Index >= MaxSize || p.String() != path {
		return TilePath{}, fmt.Errorf("%q is not the path of a tile", path)
	}
	return p, nil
}

func (p TilePath) bytes() int {
	if p.Level == EntriesLevel {
		return p.Width * entrySize
	}
	return p.Width * hashSize
}

// Records returns the first and the last record, from 1, below the tile.
func (p TilePath) Records() (first, last uint64) {
	height := max(p.Level, 0) * tileHeight
	below := func(n uint64) uint64 { // records to the left of the level's n-th hash
		if height >= 62 || n > MaxSize>>height {
			return MaxSize // larger than any log
		}
		return n << height
	}
	return below(p.Index*TileWidth) + 1, below(p.Index*TileWidth + uint64(p.Width))
}

// Tiles is a source of tiles: a folder or a server.
type Tiles interface {
	// Tile returns the tile or the bundle of a path such as "tile/0/x001/234" or
	// "tile/entries/000.p/17". A partial tile is available in every width up to its
	// current one, even after it has grown. The error is fs.ErrNotExist when the tile
	// does not exist. Tile may be called concurrently.
	Tile(path string) ([]byte, error)
}

// TileError is a tile that is missing, has the wrong size, or does not match the hash
// above it.
type TileError struct {
	Path  string
	First uint64 // the affected records, from 1: those below the tile, or fewer
	Last  uint64
	Err   error
}

func (e *TileError) Error() string {
	return fmt.Sprintf("%s (records %d to %d): %v", e.Path, e.First, e.Last, e.Err)
}

// Unwrap returns the reason.
func (e *TileError) Unwrap() error { return e.Err }

func tileError(p TilePath, err error) *TileError {
	first, last := p.Records()
	return &TileError{Path: p.String(), First: first, Last: last, Err: err}
}

// readTile reads a tile or a bundle, and checks its form.
func readTile(tiles Tiles, p TilePath) ([]byte, error) {
	data, err := tiles.Tile(p.String())
	if err != nil {
		return nil, tileError(p, err)
	}
	if len(data) != p.bytes() {
		return nil, tileError(p, fmt.Errorf("it has %d bytes, not %d", len(data), p.bytes()))
	}
	if p.Level == EntriesLevel {
		for i := 0; i < len(data); i += entrySize {
			if data[i] != 0 || int(data[i+1]) != hashSize {
				return nil, tileError(p, fmt.Errorf("entry %d of it is not %d bytes long", i/entrySize, hashSize))
			}
		}
	}
	return data, nil
}
