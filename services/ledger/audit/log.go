// Package audit proves that no record was altered: it keeps a tree of hashes over the
// stream (C2SP tlog-tiles), signs its head as a checkpoint, checks records against it, and
// removes records by right.
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
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
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
	floor   evidence.Checkpoint // what a rebuilt tree must give
	written uint64              // number of entries in the tiles on disk
	head    uint64              // the last record at the start

	mu         sync.Mutex
	checkpoint evidence.Checkpoint // the last good one
	advanced   chan struct{}       // closed and replaced with each checkpoint
	damage     []event.Damage      // found since the start
	held       bool                // the stream ends before the last certified record
	doubt      bool                // damage was found before the start, and no check has cleared it
	cleared    chan struct{}       // closed when doubt is false
	checked    time.Time
	halted     chan struct{} // closed with the first damage
	stalled    error         // why nothing is certified at the moment
	lost       chan error    // has a value when tiles were found missing
}

// Index tells whether the index is being rebuilt: the check of the whole record then
// leaves it most of the processor.
type Index interface{ IsIndexBehind() bool }

// Deps are what a log needs.
type Deps struct {
	Bus       *bus.Bus
	Endpoints *endpoint.Server
	Index     Index
	Clock     clock.Clock
	Log       *zap.Logger
	Dir       string // of the tree and the key that signs its checkpoints

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
	p := &Log{
		deps: d, folder: evidence.Dir(filepath.Join(d.Dir, logFolder)),
		advanced: make(chan struct{}), cleared: make(chan struct{}), halted: make(chan struct{}),
		lost: make(chan error, 1),
	}
	p.checks.wanted, p.checks.waited = make(chan struct{}, 1), make(chan struct{}, 1)
	if err := private.MakeFolder(string(p.folder)); err != nil {
		return nil, fmt.Errorf("ledger: log: %w", err)
	}
	if err := p.recall(ctx); err != nil {
		return nil, err
	}
	if err := p.eraseUnfinished(ctx); err != nil {
		return nil, err
	}
	if err := p.holdState(ctx); err != nil {
		return nil, err
	}
	if err := p.openTree(); err != nil { // certify tries again
		d.Log.Error("cannot read the tiles; certification waits for them", zap.Error(err))
		p.stall(err)
	}
	switch err := p.holdTail(ctx); {
	case errors.Is(err, errTilesGone):
		p.forgetTree(err)
	case err != nil:
		return nil, err
	}
	if !p.Held() {
		if err := d.Bus.Release(ctx, p.key.ID()); err != nil {
			return nil, err
		}
	}
	var err error
	if p.head, err = d.Bus.Head(ctx); err != nil {
		return nil, err
	}
	return p, p.recallDamage()
}

// recall reads the key and the last checkpoint, from both places where it is kept.
func (p *Log) recall(ctx context.Context) error {
	kept, err := p.deps.Bus.Checkpoints(ctx)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(filepath.Join(string(p.folder), checkpointFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ledger: log: %w", err)
	}
	if err := p.openKey(len(raw) > 0, kept); err != nil {
		return err
	}
	p.choose(string(raw), kept[p.key.ID()])
	return nil
}

// openKey reads the key, or makes one if nothing was signed yet.
func (p *Log) openKey(signed bool, kept map[string]string) (err error) {
	path := filepath.Join(p.deps.Dir, keyFile)
	p.key, err = evidence.ReadKey(path)
	if err == nil && !signed && kept[p.key.ID()] == "" {
		p.deps.Log.Warn("there is a key and no checkpoint of it: what was certified before, if anything was, is no longer known here")
	}
	if errors.Is(err, fs.ErrNotExist) {
		if signed || p.deps.Alone && len(kept) > 0 {
			return fmt.Errorf("ledger: the key that signed this log's checkpoints is gone from %s: put it back, or begin a new record in another data folder", path)
		}
		if len(kept) > 0 {
			p.deps.Log.Warn("others have signed checkpoints of this stream; another log over it begins, with a key of its own")
		}
		p.key, err = evidence.OpenKey(path, p.deps.Origin)
	}
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if p.deps.Origin != "" && p.deps.Origin != p.key.Origin() {
		return fmt.Errorf("ledger: the log is called %s, not %s: its name is part of its key", p.key.Origin(), p.deps.Origin)
	}
	if p.verifier, err = evidence.NewVerifier(p.key.Verifier()); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}

// choose takes the later of the tree's and the stream's checkpoints.
func (p *Log) choose(file, kept string) {
	open := func(signed, where string) (cp evidence.Checkpoint) {
		if signed == "" {
			return cp
		}
		cp, err := p.verifier.Open(signed)
		if err != nil {
			p.damaged(event.Damage{Kind: event.DamageTree, Detail: "the checkpoint " + where + " does not verify: " + err.Error()})
		}
		return cp
	}
	tree, stream := open(file, "beside the tree"), open(kept, "beside the stream")
	p.checkpoint = tree
	if stream.Size > tree.Size {
		p.checkpoint = stream
	}
	switch {
	case file == "" && kept != "":
		p.floor = stream
		p.deps.Log.Warn("the tree is gone; it is rebuilt from the stream and must come to the root that was signed", zap.Uint64("records", stream.Size))
	case tree.Size < stream.Size && tree.Note != "":
		p.damaged(event.Damage{Kind: event.DamageTree, First: tree.Size + 1, Last: stream.Size, Detail: fmt.Sprintf(
			"the tree was put back: its checkpoint covers %d records, and one of %d was signed", tree.Size, stream.Size)})
	case tree.Size == stream.Size && tree.Root != stream.Root:
		p.damaged(event.Damage{Kind: event.DamageTree, Detail: fmt.Sprintf("two checkpoints of %d records were signed with different roots", tree.Size)})
	}
}

// A stream counts as cut when the engine has reported it several times.
const (
	cutTries = 3
	cutPause = 300 * time.Millisecond
)

// holdState checks the engine's state of the stream against the checkpoint and the
// removals.
func (p *Log) holdState(ctx context.Context) error {
	cp := p.Last()
	state, err := p.deps.Bus.State(ctx)
	for try := 1; err == nil && state.Last < cp.Size && try < cutTries && sleep(ctx, cutPause); try++ {
		state, err = p.deps.Bus.State(ctx) // an engine that has just started may not know yet
	}
	if err != nil {
		return err
	}
	if state.Last < cp.Size {
		if err := p.hold(ctx); err != nil {
			return err
		}
		p.damaged(event.Damage{Kind: event.DamageCut, First: state.Last + 1, Last: cp.Size, Detail: fmt.Sprintf(
			"the stream ends at record %d, and %d were certified: its tail was lost, or it is an older copy", state.Last, cp.Size)})
	}
	if there := state.Messages + p.removals.total(); there < state.Last && state.Last >= cp.Size {
		p.damaged(event.Damage{Kind: event.DamageMissing, Detail: fmt.Sprintf(
			"the engine says that %d records are gone, and no removal says so; the check names them", state.Last-there)})
	}
	return nil
}

// openTree opens the tree at the size of the checkpoint. It rebuilds a tree whose edge is
// missing.
func (p *Log) openTree() error {
	if p.isDamaged() {
		return nil // nothing is certified after damage
	}
	from := p.Last()
	if p.floor.Size > 0 {
		from = evidence.Checkpoint{}
	}
	tree, err := evidence.OpenTree(string(p.folder), from.Size)
	if errors.Is(err, fs.ErrNotExist) {
		p.deps.Log.Warn("tiles of the tree are gone; the tree is rebuilt from the stream and must come to the root that was signed", zap.Error(err))
		p.treeMu.Lock()
		p.floor = from
		p.treeMu.Unlock()
		tree, err = evidence.OpenTree(string(p.folder), 0)
	}
	if unreadable(err) == nil && len(evidence.TileErrors(err)) > 0 {
		p.treeDamaged(err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("ledger: log: %w", err)
	}
	if p.floor.Size == 0 && from.Size > 0 && tree.Root() != from.Root {
		p.damaged(event.Damage{Kind: event.DamageTree, Detail: fmt.Sprintf("the tiles of %d records do not give the root that was signed", from.Size)})
		return nil
	}
	p.treeMu.Lock()
	defer p.treeMu.Unlock()
	p.tree, p.written = tree, tree.Size()
	return nil
}

// Readable returns how many certified records have tiles on disk to be checked against:
// fewer than all while the tree is being rebuilt.
func (p *Log) Readable() uint64 {
	size := p.Last().Size
	p.treeMu.Lock()
	defer p.treeMu.Unlock()
	if p.tree == nil && p.floor.Size == 0 {
		return size
	}
	return min(size, p.written)
}

// tailLength is how many of the last certified records are checked before anything is
// accepted. The check that starts then covers the rest.
const tailLength = 1000

func (p *Log) holdTail(ctx context.Context) error {
	size := p.Readable()
	if p.tree == nil || size == 0 {
		return nil // no certified record to check
	}
	return p.compare(ctx, size-min(size, tailLength)+1, size, nil)
}

// recallDamage reads the damage found by an earlier process: certification resumes only
// after a full check has found none.
func (p *Log) recallDamage() error {
	raw, err := os.ReadFile(filepath.Join(p.deps.Dir, damageFile))
	if errors.Is(err, fs.ErrNotExist) {
		close(p.cleared)
		return nil
	}
	if err != nil {
		return fmt.Errorf("ledger: log: %w", err)
	}
	p.doubt = true
	p.deps.Log.Error("damage was found before: nothing is certified until a check of everything finds none", zap.ByteString("damage", raw))
	return nil
}

// Run certifies, checks and watches until ctx ends.
func (p *Log) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.certify(ctx) })
	g.Go(func() error { return p.check(ctx) })
	g.Go(func() error { return p.watch(ctx) })
	return g.Wait()
}

// Damage returns the damage of the record: found since the start, or before it and not
// cleared yet.
func (p *Log) Damage() []event.Damage {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.damage) == 0 && p.doubt {
		return []event.Damage{{Kind: event.DamageTree, Detail: "damage was found before this start; a check of everything has not cleared it yet"}}
	}
	return slices.Clone(p.damage)
}

// Held reports whether writing is frozen, because new records would take the places of
// certified ones.
func (p *Log) Held() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// TakesNothing is the answer to a sender while writing is frozen.
const TakesNothing = "the record is damaged and takes nothing: report by telephone or another channel"

// hold freezes all writing.
func (p *Log) hold(ctx context.Context) error {
	p.mu.Lock()
	held := p.held
	p.held = true
	p.mu.Unlock()
	if held {
		return nil
	}
	p.deps.Log.Error("NOTHING IS TAKEN: new records would take the places of certified ones. Keep the data folder as evidence, and go on with a copy from before, or with another folder")
	return p.deps.Bus.Hold(ctx, p.key.ID(), TakesNothing)
}

func (p *Log) isDamaged() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.damage) > 0
}

// maxDamage bounds the findings that are reported of a heavily damaged record.
const maxDamage = 100

// damaged records damage and logs it. It stops certification for as long as the process
// runs; the last good checkpoint stays valid.
func (p *Log) damaged(d event.Damage) {
	d.FoundAt = machine.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.damage, func(known event.Damage) bool { return joins(known, d) })
	switch {
	case i >= 0 && within(p.damage[i], d):
		return
	case i >= 0:
		p.damage[i].First, p.damage[i].Last = min(p.damage[i].First, d.First), max(p.damage[i].Last, d.Last)
	case len(p.damage) == maxDamage:
		return
	default:
		p.damage = append(p.damage, d)
	}
	if len(p.damage) == 1 && i < 0 {
		close(p.halted)
	}
	p.deps.Log.Error("THE RECORD IS DAMAGED: nothing is certified any more, the last checkpoint stands",
		zap.String("kind", d.Kind), zap.Uint64("first", d.First), zap.Uint64("last", d.Last), zap.String("detail", d.Detail),
		zap.Uint64("certified", p.checkpoint.Size))
	raw, err := json.MarshalIndent(p.damage, "", "  ")
	if err == nil {
		err = evidence.WriteFile(filepath.Join(p.deps.Dir, damageFile), raw)
	}
	if err != nil {
		p.deps.Log.Error("what was found was not kept", zap.Error(err))
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

// within reports whether d is part of known.
func within(known, d event.Damage) bool { return known.First <= d.First && d.Last <= known.Last }

// Certified returns how many records the last checkpoint covers, and when a check of the
// whole record last found no damage.
func (p *Log) Certified() (records uint64, checked time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.checkpoint.Size, p.checked
}

// Last returns the last good checkpoint.
func (p *Log) Last() evidence.Checkpoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.checkpoint
}

// coverTimeout is how long a request waits for a checkpoint that covers its record.
const coverTimeout = 2 * time.Second

// covers waits up to coverTimeout for a checkpoint that covers a record, and returns the last
// one.
func (p *Log) covers(ctx context.Context, record uint64) evidence.Checkpoint {
	wait := time.NewTimer(coverTimeout)
	defer wait.Stop()
	for {
		p.mu.Lock()
		cp, advanced := p.checkpoint, p.advanced
		p.mu.Unlock()
		if cp.Size >= record {
			return cp
		}
		select {
		case <-advanced:
		case <-p.halted:
			return cp
		case <-wait.C:
			return cp
		case <-ctx.Done():
			return cp
		}
	}
}

// State returns the state of the log.
func (p *Log) State(ctx context.Context) (api.LogState, error) {
	stream, err := p.deps.Bus.State(ctx)
	if err != nil { // the last good checkpoint is still valid
		p.deps.Log.Warn("the engine does not say how the stream stands", zap.Error(err))
	}
	cp := p.Last()
	_, checked := p.Certified()
	return api.LogState{
		Checkpoint: cp.Note, Key: p.key.Verifier(), Size: cp.Size, Head: stream.Last, Removed: p.removals.total(),
		Checked: checked, Damage: p.Damage(), Keep: p.deps.Keep.String(),
		ActFormats: []string{evidence.ActFormat1, evidence.ActFormat2},
	}, nil
}
