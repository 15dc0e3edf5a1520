package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

func refuse(path, format string, args ...any) error {
	return fault.Invalid("ledger: remove", []fault.Detail{{Path: path, Message: fmt.Sprintf(format, args...)}})
}

// maxText bounds the texts of a removal, in bytes.
const maxText = 1 << 10

// checkTexts returns the faults of the texts that a removal needs.
func checkTexts(texts map[string]string) error {
	var faults []fault.Detail
	for path, text := range texts {
		switch {
		case strings.TrimSpace(text) == "":
			faults = append(faults, fault.Detail{Path: path, Message: "must be given"})
		case len(text) > maxText:
			faults = append(faults, fault.Detail{Path: path, Message: fmt.Sprintf("is longer than %d bytes", maxText)})
		}
	}
	if faults == nil {
		return nil
	}
	slices.SortFunc(faults, func(a, b fault.Detail) int { return strings.Compare(a.Path, b.Path) })
	return fault.Invalid("ledger: remove", faults)
}

// Remove removes one record by order. The removal is a record of its own, with the hash
// of the entry; it is on disk and certified before anything is erased.
func (l *Log) Remove(ctx context.Context, q api.RemoveRequest, req endpoint.Request) (api.RemoveAnswer, error) {
	if err := checkTexts(map[string]string{"$.order": q.Order, "$.officer": q.Officer}); err != nil {
		return api.RemoveAnswer{}, err
	}
	if len(q.Reason) > maxText {
		return api.RemoveAnswer{}, refuse("$.reason", "is longer than %d bytes", maxText)
	}
	l.removing.Lock()
	defer l.removing.Unlock()
	if _, at, err := l.removals.of(ctx, l.deps.Stream, q.Record); err == nil {
		if err := l.finish(ctx, at); err != nil {
			return api.RemoveAnswer{}, err
		}
		return l.confirmErased(ctx, api.RemoveAnswer{Status: event.StatusDuplicate, Record: at}, q.Record)
	} else if !errors.Is(err, errNotRemoved) {
		return api.RemoveAnswer{}, err
	}
	s, err := l.removable(ctx, q.Record)
	if err != nil {
		return api.RemoveAnswer{}, err
	}
	a := event.ParseSubject(s.Subject)
	copies, err := l.related(ctx, a, q.Record)
	if err != nil {
		return api.RemoveAnswer{}, err
	}
	removal := event.Removal{
		First: q.Record, Entries: []evidence.Hash{s.Entry()}, Basis: event.BasisOrder, Order: q.Order, Officer: q.Officer, Reason: q.Reason,
		At: l.deps.Clock.Now(), Operator: a.Operator, Incident: a.Incident, Type: a.Kind, Subject: event.SubjectHash(s.Subject),
	}
	if removal.Signed, err = l.signed(ctx, req, removal); err != nil {
		return api.RemoveAnswer{}, err
	}
	answer, err := l.commit(ctx, removal)
	if answer.Copies = copies; err != nil {
		return answer, err
	}
	return l.confirmErased(ctx, answer, q.Record)
}

// confirmErased returns the answer once the record is gone.
func (l *Log) confirmErased(ctx context.Context, answer api.RemoveAnswer, record uint64) (api.RemoveAnswer, error) {
	_, err := l.deps.Stream.Get(ctx, record)
	if errors.Is(err, bus.ErrNotFound) {
		return answer, nil
	}
	if err == nil {
		err = refuse("$.record", "record %d was not removed: record %d has taken the place of its removal and does not cover it", record, answer.Record)
	}
	return api.RemoveAnswer{}, err
}

// removable returns a certified record that may be removed by order.
func (l *Log) removable(ctx context.Context, record uint64) (s event.Stored, err error) {
	switch cp := l.covers(ctx, record); {
	case l.isDamaged():
		return s, refuse("$", "the record is damaged: nothing can be removed from it")
	case record == 0 || record > cp.Size:
		return s, refuse("$.record", "no record %d is certified; the last one is %d", record, cp.Size)
	}
	s, err = l.deps.Stream.Get(ctx, record)
	if errors.Is(err, bus.ErrNotFound) {
		if err := l.reportMissing(ctx, record, record); err != nil {
			return s, err
		}
		return s, refuse("$.record", "record %d is missing, and no removal says so", record)
	}
	if err != nil {
		return s, err
	}
	if l.Verify(s); l.isDamaged() {
		return s, refuse("$.record", "record %d is not what was certified", record)
	}
	a := event.ParseSubject(s.Subject)
	if a.Operator == "" {
		return s, refuse("$.record", "record %d belongs to no incident: only records of incidents can be removed by order", record)
	}
	if a.Kind != event.KindGraded {
		return s, nil
	}
	last, err := l.deps.Stream.Last(ctx, "incident.graded."+a.Operator+"."+a.Incident+".*")
	if err == nil && last.Sequence == record {
		return s, refuse("$.record", "record %d is the incident's last revision, on which later ones build: have the operator correct the report first, then remove it", record)
	}
	return s, err
}

// related returns the other records of an incident that may repeat the contents of a
// record.
func (l *Log) related(ctx context.Context, a event.Address, except uint64) ([]uint64, error) {
	var out []uint64
	for _, filter := range filtersOf(a) {
		subjects, err := l.deps.Stream.Subjects(ctx, filter)
		if err != nil {
			return nil, err
		}
		for _, subject := range subjects {
			if kind, _ := event.KindOf(event.ParseSubject(subject).Kind); kind.NoContent {
				continue
			}
			s, err := l.deps.Stream.Last(ctx, subject)
			if err != nil && !errors.Is(err, bus.ErrNotFound) {
				return nil, err
			}
			if err == nil && s.Sequence != except {
				out = append(out, s.Sequence)
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

// filtersOf returns the subjects of all records of an incident: with and without a desk.
func filtersOf(a event.Address) []string {
	of := a.Operator + "." + a.Incident + ".*"
	return []string{"incident.*." + of, "incident.*.*." + of}
}

// commit stores a removal and erases what it removes.
func (l *Log) commit(ctx context.Context, removal event.Removal) (api.RemoveAnswer, error) {
	r, err := event.NewRecord(event.RemovedSubject(removal.First), removal.At, "", removal)
	if err != nil {
		return api.RemoveAnswer{}, err
	}
	results, err := l.deps.Stream.Commit(ctx, []event.Record{r})
	if err != nil {
		return api.RemoveAnswer{}, err
	}
	answer := api.RemoveAnswer{Status: event.StatusAccepted, Record: results[0].Sequence, Removed: removal.Count()}
	if results[0].Existing != nil {
		answer.Status = event.StatusDuplicate
	}
	if err := l.removals.load(ctx, l.deps.Stream); err != nil {
		return api.RemoveAnswer{}, err
	}
	l.deps.Log.Warn("removing records", zap.Uint64("first", removal.First), zap.Uint64("records", removal.Count()),
		zap.String("why", removal.Basis), zap.String("order", removal.Order), zap.String("officer", removal.Officer), zap.Uint64("removal", answer.Record))
	return answer, l.finish(ctx, answer.Record)
}

// finish erases what a certified removal names. It may be repeated.
func (l *Log) finish(ctx context.Context, at uint64) error {
	if cp := l.covers(ctx, at); cp.Size < at {
		return fmt.Errorf("ledger: removal %d is not certified yet: %w", at, bus.ErrUnavailable)
	}
	removal, err := l.removals.read(ctx, l.deps.Stream, at)
	if err != nil {
		return err
	}
	return l.erase(ctx, removal)
}

// erase erases the records that a removal names from the stream. A record that differs
// from the removal's entry stays.
func (l *Log) erase(ctx context.Context, removal *event.Removal) error {
	return l.deps.Stream.Range(ctx, removal.First, removal.Last(), bus.Ahead, func(batch []event.Stored) error {
		for _, s := range batch {
			entry, removed := removal.Entry(s.Sequence)
			if !removed {
				continue
			}
			if entry != s.Entry() {
				l.report(event.Damage{Kind: event.DamageChanged, First: s.Sequence, Last: s.Sequence, Detail: "a removal names another entry than the record has; it was not erased"})
				continue
			}
			erase := l.deps.Stream.Remove // archived records are exported, unchanged
			if removal.Basis != event.BasisRetention {
				erase = l.deps.Stream.Erase
			}
			if err := erase(ctx, s.Sequence); err != nil {
				return err
			}
		}
		return nil
	})
}

// eraseUnfinished finishes interrupted removals: if the engine has more records than it
// should, some were not erased.
func (l *Log) eraseUnfinished(ctx context.Context) error {
	if err := l.removals.load(ctx, l.deps.Stream); err != nil {
		return err
	}
	for _, r := range l.removals.all() {
		if r.record > l.Last().Size {
			continue // nothing is erased before its removal is certified
		}
		state, err := l.deps.Stream.State(ctx)
		if err != nil {
			return err
		}
		if state.Messages+l.removals.total() <= state.Last {
			return nil
		}
		removal, err := l.removals.read(ctx, l.deps.Stream, r.record)
		if err != nil {
			return err
		}
		if err := l.erase(ctx, removal); err != nil {
			return err
		}
	}
	return nil
}

// Archive removes old records that were exported, up to event.MaxRemoved at a time: see
// archivable. The hashes stay, in the
// removal and in the tree.
func (l *Log) Archive(ctx context.Context, q api.ArchiveRequest, req endpoint.Request) (api.RemoveAnswer, error) {
	texts := map[string]string{"$.officer": q.Officer, "$.export": q.Export}
	if q.Try {
		delete(texts, "$.export") // nothing is exported yet
	}
	if err := checkTexts(texts); err != nil {
		return api.RemoveAnswer{}, err
	}
	if q.First == 0 || q.Last < q.First || q.Last > l.Last().Size {
		return api.RemoveAnswer{}, refuse("$.last", "%d to %d is not a range of certified records; the last one is %d", q.First, q.Last, l.Last().Size)
	}
	if l.isDamaged() {
		return api.RemoveAnswer{}, refuse("$", "the record is damaged: nothing can be removed from it")
	}
	l.removing.Lock()
	defer l.removing.Unlock()
	if err := l.eraseUnfinished(ctx); err != nil {
		return api.RemoveAnswer{}, err
	}
	before := l.deps.Keep.Before(machine.Now())
	if s, err := l.deps.Stream.From(ctx, q.Last); err == nil && s.Sequence == q.Last && !s.StoredAt.Before(before) {
		return api.RemoveAnswer{}, refuse("$.last", "record %d was stored at %s: nothing younger than %s is archived (%s)",
			q.Last, s.StoredAt.In(event.Beijing).Format(time.RFC3339), l.deps.Keep, strings.Join(l.deps.Articles, "; "))
	} else if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return api.RemoveAnswer{}, err
	}
	if q.Try {
		return api.RemoveAnswer{Status: event.StatusAccepted}, nil
	}
	last := min(q.Last, q.First+event.MaxRemoved-1)
	removal, kept, err := l.archivable(ctx, q.First, last, before)
	if err != nil {
		return api.RemoveAnswer{}, err
	}
	answer := api.RemoveAnswer{Status: event.StatusAccepted}
	if removal.Count() > 0 {
		removal.Basis, removal.Export, removal.Officer, removal.At = event.BasisRetention, q.Export, q.Officer, l.deps.Clock.Now()
		if removal.Signed, err = l.signed(ctx, req, removal); err != nil {
			return api.RemoveAnswer{}, err
		}
		if answer, err = l.commit(ctx, removal); err != nil {
			return api.RemoveAnswer{}, err
		}
	}
	if answer.Kept = kept; last < q.Last {
		answer.Next = last + 1
	}
	return answer, nil
}

// archivable returns the removal of those of the records first…last that are no longer needed,
// and how many must stay: the rules, the removals, everything of an incident that has
// younger records, and the last revision of any other incident, on which a later report
// would build.
func (l *Log) archivable(ctx context.Context, first, last uint64, before time.Time) (event.Removal, uint64, error) {
	var removal event.Removal
	kept := uint64(0)
	ages := map[[2]string]incidentAge{}
	err := l.deps.Stream.Range(ctx, first, last, bus.Ahead, func(batch []event.Stored) error {
		l.Verify(batch...)
		for _, s := range batch {
			if l.removals.has(s.Sequence) {
				continue // already removed, but not erased yet
			}
			needed, err := l.mustKeep(ctx, s, before, ages)
			if err != nil {
				return err
			}
			if needed {
				kept++
				continue
			}
			if removal.First == 0 {
				removal.First = s.Sequence
			}
			for removal.Last() < s.Sequence-1 && len(removal.Entries) > 0 {
				removal.Entries = append(removal.Entries, evidence.Hash{})
			}
			removal.Entries = append(removal.Entries, s.Entry())
		}
		return nil
	})
	if err == nil && l.isDamaged() {
		err = refuse("$", "the record is damaged: nothing can be removed from it")
	}
	return removal, kept, err
}

// incidentAge tells which records of an incident must stay: whether it has younger ones, and
// its last revision.
type incidentAge struct {
	young    bool
	revision uint64
}

func (l *Log) mustKeep(ctx context.Context, s event.Stored, before time.Time, ages map[[2]string]incidentAge) (bool, error) {
	a := event.ParseSubject(s.Subject)
	switch {
	case !s.StoredAt.Before(before), a.Kind == event.KindRules, a.Kind == event.KindRemoved:
		return true, nil
	case a.Operator == "":
		return false, nil
	}
	of := [2]string{a.Operator, a.Incident}
	age, known := ages[of]
	if !known {
		for _, filter := range filtersOf(a) {
			last, err := l.lastOtherThan(ctx, filter, event.KindRead) // reading an old incident does not make it young
			if err != nil && !errors.Is(err, bus.ErrNotFound) {
				return false, err
			}
			age.young = age.young || err == nil && !last.StoredAt.Before(before)
		}
		revision, err := l.deps.Stream.Last(ctx, "incident.graded."+a.Operator+"."+a.Incident+".*")
		if err != nil && !errors.Is(err, bus.ErrNotFound) {
			return false, err
		}
		age.revision = revision.Sequence
		ages[of] = age
	}
	return age.young || age.revision == s.Sequence, nil
}

// lastOtherThan returns the last record that a filter matches, ignoring records of one kind.
func (l *Log) lastOtherThan(ctx context.Context, filter, kind string) (event.Stored, error) {
	last, err := l.deps.Stream.Last(ctx, filter)
	if err != nil || event.ParseSubject(last.Subject).Kind != kind {
		return last, err
	}
	subjects, err := l.deps.Stream.Subjects(ctx, filter)
	if err != nil {
		return last, err
	}
	last, err = event.Stored{}, bus.ErrNotFound
	for _, subject := range subjects {
		if event.ParseSubject(subject).Kind == kind {
			continue
		}
		s, e := l.deps.Stream.Last(ctx, subject)
		switch {
		case e == nil && s.Sequence > last.Sequence:
			last, err = s, nil
		case e != nil && !errors.Is(e, bus.ErrNotFound):
			return s, e
		}
	}
	return last, err
}
