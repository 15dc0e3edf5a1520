package evidence

import (
	"fmt"
	"strconv"
	"strings"
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

// String returns the path.
func (p TilePath) String() string {
	level := "entries"
	if p.Level != EntriesLevel {
		level = strconv.Itoa(p.Level)
	}
	index := fmt.Sprintf("%03d", p.Index%1000)
	for n := p.Index / 1000; n > 0; n /= 1000 {
		index = fmt.Sprintf("x%03d/%s", n%1000, index)
	}
	path := "tile/" + level + "/" + index
	if p.Width < TileWidth {
		path += ".p/" + strconv.Itoa(p.Width)
	}
	return path
}

// ParseTilePath accepts exactly what TilePath.String writes. An accepted path is safe as
// the path of a file.
func ParseTilePath(path string) (TilePath, error) {
	p, ok := parseTilePath(path)
	if !ok || p.String() != path {
		return TilePath{}, fmt.Errorf("%q is not the path of a tile", path)
	}
	return p, nil
}

// parseTilePath parses leniently; its result is rendered again and compared.
func parseTilePath(path string) (p TilePath, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) < 3 || len(parts) > 16 || parts[0] != "tile" {
		return p, false
	}
	p = TilePath{Level: EntriesLevel, Width: TileWidth}
	if parts[1] != "entries" {
		level, err := strconv.ParseUint(parts[1], 10, 6)
		if err != nil {
			return p, false
		}
		p.Level = int(level)
	}
	index := parts[2:]
	if last := len(index) - 1; last > 0 && strings.HasSuffix(index[last-1], ".p") {
		width, err := strconv.ParseUint(index[last], 10, tileHeight)
		if err != nil || width == 0 {
			return p, false
		}
		p.Width = int(width)
		index = index[:last]
		index[last-1] = strings.TrimSuffix(index[last-1], ".p")
	}
	for _, part := range index {
		n, err := strconv.ParseUint(strings.TrimPrefix(part, "x"), 10, 10)
		if err != nil || n > 999 {
			return p, false
		}
		if p.Index = p.Index*1000 + n; p.Index >= MaxSize {
			return p, false
		}
	}
	return p, true
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
