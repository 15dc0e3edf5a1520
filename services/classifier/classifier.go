// Package classifier grades incidents. It folds every cause of an incident (a
// report, a moment at which time alone changes something, a desk's act), in
// ledger order, into what is known of it, and writes one record a cause:
// incident.graded, with the merged facts, the grade under each statute, and
// every decision that follows (duties, desks, due times, who was told, what is
// still owed). Nothing after it decides again. A moment that changes nothing
// makes no record.
//
// What parties can add to without end is bounded, and what would make a record that
// cannot be stored is refused by itself (limits.go); the desk's doors and intake refuse
// it first. Of an incident at most maxAside causes that could not be folded are tried
// again, a few at a time; a person was told of each.
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
	"github.com/tocsin-project/tocsin/internal/fault"
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
	h := &handler{deps: d, memory: newMemory()}
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

// handler folds causes. The follower calls it for several incidents at once where one
// takes long, but for one record of an incident at a time.
type handler struct {
	deps   Deps
	memory *memory
}

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
				h.memory.setAside(incidentOf(s), seq)
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
	aside := h.memory.asideOf(key)
	if last.Graded != nil {
		folded := func(seq uint64) bool { return isFolded(seq, last.Through, last.Aside) }
		if folded(in.Sequence) && !(isCut(last.Aside) && slices.Contains(aside, in.Sequence)) {
			return nil, nil
		}
		// What failed here may have been folded by another instance.
		aside = union(last.Aside, slices.DeleteFunc(slices.Clone(aside), folded))
	}
	next, record, err := h.revise(ctx, last, in.Sequence, body, cut(without(aside, in.Sequence)))
	if err != nil || next == nil {
		return nil, err
	}
	next.Unknown = nil // what is kept is what a reader of the record has
	h.memory.folded(key, revision{next, len(record.Data)}, in.Sequence)
	return []event.Record{record}, nil
}

// revise makes the next revision, and its record. What was set aside is tried once
// more with it, since the register may have been mended meanwhile; where that still
// fails, the report in hand is folded without.
func (h *handler) revise(ctx context.Context, last revision, seq uint64, body any, aside []uint64) (*event.Graded, event.Record, error) {
	if tried := h.toMend(seq, body, aside); len(tried) > 0 {
		if next := h.mend(ctx, last.Graded, seq, body, aside, tried); next != nil {
			if record, err := h.render(last, next); err == nil {
				return next, record, nil
			}
		}
		h.memory.couldNotMend(incidentKey(body), h.deps.Clock.Now())
	}
	next, err := h.deps.Rulebook.Revise(last.Graded, seq, body, aside)
	if err != nil || next == nil {
		return nil, event.Record{}, err
	}
	record, err := h.render(last, next)
	return next, record, err
}

// toMend returns those of what was set aside that are tried once more with a cause: a
// few, in turn, and of many none soon after that has failed. An incident of which much cannot
// be folded costs others little.
func (h *handler) toMend(seq uint64, body any, aside []uint64) []uint64 {
	if len(aside) == 0 || len(aside) > maxMended && h.memory.failedSince(incidentKey(body), h.deps.Clock.Now().Add(-mendPause)) {
		return nil
	}
	tried := make([]uint64, 0, maxMended)
	for i := range min(len(aside), maxMended) {
		tried = append(tried, aside[(int(seq%uint64(len(aside)))+i)%len(aside)])
	}
	slices.Sort(tried)
	return tried
}

// render makes the record of a revision. A cause that makes a large record larger is
// refused: what every revision repeats must leave room for the moments and the acts
// that are still to come.
func (h *handler) render(last revision, next *event.Graded) (event.Record, error) {
	record, err := event.NewRecord(event.GradedSubject(next.Operator, next.Incident, next.Revision), h.deps.Clock.Now(), "", next)
	if err == nil && len(record.Data) > event.MaxGraded && len(record.Data) > last.size+smallGrowth {
		err = fault.New(fault.Reject, Name, "%s/%s would have %d bytes, and at most %d are kept of an incident: shorten its texts and lists with a progress report, or report the rest as an incident of its own",
			next.Operator, next.Incident, len(record.Data), event.MaxGraded)
	}
	return record, err
}

// mend makes the next revision with some of what was set aside folded in, or returns
// nil: what failed before must not take the report in hand with it.
func (h *handler) mend(ctx context.Context, last *event.Graded, seq uint64, body any, aside, tried []uint64) (next *event.Graded) {
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
	rest := aside
	for _, missed := range tried {
		state, paths, err := h.foldAgain(ctx, &mended, missed)
		if err != nil {
			continue
		}
		mended.State, changed, rest = state, union(changed, paths), without(rest, missed)
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
func (h *handler) load(ctx context.Context, key string, body any) (revision, error) {
	last, met := h.memory.last(key)
	report, _ := body.(*event.Accepted)
	if last.Graded != nil || !met && report != nil && report.Type == event.TypeInitial {
		return last, nil
	}
	stored, err := h.deps.Bus.Last(ctx, "incident.graded."+key+".*")
	if errors.Is(err, bus.ErrNotFound) {
		return revision{}, nil
	}
	if err != nil {
		return revision{}, err
	}
	g, err := event.Decode[event.Graded](stored)
	if err != nil {
		return revision{}, err
	}
	last = revision{g, len(stored.Data)}
	h.memory.keep(key, last)
	return last, nil
}

// Refused forgets what was thought of the incident, so that the revision that
// was written first is read and the report folded on top of it, unless that has it
// folded already, as after a restart.
func (h *handler) Refused(in, stands event.Stored) bool {
	h.memory.keep(incidentOf(in), revision{})
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
	h.memory.keep(key, revision{})
	h.memory.setAside(key, in.Sequence)
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
