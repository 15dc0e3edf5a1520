package client

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// Tiles returns the tiles of the log's tree, fetched on demand. A caller that reads full
// tiles in order gets the next ones fetched in the same request. Tiles are for one
// goroutine.
func (c *Client) Tiles(ctx context.Context) evidence.Tiles {
	return &tiles{ctx: ctx, c: c, cache: map[string][]byte{}, last: map[int]uint64{}}
}

// maxCachedTiles bounds the cache: at most 8.5 KiB for a full bundle.
const maxCachedTiles = 20 * api.MaxTiles

type tiles struct {
	ctx   context.Context
	c     *Client
	cache map[string][]byte
	order []string       // of cache, the oldest first
	last  map[int]uint64 // by level, the index requested last
}

// Tile returns one tile; an error that Is fs.ErrNotExist means that the server has no
// tile of that path.
func (t *tiles) Tile(path string) ([]byte, error) {
	requested, err := evidence.ParseTilePath(path)
	if err != nil {
		return nil, err
	}
	last, before := t.last[requested.Level]
	t.last[requested.Level] = requested.Index
	if tile, ok := t.cache[path]; ok {
		return tile, nil
	}
	paths := []string{path}
	if requested.Width == fullWidth && before && requested.Index == last+1 {
		for next := requested; len(paths) < api.MaxTiles; {
			next.Index++
			paths = append(paths, next.String())
		}
	}
	a, err := requestJSON[api.TilesAnswer](t.ctx, t.c, api.EndpointTiles, api.TilesRequest{Paths: paths})
	if err != nil {
		return nil, err
	}
	if err := refused("tiles", a.Errors); err != nil {
		return nil, err
	}
	if len(a.Tiles) != len(paths) {
		return nil, fmt.Errorf("client: asked for %d tiles, got %d", len(paths), len(a.Tiles))
	}
	for i, tile := range a.Tiles {
		t.store(paths[i], tile)
	}
	if a.Tiles[0] == nil {
		return nil, fmt.Errorf("the server has no %s: %w", path, fs.ErrNotExist)
	}
	return a.Tiles[0], nil
}

// fullWidth is how many hashes a full tile has.
const fullWidth = 256

// store caches a tile. A missing one may exist later, and is not cached.
func (t *tiles) store(path string, tile []byte) {
	if _, ok := t.cache[path]; ok || tile == nil {
		return
	}
	if len(t.order) == maxCachedTiles {
		delete(t.cache, t.order[0])
		t.order = t.order[1:]
	}
	t.cache[path] = tile
	t.order = append(t.order, path)
}
