// Package audit proves that no record was altered: it keeps a tree of hashes over the
// stream (C2SP tlog-tiles), signs its head as a checkpoint, checks records against it, and
// removes records by order or by age.
//
// The tree is a pure function of the stream. A tile is on disk before the checkpoint that
// covers it, and a checkpoint is on disk in two places before it is published. Certified
// records are checked against the stream at the start, when they are first read, and from
// time to time; damage stops certification until a check of everything finds none, and
// where the stream is shorter than what was certified, writing is frozen. A removal is a
// certified record before anything is erased. Every step may be repeated after a crash.
package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/private"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// Log is the log over the stream: the tree, the checkpoints that sign its head, and the
// damage found.
//
// Existing tiles must be right; missing ones are rebuilt and must give the same root. A
// checkpoint is kept twice, beside the tree and beside the stream, so that if either is
// restored from a backup, the other one is newer.
type Log struct {
	deps     Deps
	folder   evidence.Dir // of the tiles
	key      *evidence.Key
	verifier evidence.Verifier
	removals removals
	removing sync.Mutex // one removal at a time
	verified uint64     // the last removal that was checked against the tree; under removing
	checks   checks

	treeMu  sync.Mutex
	tree    *evidence.Tree      // nil if it is damaged or not open yet
	target  evidence.Checkpoint // what a rebuilt tree must give
	written uint64              // number of entries in the tiles on disk
	head    uint64              // the last record at the start

	mu           sync.Mutex
	checkpoint   evidence.Checkpoint // the last good one
	advanced     chan struct{}       // closed and replaced with each checkpoint
	damage       []event.Damage      // found since the start
	frozen       bool                // the stream ends before the last certified record
	uncleared    bool                // damage was found before the start, and no check has cleared it
	cleared      chan struct{}       // closed when uncleared is false
	checked      time.Time
	halted       chan struct{} // closed with the first damage
	failure      error         // why nothing is certified at the moment
	missingTiles chan error    // has a value when tiles were found missing
}

// Deps are what a log needs.
type Deps struct {
	Stream  Stream
	Callers Callers
	Index   Index
	Clock   clock.Clock
	Log     *zap.Logger
	Dir     string // of the tree and the key that signs its checkpoints

	// Origin names the log when its key is made; empty uses a random name.
	Origin string
	// Alone states that no other ledger keeps a log over this stream: another key's
	// signatures are this ledger's own.
	Alone bool
	// Scrub is the pause between two checks of the whole record; 0 checks at the start
	// only.
	Scrub time.Duration
	// Keep is how long records are kept before they may be archived, and Articles are
	// those that demand at least that.
	Keep     statute.Months
	Articles []string
}

// name is the service's name in errors.
const name = "ledger"

// The files of a log, in Deps.Dir.
const (
	logFolder      = "log" // the tiles, and
	checkpointFile = "checkpoint"
	keyFile        = "key"
	damageFile     = "damage.json"
)

// Open checks whether the end of the stream, the tree and the checkpoints agree.
// Damage is recorded in the result; an error means that the check was not possible.
func Open(ctx context.Context, d Deps) (*Log, error) {
	l := &Log{
		deps: d, folder: evidence.Dir(filepath.Join(d.Dir, logFolder)),
		advanced: make(chan struct{}), cleared: make(chan struct{}), halted: make(chan struct{}),
		missingTiles: make(chan error, 1),
	}
	l.checks.wanted, l.checks.waited = make(chan struct{}, 1), make(chan struct{}, 1)
	if err := private.MakeFolder(string(l.folder)); err != nil {
		return nil, fmt.Errorf("ledger: log: %w", err)
	}
	if err := l.loadCheckpoints(ctx); err != nil {
		return nil, err
	}
	if err := l.eraseUnfinished(ctx); err != nil {
		return nil, err
	}
	if err := l.checkState(ctx); err != nil {
		return nil, err
	}
	if err := l.openTree(); err != nil { // certify tries again
		d.Log.Error("cannot read the tiles; certification waits for them", zap.Error(err))
		l.setFailure(err)
	}
	switch err := l.checkTail(ctx); {
	case errors.Is(err, errTilesGone):
		l.forgetTree(err)
	case err != nil:
		return nil, err
	}
	if !l.IsFrozen() {
		if err := d.Stream.Unfreeze(ctx, l.key.ID()); err != nil {
			return nil, err
		}
	}
	var err error
	if l.head, err = d.Stream.Head(ctx); err != nil {
		return nil, err
	}
	return l, l.loadDamage()
}

// loadCheckpoints reads the key and the last checkpoint, from both places where it is
// kept.
func (l *Log) loadCheckpoints(ctx context.Context) error {
	kept, err := l.deps.Stream.Checkpoints(ctx)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(filepath.Join(string(l.folder), checkpointFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ledger: log: %w", err)
	}
	if err := l.openKey(len(raw) > 0, kept); err != nil {
		return err
	}
	l.chooseCheckpoint(string(raw), kept[l.key.ID()])
	return nil
}

// openKey reads the key, or makes one if nothing was signed yet.
func (l *Log) openKey(signed bool, kept map[string]string) (err error) {
	path := filepath.Join(l.deps.Dir, keyFile)
	l.key, err = evidence.ReadKey(path)
	if err == nil && !signed && kept[l.key.ID()] == "" {
		l.deps.Log.Warn("the log has a key and no checkpoint: whether records were certified before is unknown")
	}
	if errors.Is(err, fs.ErrNotExist) {
		if signed || l.deps.Alone && len(kept) > 0 {
			return fmt.Errorf("ledger: the key that signed this log's checkpoints is missing from %s: restore it, or start a new record in another data folder", path)
		}
		if len(kept) > 0 {
			l.deps.Log.Warn("other logs have signed checkpoints of this stream; starting a new log with its own key")
		}
		l.key, err = evidence.OpenKey(path, l.deps.Origin)
	}
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if l.deps.Origin != "" && l.deps.Origin != l.key.Origin() {
		return fmt.Errorf("ledger: the log is named %s, not %s: the name is part of its key and cannot change", l.key.Origin(), l.deps.Origin)
	}
	if l.verifier, err = evidence.NewVerifier(l.key.Verifier()); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}

// chooseCheckpoint takes the later of the tree's and the stream's checkpoints.
func (l *Log) chooseCheckpoint(file, kept string) {
	open := func(signed, where string) (cp evidence.Checkpoint) {
		if signed == "" {
			return cp
		}
		cp, err := l.verifier.Open(signed)
		if err != nil {
			l.report(event.Damage{Kind: event.DamageTree, Detail: "the checkpoint " + where + " does not verify: " + err.Error()})
		}
		return cp
	}
	tree, stream := open(file, "beside the tree"), open(kept, "beside the stream")
	l.checkpoint = tree
	if stream.Size > tree.Size {
		l.checkpoint = stream
	}
	switch {
	case file == "" && kept != "":
		l.target = stream
		l.deps.Log.Warn("the tree is missing; rebuilding it from the stream, which must give the signed root", zap.Uint64("records", stream.Size))
	case tree.Size < stream.Size && tree.Note != "":
		l.report(event.Damage{Kind: event.DamageTree, First: tree.Size + 1, Last: stream.Size, Detail: fmt.Sprintf(
			"the tree is an older copy: its checkpoint covers %d records, and a later one covers %d", tree.Size, stream.Size)})
	case tree.Size == stream.Size && tree.Root != stream.Root:
		l.report(event.Damage{Kind: event.DamageTree, Detail: fmt.Sprintf("two checkpoints of %d records were signed with different roots", tree.Size)})
	}
}

// The stream counts as truncated once the engine has reported that cutTries times.
const (
	cutTries = 3
	cutPause = 300 * time.Millisecond
)

// checkState checks the engine's state of the stream against the checkpoint and the
// removals.
func (l *Log) checkState(ctx context.Context) error {
	cp := l.Last()
	state, err := l.deps.Stream.State(ctx)
	for try := 1; err == nil && state.Last < cp.Size && try < cutTries && sleep(ctx, cutPause); try++ {
		state, err = l.deps.Stream.State(ctx) // an engine that has just started may report less
	}
	if err != nil {
		return err
	}
	if state.Last < cp.Size {
		if err := l.freeze(ctx); err != nil {
			return err
		}
		l.report(event.Damage{Kind: event.DamageCut, First: state.Last + 1, Last: cp.Size, Detail: fmt.Sprintf(
			"the stream ends at record %d, and %d were certified: its tail was lost, or it is an older copy", state.Last, cp.Size)})
	}
	if there := state.Messages + l.removals.total(); there < state.Last && state.Last >= cp.Size {
		l.report(event.Damage{Kind: event.DamageMissing, Detail: fmt.Sprintf(
			"the engine reports %d missing records and no removal says so; the full check names them", state.Last-there)})
	}
	return nil
}

// openTree opens the tree at the size of the checkpoint. It rebuilds a tree whose edge is
// missing.
func (l *Log) openTree() error {
	if l.isDamaged() {
		return nil // nothing is certified after damage
	}
	from := l.Last()
	if l.target.Size > 0 {
		from = evidence.Checkpoint{}
	}
	tree, err := evidence.OpenTree(string(l.folder), from.Size)
	if errors.Is(err, fs.ErrNotExist) {
		l.deps.Log.Warn("tiles are missing; rebuilding the tree from the stream, which must give the signed root", zap.Error(err))
		l.treeMu.Lock()
		l.target = from
		l.treeMu.Unlock()
		tree, err = evidence.OpenTree(string(l.folder), 0)
	}
	if unreadable(err) == nil && len(evidence.TileErrors(err)) > 0 {
		l.reportTree(err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("ledger: log: %w", err)
	}
	if l.target.Size == 0 && from.Size > 0 && tree.Root() != from.Root {
		l.report(event.Damage{Kind: event.DamageTree, Detail: fmt.Sprintf("the tiles of %d records do not give the root that was signed", from.Size)})
		return nil
	}
	l.treeMu.Lock()
	defer l.treeMu.Unlock()
	l.tree, l.written = tree, tree.Size()
	return nil
}

// Readable returns how many certified records have tiles on disk to be checked against:
// fewer than all while the tree is being rebuilt.
func (l *Log) Readable() uint64 {
	size := l.Last().Size
	l.treeMu.Lock()
	defer l.treeMu.Unlock()
	if l.tree == nil && l.target.Size == 0 {
		return size
	}
	return min(size, l.written)
}

// tailLength is how many of the last certified records are checked before anything is
// accepted. The check that starts then covers the rest.
const tailLength = 1000

func (l *Log) checkTail(ctx context.Context) error {
	size := l.Readable()
	if l.tree == nil || size == 0 {
		return nil // no certified record to check
	}
	return l.compare(ctx, size-min(size, tailLength)+1, size, nil)
}

// loadDamage reads the damage found by an earlier process: certification resumes only
// after a full check has found none.
func (l *Log) loadDamage() error {
	raw, err := os.ReadFile(filepath.Join(l.deps.Dir, damageFile))
	if errors.Is(err, fs.ErrNotExist) {
		close(l.cleared)
		return nil
	}
	if err != nil {
		return fmt.Errorf("ledger: log: %w", err)
	}
	l.uncleared = true
	l.deps.Log.Error("damage was found before this start; certification waits for a full check that finds none", zap.ByteString("damage", raw))
	return nil
}

// Run certifies, checks and watches until ctx ends.
func (l *Log) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.certify(ctx) })
	g.Go(func() error { return l.check(ctx) })
	g.Go(func() error { return l.watch(ctx) })
	return g.Wait()
}

// Damage returns the damage of the record: found since the start, or before it and not
// cleared yet.
func (l *Log) Damage() []event.Damage {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.damage) == 0 && l.uncleared {
		return []event.Damage{{Kind: event.DamageTree, Detail: "damage was found before this start, and no full check has cleared it yet"}}
	}
	return slices.Clone(l.damage)
}

// IsFrozen reports whether writing is frozen, because new records would take the places of
// certified ones.
func (l *Log) IsFrozen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.frozen
}

// FrozenReply is the answer to a sender while writing is frozen.
const FrozenReply = "the record is damaged and takes nothing: report by telephone or another channel"

// freeze stops all writing.
func (l *Log) freeze(ctx context.Context) error {
	l.mu.Lock()
	frozen := l.frozen
	l.frozen = true
	l.mu.Unlock()
	if frozen {
		return nil
	}
	l.deps.Log.Error("WRITING IS FROZEN: new records would take the place of certified ones. Keep the data folder as evidence, and continue with an earlier copy or another folder")
	return l.deps.Stream.Freeze(ctx, l.key.ID(), FrozenReply)
}

func (l *Log) isDamaged() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.damage) > 0
}

// maxDamage bounds the findings that are reported of a heavily damaged record.
const maxDamage = 100

// report records damage and logs it. It stops certification for as long as the process
// runs; the last good checkpoint stays valid.
func (l *Log) report(d event.Damage) {
	d.FoundAt = machine.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.damage, func(known event.Damage) bool { return joins(known, d) })
	switch {
	case i >= 0 && within(l.damage[i], d):
		return
	case i >= 0:
		l.damage[i].First, l.damage[i].Last = min(l.damage[i].First, d.First), max(l.damage[i].Last, d.Last)
	case len(l.damage) == maxDamage:
		return
	default:
		l.damage = append(l.damage, d)
	}
	if len(l.damage) == 1 && i < 0 {
		close(l.halted)
	}
	l.deps.Log.Error("THE RECORD IS DAMAGED: certification has stopped, the last checkpoint stays valid",
		zap.String("kind", d.Kind), zap.Uint64("first", d.First), zap.Uint64("last", d.Last), zap.String("detail", d.Detail),
		zap.Uint64("certified", l.checkpoint.Size))
	raw, err := json.MarshalIndent(l.damage, "", "  ")
	if err == nil {
		err = evidence.WriteFile(filepath.Join(l.deps.Dir, damageFile), raw)
	}
	if err != nil {
		l.deps.Log.Error("cannot store the damage that was found", zap.Error(err))
	}
}

// joins reports whether two findings are one: adjacent records, or the same tile.
func joins(known, d event.Damage) bool {
	switch {
	case known.Kind != d.Kind:
		return false
	case d.First == 0 || known.First == 0:
		return known.First == d.First && known.Detail == d.Detail
	case d.Kind == event.DamageTree:
		return within(known, d) || within(d, known)
	}
	return d.First <= known.Last+1 && known.First <= d.Last+1
}

func within(known, d event.Damage) bool { return known.First <= d.First && d.Last <= known.Last }

// Certified returns how many records the last checkpoint covers, and when a check of the
// whole record last found no damage.
func (l *Log) Certified() (records uint64, checked time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.checkpoint.Size, l.checked
}

// Last returns the last good checkpoint.
func (l *Log) Last() evidence.Checkpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.checkpoint
}

// coverTimeout is how long a request waits for a checkpoint that covers its record.
const coverTimeout = 2 * time.Second

// covers waits up to coverTimeout for a checkpoint that covers a record, and returns the last
// one.
func (l *Log) covers(ctx context.Context, record uint64) evidence.Checkpoint {
	wait := time.NewTimer(coverTimeout)
	defer wait.Stop()
	for {
		l.mu.Lock()
		cp, advanced := l.checkpoint, l.advanced
		l.mu.Unlock()
		if cp.Size >= record {
			return cp
		}
		select {
		case <-advanced:
		case <-l.halted:
			return cp
		case <-wait.C:
			return cp
		case <-ctx.Done():
			return cp
		}
	}
}

// State returns the state of the log.
func (l *Log) State(ctx context.Context) (api.LogState, error) {
	stream, err := l.deps.Stream.State(ctx)
	if err != nil { // the last good checkpoint is still valid
		l.deps.Log.Warn("cannot read the state of the stream", zap.Error(err))
	}
	cp := l.Last()
	_, checked := l.Certified()
	return api.LogState{
		Checkpoint: cp.Note, Key: l.key.Verifier(), Size: cp.Size, Head: stream.Last, Removed: l.removals.total(),
		Checked: checked, Damage: l.Damage(), Keep: l.deps.Keep.String(),
		ActFormats: []string{evidence.ActFormat1, evidence.ActFormat2},
	}, nil
}
