package intake

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/cloudevent"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// warnLasting adds a warning if a report states that handling has ended while an outage,
// of this report or of an earlier one, has no end.
func (in *Intake) warnLasting(ctx context.Context, e *cloudevent.Event, r *event.Receipt) {
	repeated := r.Status == event.StatusDuplicate
	if r.Status != event.StatusAccepted && !repeated || e.Type != event.TypeFinal && e.Report.HandledAt == nil || e.Report.Imported {
		return
	}
	facts, err := in.known(ctx, r.Operator, r.Incident)
	if err != nil {
		in.unchecked.Add(fmt.Sprintf("whether an outage lasts: %v", err))
	}
	at := *r.ReceivedAt
	if repeated { // the first answer may have been lost; later reports count
		at = in.deps.Clock.Now()
	}
	var given struct {
		Facts map[string]jsontext.Value `json:"facts"`
	}
	if err := json.Unmarshal(e.Data, &given, event.JSON); err != nil {
		return
	}
	for name, take := range map[string]func(){
		"outage":          func() { facts.Outage = e.Report.Facts.Outage },
		"siteUnreachable": func() { facts.SiteUnreachable = e.Report.Facts.SiteUnreachable },
		"defacement":      func() { facts.Defacement = e.Report.Facts.Defacement },
	} {
		if given.Facts[name] != nil && !repeated {
			take()
		}
	}
	for _, path := range event.OngoingFacts(facts, at) {
		r.Warnings = append(r.Warnings, fault.Detail{Path: "$.data." + path, Message: event.OngoingWarning})
	}
}

// known returns the facts that earlier reports state of the incident, as far as it is
// graded.
func (in *Intake) known(ctx context.Context, operator, incident string) (event.Facts, error) {
	last, err := in.deps.Bus.Last(ctx, event.GradedPrefix(operator, incident)+"*")
	if errors.Is(err, bus.ErrNotFound) {
		return event.Facts{}, nil
	}
	if err != nil {
		return event.Facts{}, err
	}
	g, err := event.Decode[struct {
		State event.State `json:"state"`
	}](last)
	if err != nil {
		return event.Facts{}, err
	}
	report, err := event.ParseReport(g.State.Data(func(string) bool { return true }))
	return report.Facts, err
}
