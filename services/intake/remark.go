package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/cloudevent"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// remarks adds the receipt's remarks before a report is stored, since they are part of
// its record: impossible times by its sender's clock, and the duties that it was late
// for.
func (in *Intake) remarks(ctx context.Context, a *event.Accepted, e *cloudevent.Event) {
	r := &e.Report
	w := warner{received: a.ReceivedAt, warnings: e.Warnings}
	if doubt := in.deps.ClockDoubt(); doubt != "" {
		w.warn("$.receivedAt", "may be wrong: %s", doubt)
	}
	a.Warnings = w.warnings
	if r.Imported {
		return // an archive's times are expected to differ
	}
	if a.SentAt != nil {
		w.skew(*a.SentAt, time.Duration(in.deps.Register.ClockTolerance))
	}
	w.report(r)
	a.Warnings = w.warnings
	a.Late = in.late(ctx, a, r)
}

// late returns the duties that the first report of an incident was late for. A later
// report is not late: what had to be told was told, or is owed only since the incident
// became what it is, which the classifier finds.
func (in *Intake) late(ctx context.Context, a *event.Accepted, r *event.Report) []event.Lateness {
	late, err := in.deps.Late(a, r)
	if err == nil && len(late) > 0 {
		var first event.Stored
		first, err = in.deps.Bus.First(ctx, event.AcceptedOf(a.Operator, a.Incident))
		switch {
		case errors.Is(err, bus.ErrNotFound):
			return late
		case err == nil:
			// A report before the first one may have named no facility, and told nobody.
			if before, err := event.Decode[event.Accepted](first); err != nil || before.Type == event.TypeInitial {
				return nil
			}
			return late
		}
	}
	if err != nil {
		// Finding the cause is left to the classifier; a report is not lost because a
		// remark is missing on its receipt.
		in.unchecked.Add(fmt.Sprintf("lateness: %v", err))
	}
	return nil
}

// outlook returns what an initial report lets its operator expect. A receipt is not
// withheld because that is missing on it.
func (in *Intake) outlook(a *event.Accepted, e *cloudevent.Event) event.Outlook {
	if e.Type != event.TypeInitial {
		return event.Outlook{}
	}
	out, err := in.deps.Outlook(a, &e.Report)
	if err != nil {
		in.unchecked.Add(fmt.Sprintf("outlook: %v", err))
	}
	return out
}

// warner collects warnings about a report's times.
type warner struct {
	received time.Time
	warnings []fault.Detail
}

func (w *warner) warn(path, format string, args ...any) {
	w.warnings = append(w.warnings, fault.Detail{Path: path, Message: fmt.Sprintf(format, args...)})
}

// skew warns if the sender's clock differs from ours by more than allowed.
func (w *warner) skew(sent time.Time, allowed time.Duration) {
	switch ahead := sent.Sub(w.received); {
	case ahead > allowed:
		w.warn("$.time", "is %s after the receipt: the sender's clock is wrong; the receipt counts", event.FormatDuration(ahead.Round(time.Millisecond)))
	case -ahead > allowed:
		w.warn("$.time", "is %s before the receipt: the sender's clock is wrong or the report was held up; the receipt counts", event.FormatDuration((-ahead).Round(time.Millisecond)))
	}
}

// report warns of times after the receipt, and says how each counts.
func (w *warner) report(r *event.Report) {
	const asReceipt = "is after the receipt, and counts as the receipt"
	future := func(path string, t *time.Time, counts string) {
		if t != nil && t.After(w.received) {
			w.warn("$.data."+path, "%s", counts)
		}
	}
	future("discoveredAt", r.DiscoveredAt, asReceipt)
	future("occurredAt", r.OccurredAt, "is after the receipt")
	future("handledAt", r.HandledAt, asReceipt)
	if r.HandledAt != nil && r.DiscoveredAt != nil && r.HandledAt.Before(*r.DiscoveredAt) {
		w.warn("$.data.handledAt", "is before the discovery")
	}
	times := func(path string, t event.Times) {
		future(path+".since", t.Since, asReceipt)
		future(path+".until", t.Until, "is after the receipt: until then it counts as not ended")
	}
	for i, o := range r.Facts.Outage {
		times(fmt.Sprintf("facts.outage[%d]", i), o.Times)
	}
	if s := r.Facts.SiteUnreachable; s != nil {
		times("facts.siteUnreachable", s.Times)
	}
	if d := r.Facts.Defacement; d != nil {
		times("facts.defacement", d.Times)
	}
}

// realmFaults returns a fault if a drill's report is of a real incident: the sender meant the
// other endpoint, or gave the drill a real name.
func (in *Intake) realmFaults(ctx context.Context, operator, incident string) ([]fault.Detail, error) {
	if in.deps.Bus.Realm() != event.Drill {
		return nil, nil // a real report is never refused because of a drill
	}
	known, err := in.deps.InOtherRealm(ctx, operator, incident)
	if err != nil || !known {
		return nil, err
	}
	return []fault.Detail{{Path: "$.subject", Message: "is a real incident of this operator: report it without --exercise (report.<operator>, /v1/reports), or give the drill's incident an id of its own"}}, nil
}

// warn adds a warning if a follow-up report is the first of its incident: its id may be
// mistaken, and nobody is told until an initial report names the facilities. It also
// warns if a report is dated before the first one: facts that both state stay as in the
// first one.
func (in *Intake) warn(ctx context.Context, e *cloudevent.Event, r *event.Receipt) {
	in.warnLasting(ctx, e, r)
	if e.Type == event.TypeInitial || r.Status != event.StatusAccepted {
		return
	}
	first, err := in.deps.Bus.First(ctx, event.AcceptedOf(r.Operator, r.Incident))
	if err == nil && first.Sequence != r.Record {
		if before, err := event.Decode[event.Accepted](first); err == nil && !e.Time.IsZero() && e.Time.Before(before.OwnTime()) {
			r.Warnings = append(r.Warnings, fault.Detail{Path: "$.time", Message: "is before that of the first report, " + before.Report +
				": where both speak of one fact, the later time counts; if this report is the newer, send it again under a new id with the time of now"})
		}
		return
	}
	known := false
	if err == nil {
		known, err = in.deps.InOtherRealm(ctx, r.Operator, r.Incident)
	}
	if err != nil {
		in.unchecked.Add(fmt.Sprintf("earlier reports of the incident: %v", err))
		return
	}
	message := "no earlier report of this incident is stored; where none has named a facility, nobody is told until an initial report does"
	if known {
		message += ". A drill has an incident of this id: was this report meant for it?"
	}
	r.Warnings = append(r.Warnings, fault.Detail{Path: "$.subject", Message: message})
}
