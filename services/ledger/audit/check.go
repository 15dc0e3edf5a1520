package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// checks are the checks of the whole record: the running or last one, and whether
// somebody waits for it.
type checks struct {
	wanted chan struct{}
	waited chan struct{} // has a value once somebody waits

	mu     sync.Mutex
	state  api.AuditAnswer
	urgent bool
}

// want starts a check as soon as none is running.
func (c *checks) want() { signal(c.wanted) }

// signal puts a value into a channel of one, unless there is one already.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (c *checks) isUrgent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.urgent
}

// pause sleeps, but ends early if somebody waits.
func (c *checks) pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-c.waited:
	case <-ctx.Done():
	}
}

// check compares the whole record with what is certified: at the start, on request, and
// Deps.Scrub after the last check.
func (l *Log) check(ctx context.Context) error {
	for {
		if err := l.checkOnce(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			l.deps.Log.Warn("the check of the record was interrupted; starting again", zap.Error(err))
			if !sleep(ctx, retryPause) {
				return ctx.Err()
			}
			continue
		}
		var again <-chan time.Time
		if l.deps.Scrub > 0 {
			again = time.After(l.deps.Scrub)
		}
		select {
		case <-again:
		case <-l.checks.wanted:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// checkOnce reads every certified record and every tile.
func (l *Log) checkOnce(ctx context.Context) error {
	cp := l.Last()
	c := &l.checks
	c.mu.Lock()
	c.state = api.AuditAnswer{ID: c.state.ID + 1, Running: true, Of: cp.Size, Started: machine.Now(), Damage: []event.Damage{}, Checkpoint: cp.Note}
	c.mu.Unlock()
	err := l.removals.load(ctx, l.deps.Stream)
	if err == nil && cp.Size > 0 {
		err = l.checkTree(ctx, cp)
	}
	if err == nil && l.Readable() >= cp.Size {
		l.removing.Lock()
		l.verified = 0
		err = l.checkRemovals(ctx, cp.Size)
		l.removing.Unlock()
	}
	if err == nil {
		err = l.compare(ctx, 1, min(cp.Size, l.Readable()), l.pace())
	}
	now := machine.Now()
	c.mu.Lock()
	c.state.Running, c.urgent = false, false
	if err == nil {
		c.state.Ended, c.state.Damage, c.state.Removed = &now, l.found(), l.removals.total()
	}
	c.mu.Unlock()
	if err != nil || l.isDamaged() {
		return err
	}
	return l.clean(now, cp)
}

func (l *Log) found() []event.Damage {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]event.Damage{}, l.damage...)
}

// clean notes that a check found nothing, which clears damage found before the start.
func (l *Log) clean(now time.Time, cp evidence.Checkpoint) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.checked = now
	l.deps.Log.Info("the check of the record found no damage", zap.Uint64("records", cp.Size))
	if !l.uncleared {
		return nil
	}
	if err := os.Remove(filepath.Join(l.deps.Dir, damageFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ledger: log: %w", err)
	}
	l.uncleared = false
	close(l.cleared)
	l.deps.Log.Warn("a full check found no damage any more: certification continues")
	return nil
}

// checkTree checks every tile against the checkpoint. The root of a tree that is being
// rebuilt is compared when it reaches the checkpoint's size.
func (l *Log) checkTree(ctx context.Context, cp evidence.Checkpoint) error {
	if l.Readable() < cp.Size {
		return nil
	}
	err := evidence.CheckTiles(ctx, l.folder, cp)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if cannot := unreadable(err); cannot != nil {
		return cannot
	}
	if l.onlyMissing(err) {
		return l.requestRebuild(err)
	}
	if err != nil {
		l.reportTree(err)
	}
	return nil
}

// unreadable returns an error that says nothing about a tile's contents: the system could
// not read it, for lack of descriptors or because of a disk fault. A missing tile is not
// such an error. It returns nil if every error is of a tile itself.
func unreadable(err error) error {
	for _, e := range evidence.TileErrors(err) {
		if errno := syscall.Errno(0); errors.As(e, &errno) && !errors.Is(e, fs.ErrNotExist) {
			return fmt.Errorf("ledger: log: cannot read %s: %w", e.Path, e.Err)
		}
	}
	return nil
}

// reportTree records the damage in an error of the tree: each tile that it names, or
// else the error.
func (l *Log) reportTree(err error) {
	wrong := evidence.TileErrors(err)
	for _, w := range wrong {
		l.report(event.Damage{Kind: event.DamageTree, First: w.First, Last: w.Last, Detail: w.Error()})
	}
	if len(wrong) == 0 {
		l.report(event.Damage{Kind: event.DamageTree, Detail: err.Error()})
	}
}

// restFactor is how many times as long as it worked a check rests, unless somebody waits for
// it; restFactorBusy applies while records are being stored or the index is being rebuilt.
const (
	restFactor     = 3
	restFactorBusy = 20
)

// pace slows a check down to a quarter of one processor, to leave the rest to reports,
// and updates its progress.
func (l *Log) pace() func(ctx context.Context, through uint64, worked time.Duration) {
	return func(ctx context.Context, through uint64, worked time.Duration) {
		l.checks.mu.Lock()
		l.checks.state.Checked = through
		l.checks.mu.Unlock()
		switch {
		case l.checks.isUrgent():
		case l.deps.Index.IsIndexBehind(), l.deps.Stream.IsWriting():
			l.checks.pause(ctx, restFactorBusy*worked)
		default:
			l.checks.pause(ctx, restFactor*worked)
		}
	}
}

// compare checks the certified records from…to against their entries in the tree, and
// records those that were changed as damage. paced is called after each batch and may be
// nil.
func (l *Log) compare(ctx context.Context, from, to uint64, paced func(context.Context, uint64, time.Duration)) error {
	next, began := from, clock.Steady()
	compareBatch := func(batch []event.Stored) error {
		for len(batch) > 0 {
			n := consecutive(batch)
			if err := l.VerifyAbsent(ctx, next, batch[0].Sequence-1); err != nil {
				return err
			}
			next = batch[n-1].Sequence + 1
			entries, err := l.entries(batch[0].Sequence, next-1)
			if err != nil {
				return err
			}
			for i, entry := range entries {
				if batch[i].Entry() != entry {
					l.report(changedDamage(batch[i].Sequence))
				}
			}
			batch = batch[n:]
		}
		if paced != nil {
			paced(ctx, next-1, clock.Steady().Sub(began))
		}
		began = clock.Steady()
		return ctx.Err()
	}
	for ; from <= to; from += compareRun {
		lead := bus.Ahead
		if paced != nil && !l.checks.isUrgent() {
			lead = bus.AheadGently
		}
		if err := l.deps.Stream.Range(ctx, from, min(to, from+compareRun-1), lead, compareBatch); err != nil {
			return err
		}
	}
	return l.VerifyAbsent(ctx, next, to)
}

// compareRun is how many records are read before isUrgent is checked again.
const compareRun = 50_000

func consecutive(batch []event.Stored) int {
	n := 1
	for n < len(batch) && batch[n].Sequence == batch[n-1].Sequence+1 {
		n++
	}
	return n
}

func changedDamage(record uint64) event.Damage {
	return event.Damage{Kind: event.DamageChanged, First: record, Last: record, Detail: "is not what was certified"}
}

// entries returns those of the records from…to, or nil if the tiles are damaged, which is
// recorded. If tiles are gone the error is errTilesGone.
func (l *Log) entries(from, to uint64) ([]evidence.Hash, error) {
	entries := make([]evidence.Hash, 0, to-from+1)
	for entry, err := range evidence.Entries(l.folder, from-1, to) {
		if cannot := unreadable(err); cannot != nil {
			return nil, cannot
		}
		if l.onlyMissing(err) {
			return nil, l.requestRebuild(err)
		}
		if len(evidence.TileErrors(err)) > 0 {
			l.reportTree(err)
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// VerifyAbsent checks that removals account for the records from…to, which are not in the
// stream.
func (l *Log) VerifyAbsent(ctx context.Context, from, to uint64) error {
	for ; from <= to; from += event.MaxRemoved {
		last := min(to, from+event.MaxRemoved-1)
		entries, err := l.entries(from, last)
		if err != nil {
			return err
		}
		if err := l.verifyAbsentRange(ctx, from, last, entries); err != nil {
			return err
		}
	}
	return nil
}

// verifyAbsentRange is VerifyAbsent for records with these entries; nil: unknown.
func (l *Log) verifyAbsentRange(ctx context.Context, from, to uint64, entries []evidence.Hash) error {
	lost := uint64(0) // the first of a run without a removal
	for record := from; record <= to; record++ {
		removal, at, err := l.removals.known(ctx, l.deps.Stream, record)
		switch {
		case errors.Is(err, errNotRemoved):
			if lost == 0 {
				lost = record
			}
			continue
		case err != nil:
			return err
		}
		if lost > 0 {
			if err := l.reportMissing(ctx, lost, record-1); err != nil {
				return err
			}
			lost = 0
		}
		if h, _ := removal.Entry(record); entries != nil && h != entries[record-from] {
			l.report(wrongRemoval(record, at))
		}
	}
	if lost > 0 {
		return l.reportMissing(ctx, lost, to)
	}
	return nil
}

// reportMissing records damage for missing records without a removal, once the engine itself
// confirms that they are not there: that they were not delivered proves nothing. On
// ErrUnavailable the check must be repeated.
func (l *Log) reportMissing(ctx context.Context, first, last uint64) error {
	if err := l.removals.load(ctx, l.deps.Stream); err != nil {
		return err
	}
	for record := first; record <= last; record++ {
		if l.removals.has(record) {
			return fmt.Errorf("ledger: record %d was removed meanwhile: %w", record, bus.ErrUnavailable)
		}
	}
	s, err := l.deps.Stream.From(ctx, first)
	switch {
	case err != nil && !errors.Is(err, bus.ErrNotFound):
		return err
	case err == nil && s.Sequence <= last:
		return fmt.Errorf("ledger: record %d exists and was not delivered: %w", s.Sequence, bus.ErrUnavailable)
	}
	l.report(missingDamage(first, last))
	return nil
}

func wrongRemoval(record, removal uint64) event.Damage {
	return event.Damage{Kind: event.DamageChanged, First: record, Last: record,
		Detail: fmt.Sprintf("its removal, record %d, names another entry than was certified", removal)}
}

// checkRemovals checks the removals up to a certified record against the tree, each once:
// a removal that names another entry than was certified is damage.
func (l *Log) checkRemovals(ctx context.Context, upTo uint64) error {
	for _, r := range l.removals.all() {
		if r.record <= l.verified || r.record > upTo {
			continue
		}
		removal, err := l.removals.read(ctx, l.deps.Stream, r.record)
		if err != nil {
			return err
		}
		entries, err := l.entries(r.first, r.last)
		if err != nil {
			return err
		}
		for i, entry := range entries {
			record := r.first + uint64(i)
			if h, removed := removal.Entry(record); removed && h != entry {
				l.report(wrongRemoval(record, r.record))
			}
		}
	}
	l.verified = max(l.verified, upTo)
	return nil
}

// Verify checks every record that is read to be shown, so that a certified record that was
// changed is found at once.
func (l *Log) Verify(records ...event.Stored) {
	size := l.Readable()
	for _, s := range records {
		if s.Wire == "" || s.Sequence > size {
			continue
		}
		if l.isChanged(s) {
			l.report(changedDamage(s.Sequence))
		}
	}
}

// isChanged reports whether a certified record differs from its entry in the tree.
func (l *Log) isChanged(s event.Stored) bool {
	entries, err := l.entries(s.Sequence, s.Sequence)
	return err == nil && entries != nil && s.Entry() != entries[0]
}

// Fetch reads records to be shown or proved, in the order of seqs, and compares the
// certified ones with the tree. A missing one has only its sequence.
func (l *Log) Fetch(ctx context.Context, seqs []uint64) ([]event.Stored, error) {
	records, err := l.deps.Stream.GetMany(ctx, seqs)
	if err != nil {
		return nil, err
	}
	l.Verify(records...)
	size := l.Readable()
	for _, s := range records {
		if s.Wire != "" || s.Sequence > size {
			continue
		}
		if _, _, err := l.removals.of(ctx, l.deps.Stream, s.Sequence); errors.Is(err, errNotRemoved) {
			if err := l.reportMissing(ctx, s.Sequence, s.Sequence); err != nil {
				l.deps.Log.Warn("cannot tell whether a record is missing", zap.Error(err))
			}
		}
	}
	return records, nil
}

// Audit returns the progress of the check of the whole record, and starts one if the last
// has no greater id than the caller knows.
func (l *Log) Audit(_ context.Context, q api.AuditRequest) (api.AuditAnswer, error) {
	c := &l.checks
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Running || c.state.ID <= q.After {
		c.urgent = true
		signal(c.waited)
	}
	if c.state.ID <= q.After && !c.state.Running {
		c.want()
	}
	answer := c.state
	if answer.Running {
		answer.Damage = l.found()
	}
	return answer, nil
}
