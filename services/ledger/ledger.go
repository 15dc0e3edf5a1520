// Package ledger answers a regulator's queries about the record, and proves it: which
// desk was told what, when and under which article, the state of every incident, and that
// no record was altered.
//
// It reads every record in ledger order, twice. One reading feeds the log: a tree of
// hashes (C2SP tlog-tiles) whose head is signed as a checkpoint, a pure function of the
// stream. Certified records are checked against the stream at the start, when first read,
// and from time to time; damage stops certification and is logged as an error. The other
// feeds an index (SQLite), a projection that is rebuilt when it is missing, of another
// version or of another ledger. Bodies are read from the stream itself. An answer covers
// every record that was stored before the query, or states how far it goes.
package ledger

import (
	"context"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/statute"
	"github.com/tocsin-project/tocsin/services/ledger/audit"
)

// Name is the service's name.
const Name = "ledger"

// Deps are the service's dependencies.
type Deps struct {
	Bus       Bus
	Endpoints *endpoint.Server
	Clock     clock.Clock
	Log       *zap.Logger
	Dir       string // of the index, the tree and the key that signs its checkpoints
	// Exercise marks the incidents of a drill. The bus then shows no others.
	Exercise bool

	// Origin names the log when its key is made; empty uses a random name.
	Origin string
	// Alone states that no other ledger keeps a log over this stream: another key's
	// signatures are this ledger's own.
	Alone bool
	// Scrub is the pause between two checks of the whole record; 0 checks at the start
	// only.
	Scrub time.Duration
	// Keep is how long records are kept before they may be archived.
	Keep Keep
	// Citations are those of the packs in force, in which rows are translated.
	Citations event.Citations
}

// Keep is how long records are kept before they may be archived, and the articles that
// demand at least that.
type Keep struct {
	Months   statute.Months
	Articles []string
}

// FrozenReply is the answer to a sender while writing is frozen.
const FrozenReply = audit.FrozenReply

// Ledger is the service. Open checks the record; Run continues from there.
type Ledger struct {
	*follower
	log  *audit.Log
	deps Deps
}

// Open checks the end of the stream against what was certified. It returns without an
// error if that finds damage: see Damage.
func Open(ctx context.Context, d Deps) (*Ledger, error) {
	v := newFollower(d)
	log, err := audit.Open(ctx, audit.Deps{
		Stream: d.Bus, Callers: d.Endpoints, Index: v, Clock: d.Clock, Log: d.Log, Dir: d.Dir,
		Origin: d.Origin, Alone: d.Alone, Scrub: d.Scrub, Keep: d.Keep.Months, Articles: d.Keep.Articles,
	})
	if err != nil {
		return nil, err
	}
	return &Ledger{follower: v, log: log, deps: d}, nil
}

// Run indexes, certifies and answers until ctx ends.
func (l *Ledger) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.follower.run(ctx) })
	g.Go(func() error { return l.log.Run(ctx) })
	g.Go(func() error { return l.deps.Endpoints.Serve(ctx, Name, l.endpoints()...) })
	return g.Wait()
}

// Damage returns the damage of the record that was found and not cleared.
func (l *Ledger) Damage() []event.Damage { return l.log.Damage() }

// Certified returns how many records the last checkpoint covers, and when a check of the
// whole record last found no damage.
func (l *Ledger) Certified() (records uint64, checked time.Time) { return l.log.Certified() }

// CertificationFailure returns why nothing is certified at the moment although the record
// is not damaged, or nil.
func (l *Ledger) CertificationFailure() error { return l.log.CertificationFailure() }

func (l *Ledger) state(ctx context.Context) (api.LogState, error) {
	s, err := l.log.State(ctx)
	s.Indexed = l.Indexed()
	return s, err
}
