package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/render/rendertest"
	"github.com/tocsin-project/tocsin/internal/event"
)

func TestOwed(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	var asked api.IncidentQuery
	serve(f, api.EndpointIncidents, func(q api.IncidentQuery) any {
		asked = q
		if q.Operator == "quiet" {
			return api.IncidentAnswer{Now: rendertest.Noon}
		}
		return api.IncidentAnswer{Now: rendertest.Noon, Rows: []api.IncidentRow{rendertest.Owing}}
	})
	code, out, errOut := f.run("owed", "grid-east", "--incident", "inc-1", "--desk", "hall")
	require.Equal(t, exitOK, code, errOut)
	assert.Equal(t, api.IncidentQuery{Operator: "grid-east", Incident: "inc-1", Desk: "hall", Owed: true}, asked)
	assert.Equal(t, `[late, still owed] grid-east/inc-1  major  items scene  by 2026-03-01 11:30:00.000 +08:00  — Law, art. 8  (law.late)
grid-east/inc-1  major  asked for facts.directLoss  by 2026-03-01 12:30:00.000 +08:00  requested by hall (shift): the loss is missing  (ask-9)
grid-east/inc-1  major  items cause, plan  promptly  — Law, art. 7 [unverified]  (law.items)
grid-east/inc-1  major  report final summary  30 days after handling ends  — Law, art. 9  (law.final)
`, out)

	_, out, _ = f.run("owed", "--json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 4)
	assert.JSONEq(t, `{"operator":"grid-east","incident":"inc-1","grade":"major","id":"law.late","kind":"items","items":["scene"],"report":null,
		"dueAt":"2026-03-01T03:30:00.000Z","within":null,"clock":null,"late":true,"statute":"law","citation":"Law, art. 8","citationZh":null,"confidence":"text",
		"desk":null,"officer":null,"reason":null,"revision":3,"exercise":false}`, lines[0])
	final := decode(t, lines[3])
	assert.Nil(t, final["dueAt"])
	assert.Equal(t, "P30D", final["within"])
	assert.Equal(t, []any{}, final["items"])

	code, out, _ = f.run("owed", "quiet")
	assert.Equal(t, exitOK, code, "nothing owed is no fault")
	assert.Equal(t, "nothing is owed\n", out)
	code, out, _ = f.run("owed", "quiet", "--json")
	assert.Equal(t, exitOK, code)
	assert.Empty(t, out)
	for _, wrong := range [][]string{{"--follow"}, {"--incident", "x"}, {"a", "b"}} {
		code, _, _ = f.run(append([]string{"owed"}, wrong...)...)
		assert.Equal(t, exitUnreachable, code, wrong)
	}
}

func TestOwed_FollowPrintsReminders(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	reminder := event.Reminder{ID: "r1", Operator: "grid-east", Incident: "inc-1", To: "grid-east", Obligation: "law.items", Items: []string{"cause"}, DueAt: *rendertest.After(30), At: rendertest.Noon}
	serve(f, event.Drill.Wire(api.EndpointIncidents), func(api.IncidentQuery) any {
		for _, incident := range []string{"inc-2", "inc-1"} {
			reminder.Incident = incident
			raw, _ := json.Marshal(reminder)
			_ = f.nc.Publish(event.Drill.Wire(api.ReminderOf("grid-east")), raw)
		}
		return api.IncidentAnswer{Now: rendertest.Noon}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errOut bytes.Buffer
	code := Run(ctx, []string{"owed", "grid-east", "--incident", "inc-1", "--follow", "--json", "--exercise", "--server", f.addr},
		nil, writer(func(b []byte) { out.Write(b); cancel() }), &errOut)
	assert.Equal(t, exitOK, code, errOut.String())
	got := decode(t, out.String())
	assert.Equal(t, "reminder", got["kind"])
	assert.Equal(t, "inc-1", got["incident"], "the other incident's is not shown")
	assert.Equal(t, "2026-03-01T04:30:00.000Z", got["dueAt"])
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

func TestHandover(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	row := func(incident, state string) api.EscalationRow {
		return api.EscalationRow{Escalation: "hall.grid-east." + incident + ".1", Desk: "hall", Operator: "grid-east", Incident: incident,
			Grade: event.Major, Act: event.ActReport, From: "grid-east", ReportedAt: rendertest.Noon, AcknowledgeBy: rendertest.After(30), State: state}
	}
	silent := row("inc-3", api.StateOpen)
	silent.Act, silent.From = event.ActNotice, "annex"
	silent.Notice = &event.Notice{Kind: event.NoticeOverdue, Desk: "annex", Escalation: "annex.grid-east.inc-3.1", Since: rendertest.After(-60), AcknowledgeBy: rendertest.After(-30)}
	serve(f, api.EndpointQuery, func(q api.Query) any {
		if q.Desk != "hall" || !q.Unacknowledged {
			return api.QueryAnswer{}
		}
		return api.QueryAnswer{Rows: []api.EscalationRow{row("inc-1", api.StateOpen), row("inc-2", api.StateOverdue), silent}}
	})
	serve(f, api.EndpointIncidents, func(q api.IncidentQuery) any {
		if q.Desk != "hall" || !q.Open {
			return api.IncidentAnswer{Now: rendertest.Noon}
		}
		return api.IncidentAnswer{Now: rendertest.Noon, Rows: []api.IncidentRow{rendertest.Owing}}
	})
	serve(f, api.EndpointDesks, func(any) any { return api.DesksAnswer{Screens: []api.Screen{{Desk: "attic"}}} })

	code, out, errOut := f.run("desk", "handover", "hall", "--json")
	require.Equal(t, exitOK, code, errOut)
	h := decode(t, out)
	assert.Equal(t, "2026-03-01T04:00:00.000Z", h["at"], "the server's time")
	for list, want := range map[string]int{"open": 2, "overdue": 1, "rising": 1, "held": 1, "owed": 4} {
		assert.Len(t, h[list], want, list)
	}
	keys(t, h["held"].([]any)[0].(map[string]any), "operator", "incident", "to", "since", "remind", "until")
	_, out, _ = f.run("desk", "handover", "hall", "--within", "PT59M", "--json")
	assert.Empty(t, decode(t, out)["rising"])

	_, out, _ = f.run("desk", "handover", "hall")
	for _, want := range []string{
		"hand-over  hall  2026-03-01 12:00:00.000 +08:00\n", "\noverdue (1)\n", "\nopen (1)\n", "\ngrade rises within 1d (1)\n",
		"  2026-03-01 13:00:00.000 +08:00  grid-east/inc-1  major → especially grave  outage\n",
		"awaits confirmation and is sent at 2026-03-01 12:44:00.000 +08:00 as unverified; tocsin desk confirm hall grid-east/inc-1 --to national --officer POST\n",
		"\nowed (4)\n", "respond (1)\n", "annex has not acknowledged annex.grid-east.inc-3.1",
	} {
		assert.Contains(t, out, want)
	}
	code, out, _ = f.run("desk", "handover", "attic")
	assert.Equal(t, exitOK, code, "a quiet desk")
	assert.Contains(t, out, "open (0)")
	code, _, errOut = f.run("desk", "handover", "halll")
	assert.Equal(t, exitRefused, code, "a mistyped desk is not a quiet one")
	assert.Contains(t, errOut, `no desk "halll"`)
}

func TestDrillReport(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	row := func(desk string, revision int, ack int, state string) api.EscalationRow {
		r := api.EscalationRow{Escalation: desk + ".grid-east.inc-1", Desk: desk, Operator: "grid-east", Incident: "inc-1", Revision: revision,
			Grade: event.Major, Act: event.ActReport, From: "grid-east", ReportedAt: rendertest.Noon, DueAt: rendertest.After(-12), Late: true, AcknowledgeBy: rendertest.After(30), State: state, Exercise: true,
			Duties: []event.Duty{{From: "grid-east", LateBy: rendertest.Minutes(12), Citation: "Law, art. 4", Confidence: event.ConfidenceText}}}
		if ack > 0 {
			r.AcknowledgedAt, r.AcknowledgedBy = rendertest.After(ack), "shift"
		}
		return r
	}
	var since *time.Time
	serve(f, event.Drill.Wire(api.EndpointQuery), func(q api.Query) any {
		since = q.Since
		return api.QueryAnswer{Rows: []api.EscalationRow{
			row("hall", 1, 4, api.StateAcknowledged), row("annex", 1, 0, api.StateOverdue), row("hall", 2, 40, api.StateAcknowledgedLate),
		}}
	})
	serve(f, event.Drill.Wire(api.EndpointIncidents), func(api.IncidentQuery) any {
		return api.IncidentAnswer{Now: rendertest.Noon, Rows: []api.IncidentRow{rendertest.Owing}}
	})
	code, out, errOut := f.run("drill", "report", "--json", "--since", "2026-03-01")
	require.Equal(t, exitOK, code, errOut)
	assert.Equal(t, rendertest.Noon.Add(-12*time.Hour), since.UTC())
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 4)
	first := decode(t, lines[0])
	for k, v := range map[string]any{"kind": "escalation", "lateBy": "PT12M", "acknowledgedAfter": "PT4M", "overdue": false, "acknowledgedBy": "shift"} {
		assert.Equal(t, v, first[k], k)
	}
	assert.Equal(t, true, decode(t, lines[2])["overdue"], "acknowledged, but after the target")
	sum := decode(t, lines[3])
	assert.Equal(t, "summary", sum["kind"])
	assert.Equal(t, map[string]any{"desk": "hall", "escalations": 2., "inTime": 1., "acknowledgedLate": 1., "overdue": 0., "open": 0., "late": 2., "lateBySender": 2., "delayedHere": 0., "notices": 0., "median": "PT22M", "slowest": "PT40M"},
		sum["desks"].([]any)[1])
	assert.Equal(t, map[string]any{"operator": "grid-east", "incidents": 1., "lateReports": 2., "latestBy": "PT12M", "lateByCorrection": 0.}, sum["operators"].([]any)[0],
		"two revisions late, one of them for two desks")
	assert.Len(t, sum["owed"], 4)

	_, out, _ = f.run("drill", "report")
	for _, want := range []string{"drill report", "shift 2026-03-01 12:04:00.000 +08:00 (4m)", "late by 12m, Law, art. 4", "told 2, acknowledged in time 1, late 1, overdue 0, open 0", "median 22m, slowest 40m", "late reports 2  by up to 12m"} {
		assert.Contains(t, out, want)
	}
}

// With the real server: a drill runs the whole path, and the real record does not change.
func TestDrill_EndToEnd(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	ask := func(stdin string, args ...string) string {
		t.Helper()
		code, out, errOut := tocsin(t, stdin, append(args, "--server", s.url(), "--lang", "en")...)
		require.Equal(t, exitOK, code, out+errOut)
		return out
	}
	assert.Equal(t, true, decode(t, ask(majorReport, "report", "--exercise", "--json"))["exercise"])
	require.Eventually(t, func() bool {
		return strings.Contains(ask("", "log", "query", "--exercise", "--desk", "protection-energy"), "[drill]")
	}, 30*time.Second, 50*time.Millisecond)
	assert.True(t, strings.HasPrefix(ask("", "desk", "ack", "protection-energy", "protection-energy.grid-east.inc-1.1", "--officer", "shift", "--exercise"), "[drill] accepted"))
	ask("", "desk", "ask", "protection-energy", "grid-east/inc-1", "--item", "cause", "--within", "PT2H", "--officer", "shift", "--reason", "missing", "--exercise")
	require.Eventually(t, func() bool {
		return strings.Contains(ask("", "owed", "grid-east", "--exercise"), "asked for cause")
	}, 30*time.Second, 50*time.Millisecond)
	page := decode(t, ask("", "desk", "handover", "protection-energy", "--exercise", "--json"))
	assert.Equal(t, true, page["exercise"])
	assert.NotEmpty(t, page["owed"])
	assert.Contains(t, ask("", "log", "show", "grid-east/inc-1", "--exercise"), "asked for more  protection-energy  shift  cause")
	lines := strings.Split(strings.TrimSpace(ask("", "drill", "report", "--json")), "\n")
	sum := decode(t, lines[len(lines)-1])
	assert.Equal(t, "summary", sum["kind"])
	assert.EqualValues(t, len(lines)-1, sum["escalations"])

	assert.Empty(t, ask("", "log", "query"))
	assert.Equal(t, "nothing is owed\n", ask("", "owed"))
	assert.Contains(t, ask("", "desk", "handover", "protection-energy"), "open (0)")
	code, _, _ := tocsin(t, "", "log", "show", "grid-east/inc-1", "--server", s.url())
	assert.Equal(t, exitRefused, code)
}
