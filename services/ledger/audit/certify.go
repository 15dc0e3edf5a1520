package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

const (
	// certifyEvery is the interval of checkpoints. Each syncs some seven files, which
	// delays reports; certifyPause is the shortest time between two slow ones.
	certifyEvery = 100 * time.Millisecond
	certifyPause = 15 * time.Millisecond
	// catchUpPause replaces it while records from before the start are being read, which
	// syncing files delays too.
	catchUpPause = 500 * time.Millisecond
	retryPause   = time.Second
	treeProgress = 100_000 // records between two progress lines
)

// machine is the clock that times work: a drill's clock may run faster.
var machine clock.System

// errDamaged ends certification.
var errDamaged = errors.New("the record is damaged")

// certify feeds the tree from the stream and signs its head, until ctx ends. After damage
// it does nothing more.
func (l *Log) certify(ctx context.Context) error {
	select {
	case <-l.cleared:
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		if err := l.reopenTree(ctx); err != nil {
			return err
		}
		if l.isDamaged() {
			<-ctx.Done()
			return ctx.Err()
		}
		switch err := l.certifyTree(ctx); {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errTilesGone):
			l.forgetTree(err)
		case !errors.Is(err, errDamaged):
			return err
		}
	}
}

// certifyTree feeds the open tree and signs its head. It ends when ctx ends, with
// errDamaged, or with errTilesGone.
func (l *Log) certifyTree(ctx context.Context) error {
	grown := make(chan struct{}, 1)
	g, working := errgroup.WithContext(ctx)
	g.Go(func() error {
		select {
		case <-l.halted:
			return errDamaged
		case <-working.Done():
			return working.Err()
		}
	})
	g.Go(func() error { return l.grow(working, grown) })
	g.Go(func() error { return l.sign(working, grown) })
	g.Go(func() error { return l.guardTiles(working, grown) })
	return g.Wait()
}

// reopenTree opens the tree if it could not be read at the start, and retries until that
// succeeds or finds damage.
func (l *Log) reopenTree(ctx context.Context) error {
	for l.tree == nil && !l.isDamaged() {
		if !sleep(ctx, retryPause) {
			return ctx.Err()
		}
		if err := l.openTree(); err != nil {
			l.deps.Log.Error("cannot read the tiles; certification waits for them", zap.Error(err))
			l.setFailure(err)
		}
	}
	l.setFailure(nil)
	return nil
}

// hashedAhead bounds the batches that are hashed ahead while the tree writes tiles.
const hashedAhead = 64

func (l *Log) grow(ctx context.Context, grown chan<- struct{}) error {
	hashed := make(chan []evidence.Hash, hashedAhead)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.hash(ctx, l.tree.Size()+1, hashed) })
	g.Go(func() error { return l.appendAll(ctx, hashed, grown) })
	return g.Wait()
}

// hash hashes the records from a sequence on into entries.
func (l *Log) hash(ctx context.Context, next uint64, hashed chan<- []evidence.Hash) error {
	take := func(ctx context.Context, batch []event.Stored) error {
		entries, err := l.entriesOf(ctx, next, batch)
		if err != nil || len(entries) == 0 {
			return err
		}
		select {
		case hashed <- entries:
			next += uint64(len(entries))
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		err := l.deps.Stream.Tail(ctx, next, nil, take)
		if ctx.Err() != nil || errors.Is(err, errDamaged) {
			return err
		}
		l.deps.Log.Warn("cannot read the stream; trying again", zap.Error(err))
		if !sleep(ctx, retryPause) {
			return ctx.Err()
		}
	}
}

// entriesOf returns the entries from next to the end of a batch: of its records, and of
// those that were removed before them.
func (l *Log) entriesOf(ctx context.Context, next uint64, batch []event.Stored) (entries []evidence.Hash, err error) {
	for _, s := range batch {
		if s.Sequence < next {
			continue
		}
		for ; next < s.Sequence; next++ {
			entry, err := l.removals.entry(ctx, l.deps.Stream, next)
			if errors.Is(err, errNotRemoved) {
				if err := l.reportMissing(ctx, next, s.Sequence-1); err != nil {
					return nil, err
				}
				return nil, errDamaged
			}
			if err != nil {
				return nil, err
			}
			entries = append(entries, entry)
		}
		entries = append(entries, s.Entry())
		next++
	}
	return entries, nil
}

// appendAll appends entries as they arrive, and logs the progress of a rebuilt tree.
func (l *Log) appendAll(ctx context.Context, hashed <-chan []evidence.Hash, grown chan<- struct{}) error {
	began, told := clock.Steady(), l.tree.Size()
	for {
		var entries []evidence.Hash
		select {
		case entries = <-hashed:
		case <-ctx.Done():
			return ctx.Err()
		}
		switch err := l.append(entries); {
		case errors.Is(err, errDamaged):
			return err
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%w (%w)", errTilesGone, err)
		case err != nil: // the entries are in the tree, whose next write includes them
			l.setFailure(err)
			l.deps.Log.Error("cannot write the tiles; certification waits for the disk", zap.Error(err))
			if !sleep(ctx, retryPause) {
				return ctx.Err()
			}
		}
		if size := l.tree.Size(); l.target.Size > 0 && size/treeProgress > told/treeProgress {
			told = size
			l.deps.Log.Info("rebuilding the tree", zap.Uint64("records", size), zap.Uint64("of", l.target.Size), zap.Duration("after", clock.Steady().Sub(began).Round(time.Millisecond)))
		}
		signal(grown)
	}
}

// append adds all entries to the tree, even if it returns a disk error. A rebuilt tree is
// compared with the checkpoint at its size.
func (l *Log) append(entries []evidence.Hash) error {
	l.treeMu.Lock()
	defer l.treeMu.Unlock()
	var failed error
	if size := l.tree.Size(); size < l.target.Size && size+uint64(len(entries)) >= l.target.Size {
		upTo := l.target.Size - size
		failed = l.tree.Append(entries[:upTo]...)
		if l.tree.Root() != l.target.Root {
			l.report(event.Damage{Kind: event.DamageChanged, First: 1, Last: l.target.Size, Detail: fmt.Sprintf(
				"the tree rebuilt from the first %d records does not have the signed root: at least one of them was changed", l.target.Size)})
			return errDamaged
		}
		l.deps.Log.Info("the tree was rebuilt and has the signed root", zap.Uint64("records", l.target.Size))
		l.target = evidence.Checkpoint{}
		entries = entries[upTo:]
	}
	if err := errors.Join(failed, l.tree.Append(entries...)); err != nil {
		return fmt.Errorf("ledger: tree: %w", err)
	}
	return nil
}

func missingDamage(first, last uint64) event.Damage {
	return event.Damage{Kind: event.DamageMissing, First: first, Last: last, Detail: "not in the stream, and no removal says so"}
}

// sign signs the head of the tree whenever it has grown.
func (l *Log) sign(ctx context.Context, grown <-chan struct{}) error {
	for {
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
		began := clock.Steady()
		for err := l.advance(ctx); err != nil; err = l.advance(ctx) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%w (%w)", errTilesGone, err)
			}
			l.deps.Log.Error("cannot make a checkpoint; trying again", zap.Error(err))
			l.setFailure(err)
			if !sleep(ctx, retryPause) {
				return ctx.Err()
			}
		}
		l.setFailure(nil)
		pause := min(certifyEvery, max(certifyPause, certifyEvery-clock.Steady().Sub(began))) // not affected by clock steps
		if l.isBehind() {
			pause = catchUpPause
		}
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

// isBehind reports whether the tree lacks records that were stored before the start.
func (l *Log) isBehind() bool {
	l.treeMu.Lock()
	defer l.treeMu.Unlock()
	return l.tree.Size() < l.head
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// advance makes a checkpoint of the current tree. The tiles are on disk before it, and it
// is on disk in both places before it is published.
func (l *Log) advance(ctx context.Context) error {
	last := l.Last()
	l.treeMu.Lock()
	size, root, target := l.tree.Size(), l.tree.Root(), l.target.Size
	var err error
	if size != l.written {
		if err = l.tree.Write(); err == nil {
			l.written = size
		}
	}
	l.treeMu.Unlock()
	if err != nil || size < target {
		return err
	}
	if size <= last.Size && last.Note != "" {
		return l.restoreCheckpoint(last)
	}
	cp, err := l.key.Sign(size, root)
	if err != nil {
		return err
	}
	// Keep this order: a file older than its copy beside the stream means that the tree
	// was restored from a backup, so no crash may leave that.
	if err := evidence.WriteFile(filepath.Join(string(l.folder), checkpointFile), []byte(cp.Note)); err != nil {
		return err
	}
	if err := l.deps.Stream.SaveCheckpoint(ctx, l.key.ID(), cp.Note); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.checkpoint = cp
	close(l.advanced)
	l.advanced = make(chan struct{})
	return nil
}

// watchEvery is how often the engine is asked for the state of the stream.
const watchEvery = time.Second

// watch detects at once what the engine itself reports: that the stream is shorter than
// it was, or that records are gone.
func (l *Log) watch(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			known := len(l.found())
			if err := l.watchOnce(ctx); err != nil && ctx.Err() == nil {
				l.deps.Log.Warn("cannot read the state of the stream", zap.Error(err))
			}
			if known == 0 && l.isDamaged() {
				l.checks.want()
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watchOnce is one check of watch.
func (l *Log) watchOnce(ctx context.Context) error {
	if err := l.checkState(ctx); err != nil || l.isDamaged() {
		return err
	}
	l.removing.Lock()
	defer l.removing.Unlock()
	if err := l.eraseUnfinished(ctx); err != nil {
		return err
	}
	if size := l.Last().Size; l.Readable() == size {
		return l.checkRemovals(ctx, size)
	}
	return nil
}
