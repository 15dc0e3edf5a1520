package evidence

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// maxFaults is how many faults CheckTiles finds before it stops.
const maxFaults = 100

var errChildMismatch = errors.New("it does not hash to what the tile above it says")

// CheckTiles checks the whole tree that a checkpoint covers: every bundle of entries
// against the tile of its leaves, every tile against the hash above it, and the right
// edge against the root of the checkpoint. It uses all processors and little memory. The
// error joins a TileError for each fault, in the order of the records, up to 100 of them;
// TileErrors splits it. Where a tile contradicts the tiles below it, the hash above
// decides which is wrong.
func CheckTiles(ctx context.Context, tiles Tiles, cp Checkpoint) error {
	if err := cp.check(); err != nil || cp.Size == 0 {
		return err
	}
	c := &checker{ctx: ctx, tiles: tiles, size: cp.Size}
	c.edge(cp.Root)
	if err := ctx.Err(); err != nil {
		return err
	}
	slices.SortFunc(c.faults, func(a, b *TileError) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Last, b.Last), cmp.Compare(a.Path, b.Path))
	})
	joined := make([]error, len(c.faults))
	for i, fault := range c.faults {
		joined[i] = fault
	}
	return errors.Join(joined...)
}

// TileErrors returns the TileErrors that an error, such as that of CheckTiles, joins.
func TileErrors(err error) []*TileError {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		var found []*TileError
		for _, e := range joined.Unwrap() {
			found = append(found, TileErrors(e)...)
		}
		return found
	}
	var fault *TileError
	if errors.As(err, &fault) {
		return []*TileError{fault}
	}
	return nil
}

// checker is one run of CheckTiles.
type checker struct {
	ctx   context.Context
	tiles Tiles
	size  uint64

	mu     sync.Mutex
	faults []*TileError // under mu
}

// edge checks everything, from the right edge down. The edge is correct if it gives the
// root of the checkpoint; otherwise it is compared with the tiles below it.
func (c *checker) edge(root Hash) {
	var stored, got [levels][]byte
	var unread [levels]error
	readable := true
	for level := range levels {
		if p := edgePath(level, c.size); p.Width > 0 {
			stored[level], unread[level] = readTile(c.tiles, p)
			readable = readable && unread[level] == nil
		}
	}
	fits := readable && rootOf(c.size, stored) == root
	for level := levels - 1; level >= 0; level-- {
		if p := edgePath(level, c.size); p.Width > 0 {
			got[level] = c.below(p, stored[level], fits)
		}
	}
	if fits {
		return
	}
	wrong := false
	for level := range levels {
		p := edgePath(level, c.size)
		switch {
		case p.Width == 0:
		case unread[level] != nil:
			wrong = true
			c.addFault(unread[level])
		case !bytes.Equal(stored[level], got[level]):
			wrong = true
			c.addFault(tileError(p, errors.New("it is not what the tiles below it hash to")))
		}
	}
	if found := rootOf(c.size, got); found != root && !wrong {
		whole := tileError(c.top(), fmt.Errorf("the tree hashes to %v, and the checkpoint says %v", found, root))
		whole.First, whole.Last = 1, c.size
		c.addFault(whole)
	}
}

// top returns the highest tile.
func (c *checker) top() TilePath {
	level := levels - 1
	for edgePath(level, c.size).Width == 0 {
		level--
	}
	return edgePath(level, c.size)
}

// tile checks a full tile and everything below it. want is the hash above it, and sure is
// true when that is known to be correct. It returns the correct hash.
func (c *checker) tile(level int, index uint64, want Hash, sure bool) Hash {
	if c.stopped() {
		return want
	}
	p := TilePath{level, index, TileWidth}
	stored, err := readTile(c.tiles, p)
	if err == nil && subtree(stored) == want {
		c.below(p, stored, true)
		return want
	}
	got := c.below(p, stored, false)
	switch {
	case err != nil:
		c.addFault(err)
	case sure:
		c.addFault(tileError(p, errChildMismatch))
	case !bytes.Equal(stored, got):
		c.addFault(tileError(p, errors.New("it is not what the tiles below it hash to")))
	}
	if got == nil {
		return want // nothing is known of it
	}
	return subtree(got)
}

// below checks everything below a tile, which may be nil; sure is true when the tile is
// known to be correct. It returns the correct tile, or nil when nothing is known of it.
func (c *checker) below(p TilePath, tile []byte, sure bool) []byte {
	if p.Level == 0 {
		return c.leaves(p, tile, sure)
	}
	got := make([]byte, p.bytes())
	child := func(i int) {
		var want Hash
		if tile != nil {
			want = hashAt(tile, i)
		}
		h := c.tile(p.Level-1, p.Index<<tileHeight+uint64(i), want, sure)
		copy(got[i*hashSize:], h[:])
	}
	if p.Level > 1 {
		for i := range p.Width {
			child(i)
		}
		return got
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), p.Width) {
		workers.Go(func() {
			for i := int(next.Add(1) - 1); i < p.Width; i = int(next.Add(1) - 1) {
				child(i)
			}
		})
	}
	workers.Wait()
	return got
}

// leaves checks the bundle below a tile of leaves, if sure, and returns the correct tile.
func (c *checker) leaves(p TilePath, tile []byte, sure bool) []byte {
	b := TilePath{EntriesLevel, p.Index, p.Width}
	bundle, err := readTile(c.tiles, b)
	if err != nil {
		c.addFault(err)
		return tile
	}
	if sure {
		if err := checkBundle(b, bundle, tile); err != nil {
			c.addFault(err)
		}
		return tile
	}
	return leavesOf(bundle)
}

// addFault adds a fault. All faults are TileErrors.
func (c *checker) addFault(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var fault *TileError
	if errors.As(err, &fault) && len(c.faults) < maxFaults {
		c.faults = append(c.faults, fault)
	}
}

// stopped reports whether the check should end.
func (c *checker) stopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.faults) == maxFaults || c.ctx.Err() != nil
}
