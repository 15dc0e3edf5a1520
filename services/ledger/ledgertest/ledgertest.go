// Package ledgertest makes records for the tests of the ledger and its packages.
package ledgertest

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// Nine is nine in the morning at +08:00, when the tests take place.
var Nine = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)

// In returns a time some time after Nine.
func In(d time.Duration) *time.Time { t := Nine.Add(d); return &t }

// Escalated makes the n-th escalation, reported n minutes after Nine, with a target half an
// hour later; change alters it.
func Escalated(n int, change func(*event.Escalated)) event.Record {
	e := event.Escalated{
		Desk: "protection-energy", Operator: "grid-east", Incident: "x", Revision: n, Grade: event.RelativelyLarge, Peak: event.Major,
		Duties:     []event.Duty{{Statute: "test-law-2025", Duty: "d", Desk: "protection-energy", DueAt: In(time.Hour)}},
		ReportedAt: Nine.Add(time.Duration(n) * time.Minute), AcknowledgeBy: In(time.Duration(n+30) * time.Minute), DueAt: In(time.Hour),
		Facilities: []event.Facility{{ID: "dispatch", Region: "310000", Sector: "energy"}}, Report: jsontext.Value(`{"title":"故障"}`),
	}
	if change != nil {
		change(&e)
	}
	e.ID = event.EscalationID(e.Desk, e.Operator, e.Incident, fmt.Sprint(n))
	return Must(event.NewRecord("incident.escalated."+e.ID, e.ReportedAt, "", e))
}

// Acknowledged makes the acknowledgement of the n-th escalation.
func Acknowledged(n int, desk string, at time.Time) event.Record {
	id := event.EscalationID(desk, "grid-east", "x", fmt.Sprint(n))
	return Must(event.NewRecord("incident.acknowledged."+id, at, "", event.Acknowledgement{Escalation: id, Officer: "duty-officer", At: at}))
}

// Must returns the record, and panics on an error.
func Must(r event.Record, err error) event.Record {
	if err != nil {
		panic(err)
	}
	return r
}

// Graded makes a revision of an incident of grid-east; change alters it.
func Graded(incident string, revision int, change func(*event.Graded)) event.Record {
	g := event.Graded{
		Operator: "grid-east", Incident: incident, Revision: revision, At: Nine, About: event.AboutIncident, Peak: event.Major,
		Assessment: event.Assessment{Grade: event.RelativelyLarge, CouldBe: event.EspeciallyGrave},
		State:      event.State{Fields: map[string]event.Field{"title": {Value: jsontext.Value(`"故障"`)}}, Reported: event.Field{At: Nine, Record: 1}},
	}
	if change != nil {
		change(&g)
	}
	return Must(event.NewRecord(event.GradedSubject(g.Operator, incident, revision), Nine, "", g))
}

// Withdrawn makes a revision that of a withdrawn incident.
func Withdrawn(g *event.Graded) {
	g.State.Withdrawn = event.Field{At: Nine.Add(time.Minute), Record: 2}
}

// Owing makes a revision that of an incident with an obligation.
func Owing(g *event.Graded) {
	g.Owed = []event.Obligation{{ID: "a", Kind: event.OwesItems, Items: []string{"cause"}, DueAt: In(time.Hour)}}
}

// OfDesk returns a record of a desk about an incident; last is its last token.
func OfDesk(kind, desk, incident, last string, body any) event.Record {
	return Must(event.NewRecord("incident."+kind+"."+event.EscalationID(desk, "grid-east", incident, last), Nine, "", body))
}

// EscalatedTo makes an escalation of an incident to a desk.
func EscalatedTo(desk, incident, last string, act event.Act) event.Record {
	return OfDesk(event.KindEscalated, desk, incident, last, event.Escalated{
		ID: event.EscalationID(desk, "grid-east", incident, last), Desk: desk, Operator: "grid-east", Incident: incident, Act: act, ReportedAt: Nine,
	})
}

// ClosedBy makes the record of a desk that closed an incident.
func ClosedBy(desk, incident, id string) event.Record {
	return OfDesk(event.KindClosed, desk, incident, id, event.DeskAct{
		Kind: event.KindClosed, ID: id, Desk: desk, Operator: "grid-east", Incident: incident, Officer: "duty-officer", Reason: id, At: Nine,
	})
}

// OverdueAt makes the overdue record of the n-th escalation.
func OverdueAt(n int, at time.Time) event.Record {
	id := event.EscalationID("protection-energy", "grid-east", "x", fmt.Sprint(n))
	return Must(event.NewRecord(event.OverdueSubject(id), at, "", event.Overdue{Escalation: id, At: at}))
}

// Traffic makes the records of some reports, after those made before.
func Traffic(reports, room int, before []event.Stored) []event.Stored {
	seq := uint64(0)
	if len(before) > 0 {
		seq = before[len(before)-1].Sequence
	}
	out := make([]event.Stored, 0, room)
	add := func(subject string, body any) {
		seq++
		at := Nine.Add(time.Duration(seq) * time.Millisecond)
		out = append(out, event.Stored{Record: Must(event.NewRecord(subject, at, "", body)), Sequence: seq, StoredAt: at})
	}
	for range reports {
		incident := fmt.Sprint("i", seq)
		add("incident.accepted.grid-east."+incident+".r1", event.Accepted{Operator: "grid-east", Incident: incident, Event: Filler(2 << 10)})
		add(event.GradedSubject("grid-east", incident, 1), GradedBody(incident, seq))
		for _, desk := range []string{"protection-energy", "national-cyberspace"} {
			id := event.EscalationID(desk, "grid-east", incident, "1")
			by := Nine.Add(time.Hour)
			add("incident.escalated."+id, event.Escalated{
				ID: id, Desk: desk, Operator: "grid-east", Incident: incident, Revision: 1, Grade: event.Major, Peak: event.Major,
				Duties: []event.Duty{Duty, Duty}, ReportedAt: Nine, AcknowledgeBy: &by,
				Facilities: []event.Facility{{ID: "dispatch", Region: "310000", Sector: "energy"}}, Report: Filler(1 << 10),
			})
		}
		id := event.EscalationID("protection-energy", "grid-east", incident, "1")
		add("incident.acknowledged."+id, event.Acknowledgement{Escalation: id, Officer: "duty-officer", At: Nine})
	}
	return out
}

// Duty is a duty with all its texts.
var Duty = event.Duty{
	Statute: "test-law-2025", Duty: "d", From: "grid-east", Desk: "protection-energy", Act: event.ActReport, Facilities: []string{"dispatch"},
	DueAt: In(time.Hour), Citation: "第四条", Quote: strings.Repeat("网络运营者应当及时报告。", 10), Confidence: event.ConfidenceText,
}

// GradedBody makes the body of a revision, as long as they usually are.
func GradedBody(incident string, through uint64) event.Graded {
	g := event.Graded{
		Operator: "grid-east", Incident: incident, Revision: 1, Through: through, At: Nine, About: event.AboutIncident, Peak: event.Major,
		Assessment: event.Assessment{Grade: event.Major, CouldBe: event.EspeciallyGrave, Next: &event.Next{At: Nine.Add(time.Hour), Grade: event.EspeciallyGrave}},
		Duties:     []event.Duty{Duty, Duty},
		Owed:       []event.Obligation{{ID: "a", Kind: event.OwesItems, Items: []string{"cause", "leads"}, DueAt: In(24 * time.Hour)}},
		State:      event.State{Fields: map[string]event.Field{}},
	}
	for _, desk := range []string{"protection-energy", "national-cyberspace"} {
		g.Told = append(g.Told, event.ToldDesk{Desk: desk, Since: 1})
		g.Escalations = append(g.Escalations, event.Escalation{Desk: desk, From: "grid-east", Act: event.ActReport, Duties: []event.Duty{Duty}})
	}
	for _, path := range []string{"title", "impact", "measures", "facts.outage", "facts.peopleAffected", "place"} {
		g.State.Fields[path] = event.Field{Value: Filler(200), At: Nine, Record: 1}
	}
	return g
}

// Filler returns JSON of some number of bytes.
func Filler(bytes int) jsontext.Value {
	return jsontext.Value(`"` + strings.Repeat("x", bytes-2) + `"`)
}

// Revisions returns the numbers of an answer's escalations.
func Revisions(rows []api.EscalationRow) []int {
	out := []int{}
	for _, r := range rows {
		out = append(out, r.Revision)
	}
	return out
}

// Incidents returns the names of an answer's incidents.
func Incidents(a api.IncidentAnswer) []string {
	out := []string{}
	for _, r := range a.Rows {
		out = append(out, r.Incident)
	}
	return out
}

// Dump returns every row of an index.
func Dump(t require.TestingT, db *sql.DB) (lines []string) {
	for _, table := range []string{
		"position", "terms", "postings", "chunks", "incidents", "story", "revisions", "escalations", "told", "outcomes", "desks", "closings",
	} {
		rows, err := db.QueryContext(context.Background(), "SELECT * FROM "+table+" ORDER BY 1, 2") //nolint:gosec // the names of the tables stand above
		require.NoError(t, err)
		columns, err := rows.Columns()
		require.NoError(t, err)
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range into {
				into[i] = &values[i]
			}
			require.NoError(t, rows.Scan(into...))
			lines = append(lines, fmt.Sprint(table, values))
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
	}
	return lines
}

// Anyone returns the context of a caller of a server without identities.
func Anyone(t testing.TB) context.Context {
	return identity.With(t.Context(), identity.Anyone)
}

// AnyRecord draws a record of one of a few incidents and desks; some cannot be read.
func AnyRecord(t *rapid.T) event.Record {
	desk, incident := rapid.SampledFrom([]string{"one", "two"}).Draw(t, "desk"), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "incident")
	number := rapid.IntRange(1, 4).Draw(t, "number")
	at := Nine.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "at")) * time.Hour)
	id := event.EscalationID(desk, "grid-east", incident, fmt.Sprint(number))
	var r event.Record
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0, 1:
		r = Graded(incident, number, rapid.SampledFrom([]func(*event.Graded){nil, Owing, Withdrawn}).Draw(t, "change"))
	case 2, 3:
		act := rapid.SampledFrom([]event.Act{event.ActReport, event.ActUpdate, event.ActNotice, event.ActReview}).Draw(t, "act")
		e := event.Escalated{ID: id, Desk: desk, Operator: "grid-east", Act: act, ReportedAt: at, AcknowledgeBy: In(time.Hour)}
		e.Grade = rapid.SampledFrom([]event.Grade{event.Ungraded, event.Major}).Draw(t, "grade")
		e.Report = jsontext.Value(rapid.SampledFrom([]string{`{"title":"泵房故障"}`, `{"title":"Pump 故"}`, `{}`}).Draw(t, "report"))
		e.Facilities = rapid.SampledFrom([][]event.Facility{nil, {{Region: "310000", Sector: "energy"}}, {{Region: "650100", Sector: "water"}, {Region: "650000", Sector: "energy"}}}).Draw(t, "facilities")
		e.Duties = rapid.SampledFrom([][]event.Duty{nil, {{Statute: "s1"}}, {{Statute: "s1", DueAt: In(0)}, {Statute: "s2"}}}).Draw(t, "duties")
		e.Late = rapid.Bool().Draw(t, "late")
		if rapid.IntRange(0, 4).Draw(t, "untargeted") == 0 {
			e.AcknowledgeBy = nil
		}
		r = Must(event.NewRecord("incident.escalated."+id, Nine, "", e))
	case 4:
		r = Must(event.NewRecord("incident.acknowledged."+id, at, "", event.Acknowledgement{Officer: "duty-officer", At: at}))
	case 5:
		r = Must(event.NewRecord(event.OverdueSubject(id), at, "", event.Overdue{At: at}))
	case 6:
		r = ClosedBy(desk, incident, fmt.Sprint(number))
	default:
		r = Must(event.NewRecord(event.AwaySubject(desk, at), at, "", event.Away{Desk: desk}))
	}
	if rapid.IntRange(0, 9).Draw(t, "readable") == 0 {
		r.Data = []byte("{")
	}
	return r
}
