package render

import (
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
)

// noon is the time of the scenarios of this package's tests.
var noon = time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)

func after(minutes int) *time.Time {
	t := noon.Add(time.Duration(minutes) * time.Minute)
	return &t
}

func minutes(n int) *event.Duration {
	d := event.Duration(time.Duration(n) * time.Minute)
	return &d
}

// owing is an incident with one obligation of each kind.
var owing = api.IncidentRow{
	Operator: "grid-east", Incident: "inc-1", Revision: 3, Grade: event.Major, Title: "outage", GradedAt: noon,
	Next: &event.Next{At: *after(60), Grade: event.EspeciallyGrave},
	Owed: []event.Obligation{
		{ID: "law.final", Kind: event.OwesReport, Report: "final", Within: "P30D", Clock: "handled", Statute: "law", Citation: "Law, art. 9", Confidence: event.ConfidenceText},
		{ID: "law.items", Kind: event.OwesItems, Items: []string{"cause", "plan"}, Statute: "law", Citation: "Law, art. 7", Confidence: event.ConfidenceUnverified},
		{ID: "ask-9", Kind: event.OwesAnswer, Items: []string{"facts.directLoss"}, DueAt: after(30), Desk: "hall", Officer: "shift", Reason: "the loss is missing"},
		{ID: "law.late", Kind: event.OwesItems, Items: []string{"scene"}, DueAt: after(-30), Statute: "law", Citation: "Law, art. 8", Confidence: event.ConfidenceText},
	},
	PendingForwards: []event.PendingForward{
		{Desk: "hall", To: "national", Since: *after(-10), Remind: *after(20), Until: *after(44)},
		{Desk: "other", To: "national", Until: *after(44)},
	},
}
