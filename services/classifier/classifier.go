// Package classifier grades incidents. It folds every cause of an incident (a report, a
// moment at which time alone changes something, a desk's act), in ledger order, into the
// known facts, and writes one record for each cause: incident.graded, with the merged
// facts, the grade under each statute, and every decision that follows (duties, desks,
// due times, desks told, items still owed). No later service decides again. A moment that
// changes nothing makes no record.
//
// Lists that parties can extend are bounded, and a cause that would make a record too
// large to store is rejected alone; the desk's endpoints and intake reject it
// earlier. At most maxAside causes of an incident that could not be folded are retried, a
// few at a time; a person was notified of each.
//
// Each incident has one history: revisions have literal subjects, so the ledger takes
// each number once. If another writer was first, its revision is read and the report is
// folded on top of it. A report at or below "through" is done, unless the revision lists
// it as set aside: it could not be folded, and is retried with every later report.
//
// A record keeps the hashes of the packs and the register it was decided by; its
// decisions stay when they change.
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
	"github.com/tocsin-project/tocsin/internal/grading"
)

// Name is the service's name; its position on the ledger is kept under it.
const Name = "classifier"

// Deps are the service's dependencies.
type Deps struct {
	Bus      Bus
	Clock    clock.Clock
	Rulebook grading.Rulebook
	// Escalations makes the escalations of a decision, which are stored in the same atomic
	// batch: a desk is told a commit earlier. Nil: they are left to the router.
	Escalations func(*event.Graded) ([]event.Record, error)
}

// Bus is what the classifier needs of the bus.
type Bus interface {
	Follow(ctx context.Context, f bus.Follower) error
	Tail(ctx context.Context, from uint64, subjects []string, handle func(context.Context, []event.Stored) error) error
	Last(ctx context.Context, subject string) (event.Stored, error)
	Get(ctx context.Context, seq uint64) (event.Stored, error)
}

// causes are the records that may make a revision.
var causes = event.Filters(func(k event.Kind) bool { return k.Cause })

// Run grades until ctx ends.
func Run(ctx context.Context, d Deps) error {
	h := &handler{deps: d, memory: newMemory()}
	if err := h.recall(ctx); err != nil {
		return err
	}
	return d.Bus.Follow(ctx, bus.Follower{
		Name: Name, Subjects: causes,
		Handler:  h,
		Key:      incidentOf,
		Conflict: h.conflict,
		Failed:   h.failed,
		GiveUp:   d.Rulebook.Register.GiveUp(Name, d.Clock),
	})
}

// incidentOf returns the part of the subject that names the incident.
func incidentOf(in event.Stored) string {
	a := event.ParseSubject(in.Subject)
	return a.Operator + "." + a.Incident
}

// handler folds causes. The follower may call it for several incidents concurrently, but
// for one record of an incident at a time.
type handler struct {
	deps   Deps
	memory *memory
}

// recall reads which causes were given up before, so that a restart does not mistake them
// for folded.
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

// Handle makes the next revision of the record's incident, or nothing when the record is
// folded already.
func (h *handler) Handle(ctx context.Context, in event.Stored) ([]event.Record, error) {
	cause, err := grading.DecodeCause(in)
	if err != nil {
		return nil, err
	}
	key := incidentOf(in)
	last, err := h.load(ctx, key, cause)
	if err != nil {
		return nil, err
	}
	aside := h.memory.asideOf(key)
	if last.Graded != nil {
		has := foldedBy(last.Graded)
		if has.folded(in.Sequence) && !(isFull(last.Aside) && slices.Contains(aside, in.Sequence)) {
			return nil, nil
		}
		// Another instance may have folded causes that failed here.
		aside = union(last.Aside, slices.DeleteFunc(slices.Clone(aside), has.folded))
	}
	next, record, err := h.revise(ctx, key, last, cause, latest(without(aside, in.Sequence)))
	if err != nil || next == nil {
		return nil, err
	}
	next.Unknown = nil // keep only what a reader of the record gets
	record.Beside = h.escalations(next)
	h.memory.folded(key, revision{next, len(record.Data)}, in.Sequence)
	return []event.Record{record}, nil
}

// escalations returns the escalations of a decision, or none if they cannot be made: the
// router tries again, and reports why it failed.
func (h *handler) escalations(g *event.Graded) (out []event.Record) {
	defer func() {
		if recover() != nil {
			out = nil
		}
	}()
	if h.deps.Escalations == nil {
		return nil
	}
	out, err := h.deps.Escalations(g)
	if err != nil {
		return nil
	}
	return out
}

// revise makes the next revision and its record. It retries causes that were set aside,
// since the register may have been corrected meanwhile; if they fail again, the cause is
// folded without them.
func (h *handler) revise(ctx context.Context, key string, last revision, cause grading.Cause, aside []uint64) (*event.Graded, event.Record, error) {
	if retried := h.toRetry(key, cause, aside); len(retried) > 0 {
		if next := h.reviseWith(ctx, last.Graded, cause, aside, retried); next != nil {
			if record, err := h.render(last, next); err == nil {
				return next, record, nil
			}
		}
		h.memory.noteRetryFailed(key, h.deps.Clock.Now())
	}
	next, err := h.deps.Rulebook.Revise(last.Graded, cause, aside)
	if err != nil || next == nil {
		return nil, event.Record{}, err
	}
	record, err := h.render(last, next)
	return next, record, err
}

// smallGrowth is by how many bytes a cause may grow a record that already exceeds
// event.MaxGraded: a rise adds duties, and must still be folded.
const smallGrowth = 64 << 10

// render makes the record of a revision. It rejects a cause that makes a large record
// larger: every revision repeats its contents, and room must be left for the moments and
// acts still to come.
func (h *handler) render(last revision, next *event.Graded) (event.Record, error) {
	record, err := event.NewRecord(event.GradedSubject(next.Operator, next.Incident, next.Revision), h.deps.Clock.Now(), "", next)
	if err == nil && len(record.Data) > event.MaxGraded && len(record.Data) > last.size+smallGrowth {
		err = fault.New(fault.Reject, Name, "%s/%s would have %d bytes, and at most %d are kept of an incident: shorten its texts and lists with a progress report, or report the rest as an incident of its own",
			next.Operator, next.Incident, len(record.Data), event.MaxGraded)
	}
	return record, err
}

// load returns the last revision of an incident. It takes a first report of an incident
// that is not in the cache for new without reading the ledger: if that is wrong, the
// ledger refuses revision 1, and the incident is read.
func (h *handler) load(ctx context.Context, key string, cause grading.Cause) (revision, error) {
	last, cached := h.memory.last(key)
	isFirst := cause.Report != nil && cause.Report.Type == event.TypeInitial
	if last.Graded != nil || !cached && isFirst {
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

// conflict drops the cached revision, so that the stored one is read. It returns true if
// the cause must be folded on top of it, and false if that revision has folded it
// already, as after a restart.
func (h *handler) conflict(in, stored event.Stored) bool {
	h.memory.keep(incidentOf(in), revision{})
	has, err := event.Decode[causesFolded](stored)
	return err != nil || !has.folded(in.Sequence)
}

// failed notes that a cause is not folded, whatever comes after it.
func (h *handler) failed(in event.Stored) {
	key := incidentOf(in)
	h.memory.keep(key, revision{})
	h.memory.setAside(key, in.Sequence)
}
