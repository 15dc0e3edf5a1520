package router

import (
	"context"
	"encoding/json"
	"io/fs"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
	"github.com/tocsin-project/tocsin/schemas"
)

var nine = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)

func in(d time.Duration) *time.Time { t := nine.Add(d); return &t }

func within(d time.Duration) *event.Duration { v := event.Duration(d); return &v }

// stored returns a body as a stored record.
func stored(t *testing.T, subject string, seq uint64, body any) event.Stored {
	t.Helper()
	r, err := event.NewRecord(subject, nine, "", body)
	require.NoError(t, err)
	return event.Stored{Record: r, Sequence: seq, StoredAt: nine}
}

func field(v string) event.Field { return event.Field{Value: jsontext.Value(v), At: nine, Record: 1} }

var known = event.State{Fields: map[string]event.Field{
	"title": field(`"A"`), "leads": field(`"B"`), "cause": field(`null`),
	"facts.outage": field(`[]`), "facts.peopleAffected": field(`5`),
}}

// graded returns a revision that tells two desks.
func graded() *event.Graded {
	return &event.Graded{
		Operator: "grid-east", Incident: "调度", Revision: 7, About: event.AboutIncident, At: nine,
		Assessment: event.Assessment{Grade: event.Major, CouldBe: event.EspeciallyGrave, Hits: []event.Hit{}, Unknown: []event.Unknown{}},
		Peak:       event.EspeciallyGrave, Change: event.Change{Kind: event.ChangeRaised}, State: known,
		Escalations: []event.Escalation{
			{Desk: "one", From: "grid-east", Act: event.ActReport, Designated: true, AcknowledgeDefault: within(30 * time.Minute),
				Duties: []event.Duty{{Duty: "a", Desk: "one", DueAt: in(time.Hour)}, {Duty: "b", Desk: "one"}}},
			{Desk: "two", From: "grid-east", Act: event.ActUpdate, Duties: []event.Duty{}, AcknowledgeDefault: within(30 * time.Minute)},
		},
	}
}

func TestHandle_TellsEachDeskAsDecided(t *testing.T) {
	c := clock.NewManual(nine.Add(2 * time.Hour))
	record := stored(t, event.GradedSubject("grid-east", "调度", 7), 9, graded())
	out, err := handler{clock: c}.Handle(t.Context(), record)
	require.NoError(t, err)
	require.Len(t, out, 2)
	var told [2]event.Escalated
	for i, r := range out {
		require.NoError(t, json.Unmarshal(r.Data, &told[i]))
		require.Equal(t, "incident.escalated."+told[i].ID, r.Subject)
		require.Equal(t, "调度", told[i].Incident)
		require.Equal(t, event.EspeciallyGrave, told[i].Peak)
		require.True(t, told[i].ReportedAt.Equal(nine.Add(2*time.Hour)))
		require.JSONEq(t, `{"title":"A","leads":"B","facts":{"outage":[],"peopleAffected":5}}`, string(told[i].Report))
	}
	require.True(t, told[0].Late, "told an hour after it was due")
	require.Equal(t, in(time.Hour), told[0].DueAt)
	require.True(t, told[0].Designated)
	require.False(t, told[1].Late)
	require.Nil(t, told[1].DueAt)

	// A repeat has the same contents.
	again, err := handler{clock: c}.Handle(t.Context(), record)
	require.NoError(t, err)
	for i := range out {
		require.Equal(t, out[i].Subject, again[i].Subject)
		require.Equal(t, string(out[i].Data), string(again[i].Data))
	}
}

func TestHandle_DisclosesOnlyTheItemsOfADesk(t *testing.T) {
	for _, row := range []struct {
		name  string
		items []string
		want  string
	}{
		{"no items: all", nil, `{"title":"A","leads":"B","facts":{"outage":[],"peopleAffected":5}}`},
		{"some", []string{"title", "cause"}, `{"title":"A"}`},
		{"one fact", []string{"facts.outage"}, `{"facts":{"outage":[]}}`},
		{"every fact", []string{"facts"}, `{"facts":{"outage":[],"peopleAffected":5}}`},
		{"none of what is known", []string{"scene"}, `{}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			require.JSONEq(t, row.want, string(disclose(known, event.Escalation{Items: row.items})))
		})
	}
}

func TestHandle_NoticesHaveOnlyIDsAndTimes(t *testing.T) {
	c := clock.NewManual(nine)
	by := nine.Add(time.Minute)
	for _, row := range []struct {
		name, subject, id string
		body              any
		want              event.Notice
	}{
		{"overdue", "incident.overdue.protection-energy.grid-east.x.2", "national-cyberspace.grid-east.x.o44",
			event.Overdue{Escalation: "protection-energy.grid-east.x.2", Desk: "protection-energy", Operator: "grid-east", Incident: "x", ReportedAt: nine, AcknowledgeBy: by, Next: "national-cyberspace"},
			event.Notice{Kind: event.NoticeOverdue, Desk: "protection-energy", Escalation: "protection-energy.grid-east.x.2", Since: &nine, AcknowledgeBy: &by, Record: 44}},
		{"away", "incident.away.protection-energy.17", "national-cyberspace.grid-east.x.a44",
			event.Away{Escalation: "protection-energy.grid-east.x.2", Desk: "protection-energy", Operator: "grid-east", Incident: "x", Since: nine, AcknowledgeBy: by, Next: "national-cyberspace"},
			event.Notice{Kind: event.NoticeAway, Desk: "protection-energy", Escalation: "protection-energy.grid-east.x.2", Since: &nine, AcknowledgeBy: &by, Record: 44}},
		{"a reminder of a held forward", "incident.reminded.grid-east.x.f1", "protection-energy.grid-east.x.r44",
			event.Reminder{Operator: "grid-east", Incident: "x", To: "protection-energy", Forward: "national-cyberspace", DueAt: by},
			event.Notice{Kind: event.NoticeReminder, Desk: "protection-energy", Forward: "national-cyberspace", Until: &by, Record: 44}},
	} {
		t.Run(row.name, func(t *testing.T) {
			out, err := handler{clock: c, exercise: true}.Handle(t.Context(), stored(t, row.subject, 44, row.body))
			require.NoError(t, err)
			require.Len(t, out, 1)
			e, err := event.Decode[event.Escalated](event.Stored{Record: out[0]})
			require.NoError(t, err)
			require.Equal(t, row.id, e.ID)
			require.Equal(t, event.ActNotice, e.Act)
			require.Equal(t, &row.want, e.Notice)
			require.True(t, e.Exercise)
			require.Nil(t, e.AcknowledgeBy, "a notice starts no clock")
			require.Empty(t, e.Report)
			require.Empty(t, e.Hits)
			require.Empty(t, e.Facilities)
		})
	}
}

// Nobody is notified where the register names no next desk, nor of an operator's reminder.
func TestHandle_NoNoticeWithoutARecipient(t *testing.T) {
	by := nine.Add(time.Minute)
	for subject, body := range map[string]any{
		"incident.overdue.national-cyberspace.grid-east.x.2": event.Overdue{Escalation: "national-cyberspace.grid-east.x.2", Desk: "national-cyberspace", Operator: "grid-east", Incident: "x"},
		"incident.reminded.grid-east.x.o1":                   event.Reminder{Operator: "grid-east", Incident: "x", To: "grid-east", Obligation: "ask-3", DueAt: by},
	} {
		out, err := handler{clock: clock.NewManual(nine)}.Handle(t.Context(), stored(t, subject, 44, body))
		require.NoError(t, err)
		require.Empty(t, out, subject)
	}
}

func TestAcknowledgeBy(t *testing.T) {
	for _, row := range []struct {
		name string
		due  *time.Time
		e    event.Escalation
		want *time.Time
	}{
		{"the desk's own", in(time.Hour), event.Escalation{AcknowledgeWithin: within(5 * time.Minute), AcknowledgeDefault: within(30 * time.Minute)}, in(5 * time.Minute)},
		{"the due time", in(time.Hour), event.Escalation{AcknowledgeDefault: within(30 * time.Minute)}, in(time.Hour)},
		{"the default where it has passed", in(-time.Hour), event.Escalation{AcknowledgeDefault: within(30 * time.Minute)}, in(30 * time.Minute)},
		{"the default where there is none", nil, event.Escalation{AcknowledgeDefault: within(30 * time.Minute)}, in(30 * time.Minute)},
		{"none for an import", nil, event.Escalation{}, nil},
	} {
		require.Equal(t, row.want, acknowledgeBy(nine, row.due, row.e), row.name)
	}
}

func TestHandle_SendsUnhandledRecordsForReview(t *testing.T) {
	u := event.Unhandled{Service: "classifier", Record: 12, Subject: "incident.accepted.grid-east.x.y", Error: "poison",
		Operator: "grid-east", Incident: "x", Desk: "protection-energy", AcknowledgeWithin: event.Duration(10 * time.Minute)}
	out, err := handler{clock: clock.NewManual(nine)}.Handle(t.Context(), stored(t, event.UnhandledSubject("classifier", "grid-east", "x", 12), 13, u))
	require.NoError(t, err)
	require.Len(t, out, 1)
	var e event.Escalated
	require.NoError(t, json.Unmarshal(out[0].Data, &e))
	require.Equal(t, "incident.escalated.protection-energy.grid-east.x.u12", out[0].Subject)
	require.Equal(t, event.Ungraded, e.Grade)
	require.Equal(t, event.ActReview, e.Act)
	require.Equal(t, in(10*time.Minute), e.AcknowledgeBy)
	require.Equal(t, u, *e.Unhandled)
}

// The service as a whole: one desk a record, and an unreadable record is itself sent to a
// desk, in the same way.
func TestRun(t *testing.T) {
	env := bustest.Start(t)
	raw, err := fs.ReadFile(schemas.Registers, "example.yaml")
	require.NoError(t, err)
	reg, err := register.Decode(raw)
	require.NoError(t, err)
	bustest.Background(t, func(ctx context.Context) error {
		return Run(ctx, Deps{Bus: env.Bus, Clock: clock.NewManual(nine), Register: reg})
	})
	good, err := event.NewRecord(event.GradedSubject("grid-east", "调度", 7), nine, "", graded())
	require.NoError(t, err)
	_, err = env.Bus.Commit(t.Context(), []event.Record{
		event.RawRecord("incident.graded.city-clinic.x.1", nine, "", []byte(`{"revision":"one"}`)), good,
	})
	require.NoError(t, err)
	for _, subject := range []string{
		event.EscalatedSubject("one", "grid-east", "调度", "7"), event.EscalatedSubject("two", "grid-east", "调度", "7"),
		"incident.unhandled.router.city-clinic.x.1", "incident.escalated.js-cyberspace.city-clinic.x.u1",
	} {
		require.Eventually(t, func() bool { _, err := env.Bus.Last(t.Context(), subject); return err == nil }, 30*time.Second, time.Millisecond, subject)
	}
}
