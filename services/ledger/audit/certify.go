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
	// certifyEvery is how often checkpoints begin while they are quick: each syncs some
	// seven files, and reports wait for that; at 50 ms they were a quarter of all syncs
	// at 200 reports a second. A record waits for its checkpoint 109 ms at p99, and 140
	// under load. certifyPause is the least time between two slow ones.
	certifyEvery = 100 * time.Millisecond
	certifyPause = 15 * time.Millisecond
	// catchUpPause replaces it while records from before the start are being read: every
	// checkpoint syncs files, which delays the reading.
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
func (p *Log) certify(ctx context.Context) error {
	select {
	case <-p.cleared:
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		if err := p.reopenTree(ctx); err != nil {
			return err
		}
		if p.isDamaged() {
			<-ctx.Done()
			return ctx.Err()
		}
		switch err := p.certifyTree(ctx); {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errTilesGone):
			p.forgetTree(err)
		case !errors.Is(err, errDamaged):
			return err
		}
	}
}

// certifyTree feeds the open tree and signs its head. It ends when ctx ends, with
// errDamaged, or with errTilesGone.
func (p *Log) certifyTree(ctx context.Context) error {
	grown := make(chan struct{}, 1)
	g, working := errgroup.WithContext(ctx)
	g.Go(func() error {
		select {
		case <-p.halted:
			return errDamaged
		case <-working.Done():
			return working.Err()
		}
	})
	g.Go(func() error { return p.grow(working, grown) })
	g.Go(func() error { return p.sign(working, grown) })
	g.Go(func() error { return p.guardTiles(working, grown) })
	return g.Wait()
}

// reopenTree opens the tree if it could not be read at the start, and retries until that
// succeeds or finds damage.
func (p *Log) reopenTree(ctx context.Context) error {
	for p.tree == nil && !p.isDamaged() {
		if !sleep(ctx, retryPause) {
			return ctx.Err()
		}
		if err := p.openTree(); err != nil {
			p.deps.Log.Error("cannot read the tiles; certification waits for them", zap.Error(err))
			p.stall(err)
		}
	}
	p.stall(nil)
	return nil
}

// hashedAhead bounds the batches that are hashed ahead while the tree writes tiles.
const hashedAhead = 64

// grow appends the stream's records to the tree.
func (p *Log) grow(ctx context.Context, grown chan<- struct{}) error {
	hashed := make(chan []evidence.Hash, hashedAhead)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.hash(ctx, p.tree.Size()+1, hashed) })
	g.Go(func() error { return p.appendAll(ctx, hashed, grown) })
	return g.Wait()
}

// hash hashes the records from a sequence on into entries.
func (p *Log) hash(ctx context.Context, next uint64, hashed chan<- []evidence.Hash) error {
	take := func(ctx context.Context, batch []event.Stored) error {
		entries, err := p.entriesOf(ctx, next, batch)
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
		err := p.deps.Bus.Tail(ctx, next, nil, take)
		if ctx.Err() != nil || errors.Is(err, errDamaged) {
			return err
		}
		p.deps.Log.Warn("cannot read the stream; certification tries again", zap.Error(err))
		if !sleep(ctx, retryPause) {
			return ctx.Err()
		}
	}
}

// entriesOf returns the entries from next to the end of a batch: of its records, and of
// those that were removed before them.
func (p *Log) entriesOf(ctx context.Context, next uint64, batch []event.Stored) (entries []evidence.Hash, err error) {
	for _, s := range batch {
		if s.Sequence < next {
			continue
		}
		for ; next < s.Sequence; next++ {
			entry, err := p.removals.entry(ctx, p.deps.Bus, next)
			if errors.Is(err, errNotRemoved) {
				if err := p.gone(ctx, next, s.Sequence-1); err != nil {
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
func (p *Log) appendAll(ctx context.Context, hashed <-chan []evidence.Hash, grown chan<- struct{}) error {
	began, told := clock.Steady(), p.tree.Size()
	for {
		var entries []evidence.Hash
		select {
		case entries = <-hashed:
		case <-ctx.Done():
			return ctx.Err()
		}
		switch err := p.append(entries); {
		case errors.Is(err, errDamaged):
			return err
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%w (%w)", errTilesGone, err)
		case err != nil: // the entries are in the tree, whose next write includes them
			p.stall(err)
			p.deps.Log.Error("cannot write the tiles; certification waits for the disk", zap.Error(err))
			if !sleep(ctx, retryPause) {
				return ctx.Err()
			}
		}
		if size := p.tree.Size(); p.floor.Size > 0 && size/treeProgress > told/treeProgress {
			told = size
			p.deps.Log.Info("rebuilding the tree", zap.Uint64("records", size), zap.Uint64("of", p.floor.Size), zap.Duration("after", clock.Steady().Sub(began).Round(time.Millisecond)))
		}
		select {
		case grown <- struct{}{}:
		default:
		}
	}
}

// append adds all entries to the tree, even if it returns a disk error. A rebuilt tree is
// compared with the checkpoint at its size.
func (p *Log) append(entries []evidence.Hash) error {
	p.treeMu.Lock()
	defer p.treeMu.Unlock()
	var failed error
	if size := p.tree.Size(); size < p.floor.Size && size+uint64(len(entries)) >= p.floor.Size {
		upTo := p.floor.Size - size
		failed = p.tree.Append(entries[:upTo]...)
		if p.tree.Root() != p.floor.Root {
			p.damaged(event.Damage{Kind: event.DamageChanged, First: 1, Last: p.floor.Size, Detail: fmt.Sprintf(
				"the tree rebuilt from the first %d records has another root than was signed: at least one of them is not what it was", p.floor.Size)})
			return errDamaged
		}
		p.deps.Log.Info("the tree was rebuilt and has the root that was signed", zap.Uint64("records", p.floor.Size))
		p.floor = evidence.Checkpoint{}
		entries = entries[upTo:]
	}
	if err := errors.Join(failed, p.tree.Append(entries...)); err != nil {
		return fmt.Errorf("ledger: tree: %w", err)
	}
	return nil
}

func missing(first, last uint64) event.Damage {
	return event.Damage{Kind: event.DamageMissing, First: first, Last: last, Detail: "not in the stream, and no removal says so"}
}

// sign signs the head of the tree whenever it has grown.
func (p *Log) sign(ctx context.Context, grown <-chan struct{}) error {
	for {
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
		began := clock.Steady()
		for err := p.advance(ctx); err != nil; err = p.advance(ctx) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%w (%w)", errTilesGone, err)
			}
			p.deps.Log.Error("no checkpoint could be made; it is tried again", zap.Error(err))
			p.stall(err)
			if !sleep(ctx, retryPause) {
				return ctx.Err()
			}
		}
		p.stall(nil)
		pause := min(certifyEvery, max(certifyPause, certifyEvery-clock.Steady().Sub(began))) // not affected by clock steps
		if p.isBehind() {
			pause = catchUpPause
		}
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

// isBehind reports whether the tree lacks records that were stored before the start.
func (p *Log) isBehind() bool {
	p.treeMu.Lock()
	defer p.treeMu.Unlock()
	return p.tree.Size() < p.head
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
func (p *Log) advance(ctx context.Context) error {
	last := p.Last()
	p.treeMu.Lock()
	size, root, floor := p.tree.Size(), p.tree.Root(), p.floor.Size
	var err error
	if size != p.written {
		if err = p.tree.Write(); err == nil {
			p.written = size
		}
	}
	p.treeMu.Unlock()
	if err != nil || size < floor {
		return err
	}
	if size <= last.Size && last.Note != "" {
		return p.restoreCheckpoint(last)
	}
	cp, err := p.key.Sign(size, root)
	if err != nil {
		return err
	}
	// Keep this order: a file older than its copy beside the stream means that the tree
	// was restored from a backup, so no crash may leave that.
	if err := evidence.WriteFile(filepath.Join(string(p.folder), checkpointFile), []byte(cp.Note)); err != nil {
		return err
	}
	if err := p.deps.Bus.KeepCheckpoint(ctx, p.key.ID(), cp.Note); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checkpoint = cp
	close(p.advanced)
	p.advanced = make(chan struct{})
	return nil
}

// watchEvery is how often the engine is asked for the state of the stream.
const watchEvery = time.Second

// watch detects at once what the engine itself reports: that the stream is shorter than
// it was, or that records are gone.
func (p *Log) watch(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			known := len(p.found())
			if err := p.look(ctx); err != nil && ctx.Err() == nil {
				p.deps.Log.Warn("the engine does not say how the stream stands", zap.Error(err))
			}
			if known == 0 && p.isDamaged() {
				p.checks.want()
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look is one check of watch.
func (p *Log) look(ctx context.Context) error {
	if err := p.holdState(ctx); err != nil || p.isDamaged() {
		return err
	}
	p.removing.Lock()
	defer p.removing.Unlock()
	if err := p.eraseUnfinished(ctx); err != nil {
		return err
	}
	if size := p.Last().Size; p.Readable() == size {
		return p.holdRemovals(ctx, size)
	}
	return nil
}
