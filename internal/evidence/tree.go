package evidence

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/tocsin-project/tocsin/internal/private"
)

// Tree writes the tiles of a log as it grows. It is for one goroutine, the only one that
// writes to its folder; others may read there meanwhile.
//
// It keeps in memory what adding an entry needs: the right edge, which is the unfinished
// tile of each level and the root of each full subtree to the left.
type Tree struct {
	dir  string
	disk *disk
	edge edge
	// pending are full tiles that are not yet on disk.
	pending []file
	filled  []string // folders of partial tiles that are full in pending
	opened  uint64   // the size at OpenTree
	// written is the size at the last Write; started is true after the first one.
	written uint64
	started bool
	// cleaned has, for each level (bundles first), one more than the index of the last
	// partial tile whose folder contains nothing stale.
	cleaned [1 + levels]uint64
}

// pendingLimit is how many full tiles are made durable together: more tiles cost the disk
// less each, and more memory.
const pendingLimit = 128

// OpenTree continues a tree of a given size from the tiles of a folder, of which it reads
// only the right edge. Tiles beyond that size, left by a crash, are overwritten later.
// The size 0 begins a new tree, and creates the folder. The error is a TileError when the
// tiles are missing or damaged in themselves; use Root to check that they are the
// certified ones.
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

// Size returns the number of entries in the tree.
func (t *Tree) Size() uint64 { return t.edge.size }

// Root returns the root of the tree (RFC 6962).
func (t *Tree) Root() Hash { return t.edge.root() }

// Append adds the hashes of entries, in order. It makes full tiles durable in groups, so
// that memory stays flat; Write does the rest. After an error the entries are in the tree
// all the same, and the next Append or Write tries the disk again.
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

func (t *Tree) fill(p TilePath, data []byte) {
	t.pending = append(t.pending, file{t.path(p), data})
	t.filled = append(t.filled, t.path(p)+".p")
}

func (t *Tree) path(p TilePath) string {
	return filepath.Join(t.dir, filepath.FromSlash(p.String()))
}

// flush makes files durable, after the pending full tiles, and then removes the partial
// tiles that are now full.
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

// Write makes every new tile since the last Write durable, full and partial. After it has
// returned without an error the tree can be opened at its size, whatever happens; until
// then it can be opened at the size of the previous Write.
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

// clean removes the remains of a longer tree beside a partial tile that has just been
// written, so that no reader takes another width from them. It checks each tile once.
func (t *Tree) clean(p TilePath) error {
	if t.cleaned[p.Level+1] == p.Index+1 {
		return nil
	}
	full := t.path(TilePath{p.Level, p.Index, TileWidth})
	if err := t.disk.remove(full); err != nil {
		return err
	}
	names, err := os.ReadDir(full + ".p")
	if err != nil {
		return err
	}
	good := 0 // the width that existed, and was correct, when the tree was opened
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
