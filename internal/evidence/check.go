package evidence

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// maxFaults is how many faults CheckTiles finds before it stops.
const maxFaults = 100

// CheckTiles checks the whole tree that a checkpoint covers, from the root down: every
// tile against the hash above it, and every bundle of entries against the tile of its
// leaves. It uses all processors and little memory. The error joins a TileError for each
// fault, in the order of the records, up to 100 of them; TileErrors splits it.
func CheckTiles(ctx context.Context, tiles Tiles, cp Checkpoint) error {
	if err := cp.check(); err != nil || cp.Size == 0 {
		return err
	}
	tree, err := ProveTree(tiles, cp)
	if tree == nil {
		return err
	}
	found := faults{known: map[TileError]bool{}}
	found.add(err)
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for level := levels - 1; level >= 0; level-- {
		last := edgePath(level, cp.Size)
		for index := uint64(0); index < last.Index || index == last.Index && last.Width > 0; index++ {
			if found.isFull() || ctx.Err() != nil {
				break
			}
			g.Go(func() error {
				found.add(tree.Check(tree.Path(level, index))...)
				if level == 0 {
					found.add(tree.Check(tree.Path(EntriesLevel, index))...)
				}
				return nil
			})
		}
	}
	_ = g.Wait() // faults are collected
	if err := ctx.Err(); err != nil {
		return err
	}
	return found.join()
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

// faults collects the faults of tiles, each once.
type faults struct {
	mu    sync.Mutex
	known map[TileError]bool // without reasons
	all   []*TileError
}

func (f *faults) add(errs ...error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range TileErrors(errors.Join(errs...)) {
		key := TileError{Path: fault.Path, First: fault.First, Last: fault.Last}
		if !f.known[key] && len(f.all) < maxFaults {
			f.known[key] = true
			f.all = append(f.all, fault)
		}
	}
}

func (f *faults) isFull() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.all) == maxFaults
}

// join returns the faults in the order of the records.
func (f *faults) join() error {
	slices.SortFunc(f.all, func(a, b *TileError) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Last, b.Last), cmp.Compare(a.Path, b.Path))
	})
	joined := make([]error, len(f.all))
	for i, fault := range f.all {
		joined[i] = fault
	}
	return errors.Join(joined...)
}
