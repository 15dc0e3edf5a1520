// Package ledger answers what a regulator asks of the record, and proves it: which
// desk was told what, when and under which article, how every incident stands,
// and that nobody has altered what was recorded.
//
// It reads every record in ledger order, twice. One reading feeds the log: a tree
// of hashes (C2SP tlog-tiles) whose head is signed as a checkpoint, a pure
// function of the stream. What the last checkpoint covers is held against the
// stream at start, at first read and from time to time; damage stops
// certification and is said loudly. The other feeds an index (SQLite), a
// projection that is made again when it is missing, of another version or of
// another ledger. Bodies are read from the stream itself. An answer covers every
// record that was stored before the question, or says how far it goes.
package ledger

import (
	"context"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// Name of the service.
const Name = "ledger"

// Deps are what the service works with.
type Deps struct {
	Bus   *bus.Bus
	Clock clock.Clock
	Log   *zap.Logger
	Dir   string // of the index, the tree and the key that signs its checkpoints
	// Exercise marks the incidents of a drill. The bus shows no others then.
	Exercise bool

	// Origin names the log when its key is made; empty takes a random name.
	Origin string
	// Alone says that no other ledger keeps a log over this stream: what another
	// key has signed was signed here.
	Alone bool
	// Scrub is how long after one check of the whole record the next begins; 0
	// checks at the start only.
	Scrub time.Duration
	// Keep is how long records are kept before they may be archived.
	Keep Keep
}

// Ledger is the service. Open finds out whether the record is what it was; Run
// goes on from there.
type Ledger struct {
	*view
	*proof
	deps Deps
}

// Open holds the end of the stream against what was certified, and returns also
// when that finds damage: see Damage.
func Open(ctx context.Context, d Deps) (*Ledger, error) {
	p, err := openProof(ctx, d)
	if err != nil {
		return nil, err
	}
	v := newView(d)
	l := &Ledger{view: v, proof: p, deps: d}
	p.sees, v.noteReading = v.sees, p.noteReading
	v.fetch, p.copied, p.indexing, p.asked = p.fetch, l.copiesOf, v.isBehind, v.asked
	return l, nil
}

// Run indexes, certifies and answers until ctx ends.
func (l *Ledger) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.view.run(ctx) })
	g.Go(func() error { return l.proof.run(ctx) })
	g.Go(func() error { return l.deps.Bus.Serve(ctx, Name, l.doors()...) })
	return g.Wait()
}

// Run opens and runs the service.
func Run(ctx context.Context, d Deps) error {
	l, err := Open(ctx, d)
	if err != nil {
		return err
	}
	return l.Run(ctx)
}

// state says where the log stands.
func (l *Ledger) state(ctx context.Context) (event.LogState, error) {
	s, err := l.proof.state(ctx)
	s.Indexed = l.view.indexed()
	return s, err
}
