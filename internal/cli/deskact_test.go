package cli

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/render/rendertest"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

func TestDeskAct_RequestMatchesFlags(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	var got event.DeskAct
	serve(f, api.EndpointIncidents, func(api.IncidentQuery) any { return api.IncidentAnswer{Now: rendertest.Noon} })
	serve(f, api.ActSubject("hall"), func(a event.DeskAct) any {
		got = a
		return api.DeskActAnswer{Status: event.StatusAccepted, Kind: a.Kind, ID: a.ID, Desk: a.Desk, Operator: a.Operator, Incident: a.Incident, At: &rendertest.Noon, Record: 7}
	})
	due := rendertest.Noon.Add(2 * time.Hour)
	base := event.DeskAct{Desk: "hall", Operator: "grid-east", Incident: "inc-1", Officer: "shift", Reason: "because"}
	for _, c := range []struct {
		args []string
		want func(*event.DeskAct)
	}{
		{[]string{"ask", "hall", "grid-east/inc-1", "--item", "cause", "--item", "facts.directLoss", "--within", "PT2H"},
			func(a *event.DeskAct) {
				a.Kind, a.Items, a.DueAt = "asked", []string{"cause", "facts.directLoss"}, &due
			}},
		{[]string{"ask", "hall", "grid-east/inc-1", "--item", "cause", "--by", "2026-03-01T14:00:00+08:00"},
			func(a *event.DeskAct) { a.Kind, a.Items, a.DueAt = "asked", []string{"cause"}, &due }},
		{[]string{"grade", "hall", "grid-east/inc-1", "major"},
			func(a *event.DeskAct) { a.Kind, a.Grade = "determined", event.Major }},
		{[]string{"transfer", "hall", "grid-east/inc-1", "--to", "annex"},
			func(a *event.DeskAct) { a.Kind, a.To = "transferred", "annex" }},
		{[]string{"confirm", "hall", "grid-east/inc-1"}, func(a *event.DeskAct) { a.Kind = "confirmed" }},
		{[]string{"confirm", "hall", "grid-east/inc-1", "--to", "annex"},
			func(a *event.DeskAct) { a.Kind, a.To = "confirmed", "annex" }},
		{[]string{"close", "hall", "grid-east/inc-1"}, func(a *event.DeskAct) { a.Kind = "closed" }},
	} {
		code, out, errOut := f.run(append([]string{"desk"}, append(c.args, "--officer", "shift", "--reason", "because", "--json")...)...)
		require.Equal(t, exitOK, code, errOut)
		answer := decode(t, out)
		keys(t, answer, "status", "kind", "id", "desk", "operator", "incident", "at", "record")
		want := base
		c.want(&want)
		want.ID = answer["id"].(string)
		assert.NotEmpty(t, want.ID)
		if got.DueAt != nil {
			utc := got.DueAt.UTC()
			got.DueAt = &utc
		}
		assert.Equal(t, want, got, c.args)
	}
}

func TestDeskAct_ExitCodes(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	status := ""
	serve(f, api.ActSubject("hall"), func(a event.DeskAct) any {
		return api.DeskActAnswer{Status: status, Kind: a.Kind, Desk: a.Desk, Operator: a.Operator, Incident: a.Incident,
			Errors: []fault.Detail{{Path: "$.reason", Message: "is required"}}}
	})
	for s, want := range map[string]int{
		event.StatusAccepted: exitOK, event.StatusDuplicate: exitOK, event.StatusConflict: exitRefused, event.StatusRejected: exitRefused,
	} {
		status = s
		code, out, _ := f.run("desk", "close", "hall", "grid-east/inc-1", "--officer", "shift")
		assert.Equal(t, want, code, s)
		assert.Contains(t, out, s+"  closed  hall  grid-east/inc-1")
		assert.Contains(t, out, "$.reason: is required")
	}
	for _, wrong := range [][]string{
		{"close", "hall", "grid-east/inc-1"},                                          // no officer
		{"close", "hall", "inc-1", "--officer", "x"},                                  // no operator
		{"ask", "hall", "o/i", "--officer", "x"},                                      // no question
		{"ask", "hall", "o/i", "--officer", "x", "--item", "cause", "--within", "2h"}, // not ISO 8601
		{"ask", "hall", "o/i", "--officer", "x", "--item", "cause", "--by", "soon"},   // not a time
		{"ask", "hall", "o/i", "--officer", "x", "--item", "c", "--by", "2026-01-01", "--within", "PT1H"},
		{"ask", "hall", "o/i", "--officer", "x", "--item", "cause"}, // no due time
		{"grade", "hall", "o/i", "huge", "--officer", "x"},
		{"grade", "hall", "o/i", "ungraded", "--officer", "x"},
		{"grade", "hall", "o/i", "--officer", "x"},
		{"transfer", "hall", "o/i", "--officer", "x"},
		{"handover", "hall", "--within", "a while"},
		{"handover"},
	} {
		code, _, errOut := f.run(append([]string{"desk"}, wrong...)...)
		assert.Equal(t, exitUnreachable, code, wrong)
		assert.NotEmpty(t, errOut)
	}
}

func TestExercise_NeverUsesRealSubjects(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	subs := map[string]*nats.Subscription{}
	for _, subject := range []string{"report.*", "desk.>", "ledger.>", "deadline.>"} {
		sub, err := f.nc.SubscribeSync(subject)
		require.NoError(t, err)
		subs[subject] = sub
	}
	require.NoError(t, f.nc.Flush())
	var running sync.WaitGroup
	for _, args := range [][]string{
		{"report", "--exercise"}, {"desk", "ack", "d", "d.o.i.1", "--officer", "x", "--exercise"}, {"desk", "close", "d", "o/i", "--officer", "x", "--exercise"},
		{"desk", "handover", "d", "--exercise"}, {"desk", "list", "--exercise"}, {"log", "query", "--exercise"}, {"log", "show", "o/i", "--exercise"}, {"owed", "o", "--exercise"},
		{"drill", "report"}, {"drill", "clock"},
	} {
		running.Go(func() {
			code, _, _ := tocsin(t, majorReport, append(args, "--server", f.addr, "--timeout", "200ms")...)
			assert.Equal(t, exitUnreachable, code, "%s: nobody answers in the drill", args)
		})
	}
	running.Wait()
	require.NoError(t, f.nc.Flush(), "what was sent before has arrived")
	for subject, sub := range subs {
		n, _, err := sub.Pending()
		require.NoError(t, err)
		require.Zero(t, n, "messages on %s", subject)
	}
}

func TestDeskList_ShowsScreens(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	serve(f, api.EndpointDesks, func(any) any {
		return api.DesksAnswer{Now: rendertest.Noon, Screens: []api.Screen{
			{Desk: "hall", Client: "wall", Connected: true, SeenAt: &rendertest.Noon, Next: "annex"},
			{Desk: "annex", Client: "default", SeenAt: rendertest.After(-90)},
			{Desk: "attic"},
		}}
	})
	code, out, errOut := f.run("desk", "list")
	require.Equal(t, exitOK, code, errOut)
	assert.Equal(t, `hall                         wall           here  on silence: annex
annex                        default        last seen 2026-03-01 10:30:00.000 +08:00 (1h30m ago)
attic                                       never had a screen
`, out)
	_, out, _ = f.run("desk", "list", "--json")
	first, _, _ := strings.Cut(out, "\n")
	assert.JSONEq(t, `{"desk":"hall","client":"wall","seenAt":"2026-03-01T04:00:00.000Z","here":true,"next":"annex"}`, first)
}
