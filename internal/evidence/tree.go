package evidence

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/tocsin-project/tocsin/internal/private"
)

// Tree writes the tiles of a log as it grows. It is for one goroutine, and the
// only one that writes to its folder; others may read there meanwhile.
//
// It keeps in memory what a new entry needs: the right edge, which is the
// unfinished tile of each level and the root of each full subtree to the left.
type Tree struct {
	dir  string
	disk *disk
	edge edge
	// pending are full tiles that are not on the disk yet.
	pending []file
	filled  []string // folders of partial tiles that are full in pending
	opened  uint64   // the size at OpenTree
	// written is the size at the last Write; started says that there was one.
	written uint64
	started bool
	// cleaned has, for each level (bundles first), the index and one of the last
	// partial tile beside which nothing stale is left.
	cleaned [1 + levels]uint64
}

// pendingLimit is how many full tiles are made durable together: more cost the
// disk less each, and more memory.
const pendingLimit = 128

// OpenTree goes on with a tree of a given size, from the tiles of a folder; of
// them only the right edge is read. Tiles beyond that size, which a crash has
// left, are overwritten in time. The size 0 begins a new tree, and makes the
// folder. The error is a TileError when the tiles are not there or are damaged
// in themselves; whether they are those that were certified says Root.
func OpenTree(dir string, size uint64) (*Tree, error) {
	t := &Tree{dir: dir, disk: newDisk(dir), opened: size}
	if size == 0 {
		if err := private.MakeFolder(dir); err != nil {
			return nil, fmt.Errorf("evidence: tree: %w", err)
		}
		if err := t.disk.syncDirs(map[string]bool{filepath.Dir(filepath.Clean(dir)): true}); err != nil {
			return nil, fmt.Errorf("evidence: tree: %w", err)
		}
		return t, nil
	}
	e, err := readEdge(Dir(dir), size)
	if err != nil {
		return nil, err
	}
	t.edge = *e
	return t, nil
}

// Size is how many entries the tree has.
func (t *Tree) Size() uint64 { return t.edge.size }

// Root is the root of the tree (RFC 6962).
func (t *Tree) Root() Hash { return t.edge.root() }

// Append adds the hashes of entries, in their order. It makes full tiles durable
// as they come together, so that memory stays flat; the rest is for Write. After
// an error the entries are in the tree all the same, and the next Append or
// Write tries the disk again.
func (t *Tree) Append(entries ...Hash) error {
	var failed error
	for _, entry := range entries {
		t.edge.add(entry, t.fill)
		if len(t.pending) >= pendingLimit && failed == nil {
			failed = t.flush()
		}
	}
	return failed
}

// fill takes a tile that has become full.
func (t *Tree) fill(p TilePath, data []byte) {
	t.pending = append(t.pending, file{t.path(p), data})
	t.filled = append(t.filled, t.path(p)+".p")
}

func (t *Tree) path(p TilePath) string {
	return filepath.Join(t.dir, filepath.FromSlash(p.String()))
}

// flush makes files durable, after the full tiles that wait for it, and then
// removes the partial tiles that are full now.
func (t *Tree) flush(more ...file) error {
	if err := t.disk.write(append(t.pending, more...)...); err != nil {
		return fmt.Errorf("evidence: tree: %w", err)
	}
	clear(t.pending)
	t.pending = t.pending[:0]
	for _, folder := range t.filled {
		if err := t.disk.remove(folder); err != nil {
			return fmt.Errorf("evidence: tree: %w", err)
		}
	}
	t.filled = t.filled[:0]
	return nil
}

// Write makes every tile durable that is new since the last Write, full and
// partial. When it returns without an error the tree can be opened at its size,
// whatever happens then; until it returns it can be opened at the size of the
// Write before.
func (t *Tree) Write() error {
	if t.started && t.written == t.edge.size {
		return nil
	}
	var partial []file
	var edges []TilePath
	for level := EntriesLevel; level < levels; level++ {
		p, data := t.edge.partial(level)
		if p.Width == 0 || t.started && p == edgePath(level, t.written) {
			continue
		}
		partial = append(partial, file{t.path(p), data})
		edges = append(edges, p)
	}
	if err := t.flush(partial...); err != nil {
		return err
	}
	for _, p := range edges {
		if err := t.clean(p); err != nil {
			return fmt.Errorf("evidence: tree: %w", err)
		}
	}
	t.started, t.written = true, t.edge.size
	return nil
}

// clean removes what a longer tree has left beside a partial tile that has just
// been written, so that nobody reads another width of it out of that. It looks
// once at each tile.
func (t *Tree) clean(p TilePath) error {
	if t.cleaned[p.Level+1] == p.Index+1 {
		return nil
	}
	full := t.path(TilePath{p.Level, p.Index, tileWidth})
	if err := t.disk.remove(full); err != nil {
		return err
	}
	names, err := os.ReadDir(full + ".p")
	if err != nil {
		return err
	}
	good := 0 // the width that was there, and right, when the tree was opened
	if was := edgePath(p.Level, t.opened); was.Index == p.Index {
		good = was.Width
	}
	for _, name := range names {
		if width, err := strconv.Atoi(name.Name()); err != nil || width > good && width != p.Width {
			if err := t.disk.remove(filepath.Join(full+".p", name.Name())); err != nil {
				return err
			}
		}
	}
	t.cleaned[p.Level+1] = p.Index + 1
	return nil
}
