// Package classifier grades incidents. It folds every cause of an incident (a
// report, a moment at which time alone changes something, a desk's act), in
// ledger order, into what is known of it, and writes one record a cause:
// incident.graded, with the merged facts, the grade under each statute, and
// every decision that follows (duties, desks, due times, who was told, what is
// still owed). Nothing after it decides again. A moment that changes nothing
// makes no record.
//
// One history for each incident: revisions are literal subjects, so the ledger
// takes each number once. A revision that somebody else wrote first is read and
// the report folded again on top of it. A report at or below "through" is done,
// except those that the revision names as set aside: they could not be folded,
// and are tried once more with every later report.
//
// A record keeps the hashes of the packs and the register that decided; what
// was decided stays when they change.
package classifier

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// Name of the service; its position on the ledger is kept under it.
const Name = "classifier"

// Deps are what the service works with.
type Deps struct {
	Bus      *bus.Bus
	Clock    clock.Clock
	Rulebook Rulebook
}

// causes are the records that may make a revision.
var causes = []string{
	event.AllAccepted, event.AllElapsed,
	event.AllDetermined, event.AllAsked, event.AllConfirmed, event.AllTransferred,
}

// Run grades until ctx ends.
func Run(ctx context.Context, d Deps) error {
	h := &handler{deps: d, last: map[string]*event.Graded{}, aside: map[string][]uint64{}}
	if err := h.recall(ctx); err != nil {
		return err
	}
	return d.Bus.Follow(ctx, bus.Follower{
		Name: Name, Subjects: causes,
		Handler: h,
		Key:     incidentOf,
		GiveUp:  d.Rulebook.Register.GiveUp(Name, d.Clock),
	})
}

// incidentOf is the part of the subject that names the incident.
func incidentOf(in event.Stored) string {
	a := event.ParseSubject(in.Subject)
	return a.Operator + "." + a.Incident
}

// handler keeps the last revision of the incidents in hand. Only the follower
// calls it, one record at a time.
type handler struct {
	deps Deps
	// last is the end of each incident's history as far as we know it; nil
	// where it must be read.
	last map[string]*event.Graded
	// aside are causes that failed and are tried again or were given up. A
	// revision made meanwhile names them, so that they are not taken for folded.
	aside map[string][]uint64
}

// maxCached bounds the cache, each of some 5 KB; the ledger has the rest.
const maxCached = 1_000

// recall reads which causes were given up before, so that a restart does not
// take them for folded.
func (h *handler) recall(ctx context.Context) error {
	const given = "incident.unhandled." + Name + ".>"
	last, err := h.deps.Bus.Last(ctx, given)
	if errors.Is(err, bus.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	read := errors.New("all are read")
	err = h.deps.Bus.Tail(ctx, 1, []string{given}, func(_ context.Context, batch []event.Stored) error {
		for _, s := range batch {
			if seq, err := strconv.ParseUint(event.ParseSubject(s.Subject).Last, 10, 64); err == nil {
				key := incidentOf(s)
				h.aside[key] = union(h.aside[key], []uint64{seq})
			}
		}
		if batch[len(batch)-1].Sequence >= last.Sequence {
			return read
		}
		return nil
	})
	if errors.Is(err, read) {
		return nil
	}
	return err
}

// Handle makes the next revision of the record's incident, or nothing when the
// record is folded already.
func (h *handler) Handle(ctx context.Context, in event.Stored) ([]event.Record, error) {
	body, err := decodeCause(in)
	if err != nil {
		return nil, err
	}
	key := incidentOf(in)
	last, err := h.load(ctx, key, body)
	if err != nil {
		return nil, err
	}
	aside := h.aside[key]
	if last != nil {
		folded := func(seq uint64) bool { return isFolded(seq, last.Through, last.Aside) }
		if folded(in.Sequence) {
			return nil, nil
		}
		// What failed here may have been folded by another instance.
		aside = union(last.Aside, slices.DeleteFunc(slices.Clone(aside), folded))
	}
	next, err := h.revise(ctx, last, in.Sequence, body, without(aside, in.Sequence))
	if err != nil || next == nil {
		return nil, err
	}
	record, err := event.NewRecord(event.GradedSubject(next.Operator, next.Incident, next.Revision), h.deps.Clock.Now(), "", next)
	if err != nil {
		return nil, err
	}
	next.Unknown = nil // what is kept is what a reader of the record has
	h.keep(key, next)
	h.aside[key] = slices.DeleteFunc(h.aside[key], func(seq uint64) bool { return !slices.Contains(next.Aside, seq) })
	if len(h.aside[key]) == 0 {
		delete(h.aside, key)
	}
	return []event.Record{record}, nil
}

// revise makes the next revision. What was set aside is tried once more with
// it, since the register may have been mended meanwhile; where that still
// fails, the report in hand is folded without.
func (h *handler) revise(ctx context.Context, last *event.Graded, seq uint64, body any, aside []uint64) (*event.Graded, error) {
	if len(aside) > 0 {
		if next := h.mend(ctx, last, seq, body, aside); next != nil {
			return next, nil
		}
	}
	return h.deps.Rulebook.Revise(last, seq, body, aside)
}

// mend makes the next revision with what was set aside folded in, or returns
// nil: what failed before must not take the report in hand with it.
func (h *handler) mend(ctx context.Context, last *event.Graded, seq uint64, body any, aside []uint64) (next *event.Graded) {
	defer func() {
		if recover() != nil {
			next = nil
		}
	}()
	c, err := causeOf(seq, body)
	if err != nil {
		return nil
	}
	mended := event.Graded{Operator: c.operator, Incident: c.incident}
	if last != nil {
		mended = *last
	}
	mended.Aside = aside // what is folded of it is news
	var changed []string
	var rest []uint64
	for _, missed := range aside {
		state, paths, err := h.foldAgain(ctx, &mended, missed)
		if err != nil {
			rest = append(rest, missed)
			continue
		}
		mended.State, changed = state, union(changed, paths)
	}
	if len(rest) == len(aside) {
		return nil
	}
	next, err = h.deps.Rulebook.Revise(&mended, seq, body, rest)
	if err != nil || next == nil {
		return nil
	}
	next.Cause.Changed = union(changed, next.Cause.Changed)
	return next
}

func (h *handler) foldAgain(ctx context.Context, g *event.Graded, seq uint64) (event.State, []string, error) {
	stored, err := h.deps.Bus.Get(ctx, seq)
	if err != nil {
		return g.State, nil, err
	}
	body, err := decodeCause(stored)
	if err != nil {
		return g.State, nil, err
	}
	c, err := causeOf(seq, body)
	if err != nil {
		return g.State, nil, err
	}
	return h.deps.Rulebook.fold(g, c)
}

// load returns the last revision of an incident. A first report of an incident
// that is not in the cache is taken for new without asking: where that is
// wrong, the ledger refuses its revision 1, and the incident is read.
func (h *handler) load(ctx context.Context, key string, body any) (*event.Graded, error) {
	last, met := h.last[key]
	report, _ := body.(*event.Accepted)
	if last != nil || !met && report != nil && report.Type == event.TypeInitial {
		return last, nil
	}
	stored, err := h.deps.Bus.Last(ctx, "incident.graded."+key+".*")
	if errors.Is(err, bus.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if last, err = event.Decode[event.Graded](stored); err != nil {
		return nil, err
	}
	h.keep(key, last)
	return last, nil
}

func (h *handler) keep(key string, last *event.Graded) {
	if len(h.last) >= maxCached {
		clear(h.last)
	}
	h.last[key] = last
}

// Refused forgets what was thought of the incident, so that the revision that
// was written first is read and the report folded on top of it, unless that has it
// folded already, as after a restart.
func (h *handler) Refused(in, stands event.Stored) bool {
	h.last[incidentOf(in)] = nil
	through, aside, err := event.ThroughOf(stands)
	return err != nil || !isFolded(in.Sequence, through, aside)
}

// isFolded reports whether a revision that has folded what stands up to through, but
// for what it has set aside, has folded a record.
func isFolded(seq, through uint64, aside []uint64) bool {
	return seq <= through && !slices.Contains(aside, seq)
}

// Failed notes that a report is not folded, whatever comes after it.
func (h *handler) Failed(in event.Stored) {
	key := incidentOf(in)
	h.last[key] = nil
	h.aside[key] = union(h.aside[key], []uint64{in.Sequence})
}

func union[T comparable](a, b []T) []T {
	out := slices.Clone(a)
	for _, v := range b {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func without(a []uint64, seq uint64) []uint64 {
	return slices.DeleteFunc(slices.Clone(a), func(s uint64) bool { return s == seq })
}
