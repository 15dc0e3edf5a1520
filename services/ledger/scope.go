package ledger

import (
	"context"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/services/ledger/index"
)

// maySeeIncident reports whether the caller may see an incident, given by its tokens.
func (l *Ledger) maySeeIncident(ctx context.Context, operator, incident string) (bool, error) {
	s := identity.Of(ctx).Scope()
	if s.IsAll() {
		return true, nil
	}
	x, _, err := l.caughtUp(ctx)
	if err != nil {
		return false, err
	}
	shown, err := x.Shows(ctx, s, operator, incident)
	return shown, l.indexError(err)
}

// logHidden logs a request for an incident that the caller may not see. The answer is as
// for one that does not exist, for which nothing is logged.
func (l *Ledger) logHidden(ctx context.Context, x *index.Index, operator, incident string) error {
	there, err := x.Shows(ctx, identity.Scope{}, operator, incident)
	if there {
		l.deps.Endpoints.Refused(ctx, "incident "+operator+"."+incident, "this identity may not see it")
	}
	return l.indexError(err)
}

// maySee reports whether the caller may see a record: an operator its own reports, a desk
// what it was told and its own acts, a regulator the records of an incident that it may
// see.
func (l *Ledger) maySee(ctx context.Context, subject string) (bool, error) {
	s, a := identity.Of(ctx).Scope(), event.ParseSubject(subject)
	switch {
	case s.IsAll():
		return true, nil
	case s.Operator != "":
		return a.Kind == event.KindAccepted && a.Operator == event.Token(s.Operator), nil
	case s.Desk != "":
		return a.Desk == event.Token(s.Desk), nil
	case a.Incident == "":
		return false, nil
	}
	return l.maySeeIncident(ctx, a.Operator, a.Incident)
}

// trim removes from an incident's row what does not concern the caller: a desk sees
// nothing of other desks, an operator sees what it owes and which desks were told.
func trim(row *api.IncidentRow, s identity.Scope) {
	switch {
	case s.Operator != "":
		row.PendingForwards, row.ClosedBy = nil, nil
	case s.Desk != "":
		row.Desks = slices.DeleteFunc(row.Desks, func(d string) bool { return d != s.Desk })
		row.ClosedBy = slices.DeleteFunc(row.ClosedBy, func(c api.Closing) bool { return c.Desk != s.Desk })
		row.PendingForwards = slices.DeleteFunc(slices.Clone(row.PendingForwards), func(h event.PendingForward) bool { return h.Desk != s.Desk })
		row.Owed = slices.DeleteFunc(slices.Clone(row.Owed), func(o event.Obligation) bool { return o.Desk != "" && o.Desk != s.Desk })
	}
}

// recordReading records that somebody is shown a report's contents, before they are shown:
// once a day, since its subject is taken only once. Without identities the reader is
// unknown. While writing is frozen because the record is damaged, they are shown all the
// same: then it is most important to look at them.
func (l *Ledger) recordReading(ctx context.Context, operator, incident string, record uint64) error {
	who := identity.Of(ctx)
	if who.Role == identity.Trial || who.Role == identity.Service {
		return nil
	}
	return l.commitReading(ctx, event.Reading{Reader: who.String(), Operator: operator, Incident: incident, Record: record, At: l.deps.Clock.Now()})
}

func (l *Ledger) commitReading(ctx context.Context, reading event.Reading) error {
	if l.deps.Bus.FreezeReason() != "" {
		l.deps.Log.Warn("cannot record who read a report while writing is frozen", zap.String("reader", reading.Reader), zap.Uint64("record", reading.Record))
		return nil
	}
	r, err := event.NewRecord(event.ReadingSubject(reading), reading.At, "", reading)
	if err == nil {
		_, err = l.deps.Bus.Commit(ctx, []event.Record{r})
	}
	return err
}

// recordReadingOf is recordReading for a record that is shown whole, unless it contains no
// report.
func (l *Ledger) recordReadingOf(ctx context.Context, s event.Stored) error {
	a := event.ParseSubject(s.Subject)
	if a.Incident == "" || a.Kind == event.KindRead {
		return nil
	}
	return l.recordReading(ctx, a.Operator, a.Incident, s.Sequence)
}

// recordRangeReading is recordReadingOf for a page of records, which become one range.
func (l *Ledger) recordRangeReading(ctx context.Context, page []event.Stored) error {
	who := identity.Of(ctx)
	switch {
	case len(page) == 0 || who.Role == identity.Trial || who.Role == identity.Service:
		return nil
	case len(page) == 1:
		return l.recordReadingOf(ctx, page[0])
	}
	return l.commitReading(ctx, event.Reading{Reader: who.String(), Record: page[0].Sequence, Last: page[len(page)-1].Sequence, At: l.deps.Clock.Now()})
}

// errHidden returns the error for a record that the caller may not see: the same whether it
// exists, which is logged, or not.
func (l *Ledger) errHidden(ctx context.Context, s event.Stored) error {
	if s.Wire != "" {
		l.deps.Endpoints.Refused(ctx, fmt.Sprintf("record %d", s.Sequence), "this identity may not see it")
	}
	return fault.Invalid(Name, []fault.Detail{{Path: "$.record", Message: fmt.Sprintf("there is no record %d that you may see", s.Sequence)}})
}

// errNotAll refuses raw records to a caller that may not see all of them.
var errNotAll = endpoint.Forbidden("records as they stand are for who may see all of them; ask for the proof of one")
