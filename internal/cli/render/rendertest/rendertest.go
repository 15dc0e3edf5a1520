// Package rendertest has the rows, incidents and escalations on which the tests of the
// commands and of their output agree.
package rendertest

import (
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
)

// Noon is when the fixtures take place.
var Noon = time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)

// After returns the time some minutes after noon.
func After(minutes int) *time.Time {
	t := Noon.Add(time.Duration(minutes) * time.Minute)
	return &t
}

// Minutes returns a duration.
func Minutes(n int) *event.Duration {
	d := event.Duration(time.Duration(n) * time.Minute)
	return &d
}

// Owing is an incident with one obligation of each kind.
var Owing = api.IncidentRow{
	Operator: "grid-east", Incident: "inc-1", Revision: 3, Grade: event.Major, Title: "outage", GradedAt: Noon,
	Next: &event.Next{At: *After(60), Grade: event.EspeciallyGrave},
	Owed: []event.Obligation{
		{ID: "law.final", Kind: event.OwesReport, Report: "final", Within: "P30D", Clock: "handled", Statute: "law", Citation: "Law, art. 9", Confidence: event.ConfidenceText},
		{ID: "law.items", Kind: event.OwesItems, Items: []string{"cause", "plan"}, Statute: "law", Citation: "Law, art. 7", Confidence: event.ConfidenceUnverified},
		{ID: "ask-9", Kind: event.OwesAnswer, Items: []string{"facts.directLoss"}, DueAt: After(30), Desk: "hall", Officer: "shift", Reason: "the loss is missing"},
		{ID: "law.late", Kind: event.OwesItems, Items: []string{"scene"}, DueAt: After(-30), Statute: "law", Citation: "Law, art. 8", Confidence: event.ConfidenceText},
	},
	PendingForwards: []event.PendingForward{
		{Desk: "hall", To: "national", Since: *After(-10), Remind: *After(20), Until: *After(44)},
		{Desk: "other", To: "national", Until: *After(44)},
	},
}

// Told is a row of the desk hall on an incident of grid-east.
func Told(incident string) api.EscalationRow {
	return api.EscalationRow{Escalation: "hall.grid-east." + incident + ".1", Desk: "hall", Operator: "grid-east", Incident: incident, Title: "全站停电",
		Grade: event.Major, Act: event.ActReport, From: "grid-east", ReportedAt: Noon, DueAt: After(60), AcknowledgeBy: After(30), State: api.StateOverdue}
}

// Imported is a row that starts no clock.
func Imported(incident string) api.EscalationRow {
	r := Told(incident)
	r.Imported, r.DueAt, r.AcknowledgeBy, r.State = true, nil, nil, api.StateOpen
	return r
}

// LateTold is an escalation received some minutes after noon and told 72 minutes
// after it, 12 after the law's limit.
func LateTold(received int) *event.Escalated {
	return &event.Escalated{
		ID: "hall.grid-east.i.1", Desk: "hall", Operator: "grid-east", Incident: "i", Revision: 1, Act: event.ActReport, From: "grid-east", Grade: event.Major,
		DueAt: After(60), ReportedAt: *After(72), Late: true, Cause: event.Cause{At: *After(received)},
		Duties: []event.Duty{{From: "grid-east", Desk: "hall", Act: event.ActReport, DueAt: After(60), LateBy: Minutes(12), Citation: "Law, art. 4", Confidence: event.ConfidenceText}},
	}
}
