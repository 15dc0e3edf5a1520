package app_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
)

const toNet = "sh-cyberspace.grid-east.2026-17.1"

func TestTransfer_TellsTheCompetentDesk(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.report("initial", at, inc, "r1", `"facilities":["office-portal"],"title":"门户","ownGrade":"relatively-large"`)
	require.Equal(t, []string{"sh-cyberspace"}, desks(w.settled().last(t, at, inc)))
	w.refused("$.to", event.DeskAct{Kind: event.KindTransferred, Desk: "sh-cyberspace", To: "nowhere"})
	w.refused("$.to", event.DeskAct{Kind: event.KindTransferred, Desk: "sh-cyberspace", To: "sh-cyberspace"})
	w.refused("$.incident", event.DeskAct{Kind: event.KindTransferred, Desk: "bj-cyberspace", To: "sh-cyberspace"})

	w.at("09:10")
	w.act(event.DeskAct{Kind: event.KindTransferred, Desk: "sh-cyberspace", To: "protection-energy", Officer: "head-of-duty", Reason: "theirs"})
	h := w.settled()
	g := h.last(t, at, inc)
	require.Equal(t, []string{"protection-energy"}, desks(g), "no news to the one that hands on")
	told := h.told(g, "protection-energy")
	require.Equal(t, event.ActTransfer, told.Act)
	require.Equal(t, "sh-cyberspace", told.From)
	require.Equal(t, "theirs", told.Transfer.Reason)
	require.Equal(t, "head-of-duty", told.Transfer.Officer)
	require.Empty(t, told.Duties, "no article demands it")
	require.Nil(t, told.DueAt)
	require.Contains(t, string(told.Report), "门户")
	row := w.row("protection-energy.grid-east.2026-17.2")
	require.Equal(t, event.ActTransfer, row.Act)
	require.True(t, row.AcknowledgeBy.Equal(clockTime(t, "09:40")), "the house's target runs")
	require.Equal(t, []string{"protection-energy", "sh-cyberspace"}, w.incident(at, inc).Desks)

	// It is kept up to date from then on, and may act.
	w.report("progress", at, inc, "r2", `"cause":"switch"`)
	g = w.settled().last(t, at, inc)
	require.Equal(t, []string{"protection-energy", "sh-cyberspace"}, desks(g))
	require.Equal(t, event.ActUpdate, w.past.told(g, "protection-energy").Act)
	w.act(event.DeskAct{Kind: event.KindTransferred, Desk: "protection-energy", To: "sh-cyberspace", Reason: "no, yours"})
	g = w.settled().last(t, at, inc)
	require.Equal(t, []string{"sh-cyberspace"}, desks(g))
	require.Equal(t, event.ActTransfer, w.past.told(g, "sh-cyberspace").Act)
	require.Equal(t, []string{"accepted", "graded", "escalated", "transferred", "graded", "escalated", "accepted", "graded", "escalated", "escalated", "transferred", "graded", "escalated"}, w.story(at, inc))

	w.awaitTimers()
	w.at("09:40")
	w.fireUntil("its silence is known", func(h *history) bool { return h.overdue["protection-energy.grid-east.2026-17.2"] != nil })
}

func TestDetermine_SetsTheGrade(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.report("initial", at, inc, "r1", `"facilities":["office-portal"],"ownGrade":"relatively-large"`)
	w.settled()
	w.at("09:10")
	w.refused("$.grade", event.DeskAct{Kind: event.KindDetermined, Desk: "sh-cyberspace"})
	w.act(event.DeskAct{Kind: event.KindDetermined, Desk: "sh-cyberspace", Grade: event.Major, Officer: "head-of-duty", Reason: "wider than it seems"})
	h := w.settled()
	g := h.last(t, at, inc)
	require.Equal(t, event.Major, g.Grade)
	require.Equal(t, event.ChangeRaised, g.Change.Kind)
	require.Contains(t, g.Change.Reason, "wider than it seems")
	require.Equal(t, []string{"national-cyberspace", "sh-cyberspace", "sh-public-security"}, desks(g), "it routes like any grade")
	national := w.row("national-cyberspace.grid-east.2026-17.2")
	require.Equal(t, "sh-cyberspace", national.From)
	require.True(t, national.DueAt.Equal(clockTime(t, "10:10")), "an hour from when it was graded so")
	require.Equal(t, event.Major, national.Grade)
	require.Contains(t, h.raw(t, "incident.escalated.national-cyberspace.grid-east.2026-17.2"), `"determined"`)

	// The operator's word does not move it, nor does a lower level's; time and
	// the national department do.
	w.at("09:20")
	w.report("progress", at, inc, "r2", `"ownGrade":"general"`)
	require.Equal(t, event.Major, w.settled().last(t, at, inc).Grade)
	w.act(event.DeskAct{Kind: event.KindDetermined, Desk: "national-cyberspace", Grade: event.RelativelyLarge, Reason: "it is not"})
	g = w.settled().last(t, at, inc)
	require.Equal(t, event.RelativelyLarge, g.Grade)
	require.Equal(t, event.Major, g.Peak)
	require.Equal(t, event.ChangeLowered, g.Change.Kind)
	require.Equal(t, []string{"national-cyberspace", "sh-cyberspace", "sh-public-security"}, desks(g), "to everyone told; nothing is recalled")
	w.act(event.DeskAct{Kind: event.KindDetermined, Desk: "sh-cyberspace", Grade: event.EspeciallyGrave, Reason: "it is"})
	g = w.settled().last(t, at, inc)
	require.Equal(t, event.RelativelyLarge, g.Grade, "the higher level's stands")
	require.Equal(t, "national-cyberspace", g.State.Determined.Desk)
}

func TestClose_ByOneDesk(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.report("initial", at, inc, "r1", `"facilities":["office-portal"],"ownGrade":"relatively-large"`)
	w.settled()
	open := api.IncidentQuery{Desk: "sh-cyberspace", Open: true}
	done := event.DeskAct{Kind: event.KindClosed, Desk: "sh-cyberspace", Reason: "dealt with"}
	w.refused("$.incident", done) // nobody has taken it up
	w.ack(toNet, "duty-officer")
	require.Len(t, w.incidents(open), 1)
	w.at("09:30")
	w.act(done)
	require.Empty(t, w.incidents(open))
	row := w.incident(at, inc)
	require.Len(t, row.ClosedBy, 1)
	require.Equal(t, "dealt with", row.ClosedBy[0].Reason)
	require.True(t, row.ClosedBy[0].At.Equal(clockTime(t, "09:30")))
	require.NotEmpty(t, row.Owed, "the operator still owes what it owes")
	require.Len(t, w.settled().graded[at+"/"+inc], 1, "it decides nothing")
	require.Equal(t, []string{"accepted", "graded", "escalated", "acknowledged", "closed"}, w.story(at, inc))

	// What is new brings it back.
	w.report("progress", at, inc, "r2", `"cause":"switch"`)
	w.settled()
	require.Len(t, w.incidents(open), 1)
	require.Empty(t, w.incident(at, inc).ClosedBy)
	require.Empty(t, w.runFor(time.Hour).elapsed)
}
