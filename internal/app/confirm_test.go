package app_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// beginConfirming starts with a protection department for energy that confirms its
// forwards.
func startConfirming(t *testing.T, dir string, hours int) *world {
	t.Helper()
	file := registerWith(t, `forward: automatic, authority: "Example authorisation 2025-1, energy"`, `forward: confirm, authority: "Example authorisation 2025-1, energy"`)
	return startWorldIn(t, dir, func(c *app.Config) {
		c.Rulebook = rules(t, "", file)
		c.Clock.(*clock.Manual).Advance(time.Duration(hours) * time.Hour)
	})
}

// act does an act on the incident and requires it to be accepted.
func (w *world) act(a event.DeskAct) *api.DeskActAnswer {
	w.t.Helper()
	answer := w.try(a)
	require.Equal(w.t, event.StatusAccepted, answer.Status, "%+v", answer.Errors)
	return answer
}

func (w *world) try(a event.DeskAct) *api.DeskActAnswer {
	w.t.Helper()
	if a.Operator == "" {
		a.Operator, a.Incident = at, inc
	}
	if a.Officer == "" {
		a.Officer = "duty-officer"
	}
	if a.Reason == "" {
		a.Reason = "looked at"
	}
	answer, err := w.client.Act(w.t.Context(), a)
	require.NoError(w.t, err)
	return answer
}

// refused requires an act to be refused, with one fault at a path.
func (w *world) refused(path string, a event.DeskAct) {
	w.t.Helper()
	answer := w.try(a)
	require.Equal(w.t, event.StatusRejected, answer.Status)
	require.Len(w.t, answer.Errors, 1, "%+v", answer.Errors)
	require.Equal(w.t, path, answer.Errors[0].Path)
}

// escalations lists how often each desk was told of the incident, without
// notices.
func (h *history) tellings() map[string]int {
	out := map[string]int{}
	for _, e := range h.escalated {
		if e.Operator == at && e.Act != event.ActNotice {
			out[e.Desk]++
		}
	}
	return out
}

// held requires both forwards of protection-energy to await a person, until 09:27.
func (w *world) held() {
	w.t.Helper()
	h := w.settled()
	g := h.last(w.t, at, inc)
	require.Equal(w.t, event.Major, g.Grade)
	require.Equal(w.t, regional, desks(g), "nobody else is told at once")
	require.Len(w.t, g.PendingForwards, 2)
	for i, to := range []string{"national-cyberspace", "national-public-security"} {
		require.Equal(w.t, "protection-energy", g.PendingForwards[i].Desk)
		require.Equal(w.t, to, g.PendingForwards[i].To)
		require.True(w.t, g.PendingForwards[i].Since.Equal(nine))
		require.True(w.t, g.PendingForwards[i].Remind.Equal(clockTime(w.t, "09:15")), "half of half an hour")
		require.True(w.t, g.PendingForwards[i].Until.Equal(clockTime(w.t, "09:27")), "nine tenths of it")
	}
	require.Equal(w.t, g.PendingForwards, h.told(g, "protection-energy").PendingForwards, "the desk sees what it holds")
	require.Empty(w.t, h.told(g, "sh-public-security").PendingForwards, "and no other does")
	var kinds []string
	for name := range w.awaitTimers() {
		kind, _, _ := strings.Cut(name, ".")
		kinds = append(kinds, kind)
	}
	require.ElementsMatch(w.t, []string{"escalation", "escalation", "elapsed", "reminder", "reminder"}, kinds)
}

// noForward requires that no timer of the forwards is left.
func (w *world) noForward() {
	w.t.Helper()
	for name := range w.awaitTimers() {
		require.True(w.t, strings.HasPrefix(name, "escalation."), name)
	}
}

func TestForward_NotConfirmed(t *testing.T) {
	t.Parallel()
	w := startConfirming(t, t.TempDir(), 0)
	w.report("initial", at, inc, "r1", onSite+`"title":"调度中断",`+grave)
	w.held()

	w.at("09:15")
	h := w.fireUntil("the desk is reminded", func(h *history) bool { return len(h.reminded) == 2 })
	noticed := map[string]bool{}
	for _, r := range w.query(api.Query{Desk: "protection-energy", Operator: at}) {
		if r.Act != event.ActNotice {
			continue
		}
		require.Equal(t, event.NoticeReminder, r.Notice.Kind)
		require.Equal(t, "protection-energy", r.Notice.Desk)
		require.True(t, r.Notice.Until.Equal(clockTime(t, "09:27")))
		require.NotContains(t, h.raw(t, "incident.escalated."+r.Escalation), "调度中断")
		noticed[r.Notice.Forward] = true
	}
	require.Equal(t, map[string]bool{"national-cyberspace": true, "national-public-security": true}, noticed)
	require.Equal(t, map[string]int{"protection-energy": 1, "sh-public-security": 1}, h.tellings())

	w.at("09:27")
	w.clock.Advance(-time.Millisecond)
	w.awaitTimers()
	w.fire()
	require.Len(t, w.settled().graded[at+"/"+inc], 1, "not one millisecond early")
	w.clock.Advance(time.Millisecond)
	h = w.fireUntil("it goes without a person", func(h *history) bool { return len(h.graded[at+"/"+inc]) == 2 })
	g := h.last(t, at, inc)
	require.Equal(t, all4[:2], desks(g), "it is no news to the others")
	require.Empty(t, g.PendingForwards)
	for desk, told := range map[string]*event.Escalated{"cyberspace": h.told(g, all4[0]), "public-security": h.told(g, all4[1])} {
		require.Equal(t, map[string]string{"cn-csirm-2025/protection-to-national-" + desk: "09:30"}, dueTimes(told.Duties))
		require.Equal(t, event.ActForward, told.Act)
		require.Equal(t, "protection-energy", told.From)
		require.Equal(t, &event.OnBehalf{ActedBy: "tocsin", Authority: "Example authorisation 2025-1, energy"}, told.Duties[0].OnBehalf, "unverified")
		require.True(t, told.ReportedAt.Equal(clockTime(t, "09:27")))
		require.False(t, told.Late, "that is what nine tenths are for")
		require.Contains(t, string(told.Report), "调度中断")
	}
	w.noForward()
	w.refused("$.incident", event.DeskAct{Kind: event.KindConfirmed, Desk: "protection-energy"}) // too late
	h = w.runFor(time.Hour)
	require.Equal(t, map[string]int{"protection-energy": 1, "sh-public-security": 1, all4[0]: 1, all4[1]: 1}, h.tellings())
	require.Len(t, h.reminded, 2)
}

func TestForward_Confirmed(t *testing.T) {
	t.Parallel()
	w := startConfirming(t, t.TempDir(), 0)
	w.report("initial", at, inc, "r1", onSite+grave)
	w.held()
	w.refused("$.incident", event.DeskAct{Kind: event.KindConfirmed, Desk: "sh-public-security"}) // holds nothing
	w.refused("$.to", event.DeskAct{Kind: event.KindConfirmed, Desk: "protection-energy", To: "sh-cyberspace"})

	w.at("09:10")
	w.act(event.DeskAct{Kind: event.KindConfirmed, Desk: "protection-energy", To: "national-cyberspace", Officer: "head-of-duty"})
	h := w.settled()
	g := h.last(t, at, inc)
	require.Equal(t, []string{"national-cyberspace", "protection-energy"}, heldOr(g), "the other one still waits")
	told := h.told(g, "national-cyberspace")
	require.Equal(t, &event.OnBehalf{ActedBy: "tocsin", Authority: "Example authorisation 2025-1, energy", Verified: true, Officer: "head-of-duty"}, told.Duties[0].OnBehalf)
	require.True(t, told.ReportedAt.Equal(clockTime(t, "09:10")))
	require.Equal(t, "09:30", dueTimes(told.Duties)["cn-csirm-2025/protection-to-national-cyberspace"], "a confirmation moves no due time")
	require.Equal(t, "head-of-duty", g.Cause.Officer)

	w.at("09:12")
	w.act(event.DeskAct{Kind: event.KindConfirmed, Desk: "protection-energy"})
	h = w.settled()
	g = h.last(t, at, inc)
	require.Equal(t, []string{"national-public-security"}, desks(g))
	require.True(t, h.told(g, "national-public-security").Duties[0].OnBehalf.Verified)
	w.noForward()
	w.refused("$.incident", event.DeskAct{Kind: event.KindConfirmed, Desk: "protection-energy"}) // nothing is left
	h = w.runFor(24 * time.Hour)
	require.Empty(t, h.reminded)
	require.Equal(t, map[string]int{"protection-energy": 1, "sh-public-security": 1, all4[0]: 1, all4[1]: 1}, h.tellings())
}

// heldOr lists the desks that a revision tells and those that hold a forward.
func heldOr(g *event.Graded) []string {
	out := desks(g)
	for _, h := range g.PendingForwards {
		out = append(out, h.Desk)
	}
	return out
}

// A desk that disagrees with the grade forwards nothing; if it learns of more afterwards,
// confirmation is required again.
func TestForward_Denied(t *testing.T) {
	t.Parallel()
	w := startConfirming(t, t.TempDir(), 0)
	w.report("initial", at, inc, "r1", onSite+grave)
	w.held()
	w.at("09:10")
	w.refused("$.desk", event.DeskAct{Kind: event.KindDetermined, Desk: "sh-public-security", Grade: event.General}) // may not
	w.act(event.DeskAct{Kind: event.KindDetermined, Desk: "protection-energy", Grade: event.General, Officer: "head-of-duty", Reason: "only a test system"})
	h := w.settled()
	g := h.last(t, at, inc)
	require.Equal(t, event.General, g.Grade)
	require.Equal(t, event.Major, g.Peak)
	require.Empty(t, g.PendingForwards)
	require.Equal(t, regional, desks(g))
	for _, desk := range regional {
		told := h.told(g, desk)
		require.Equal(t, event.ChangeLowered, told.Change.Kind)
		require.Contains(t, told.Change.Reason, "only a test system")
		require.Equal(t, "head-of-duty", told.Determined.Officer)
	}
	w.noForward()
	h = w.runFor(1000 * time.Hour)
	require.Equal(t, map[string]int{"protection-energy": 2, "sh-public-security": 2}, h.tellings(), "nobody else, ever")
	require.Empty(t, h.reminded)
	require.Empty(t, h.elapsed)

	since := w.clock.Now()
	w.report("progress", at, inc, "r2", `"facts":{"peopleAffected":10000000}`)
	h = w.settled()
	g = h.last(t, at, inc)
	require.Equal(t, event.EspeciallyGrave, g.Grade, "what was not known then counts")
	require.Len(t, g.PendingForwards, 2)
	require.True(t, g.PendingForwards[0].Since.Equal(since))
	require.Equal(t, regional, desks(g))
	w.awaitTimers()
	w.clock.Advance(27 * time.Minute)
	h = w.fireUntil("it goes without a person", func(h *history) bool { return h.tellings()["national-cyberspace"] == 1 })
	require.False(t, h.told(h.last(t, at, inc), "national-cyberspace").Duties[0].OnBehalf.Verified)
}

// A withdrawn incident is not forwarded; a rise by time alone is held too, and is
// forwarded at its own time although the server was down.
func TestForward_CausedByTimeAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := startConfirming(t, dir, 0)
	w.report("initial", at, "other", "r1", onSite+grave)
	w.report("withdrawal", at, "other", "r2", `"reason":"false-alarm"`)
	w.at("09:20")
	w.report("initial", at, inc, "r1", discovered+lasting("09:00"))
	w.awaitTimers()
	w.shutdown()
	w = startConfirming(t, dir, 7)
	h := w.fireUntil("all are told", func(h *history) bool { return h.tellings()["national-public-security"] == 2 })
	revisions := h.graded[at+"/"+inc]
	require.Len(t, revisions, 4, "reported, an hour, nine tenths of half an hour more, six hours")
	require.Len(t, revisions[1].PendingForwards, 2)
	require.Equal(t, regional, desks(revisions[1]))
	require.Empty(t, revisions[2].PendingForwards)
	require.Equal(t, all4[:2], desks(revisions[2]))
	require.True(t, revisions[2].At.Equal(clockTime(t, "10:27")))
	require.Equal(t, event.EspeciallyGrave, revisions[3].Grade)
	require.Equal(t, all4, desks(revisions[3]), "a leg that was told once is open")
	told := h.told(revisions[2], "national-cyberspace")
	require.Equal(t, map[string]string{"cn-csirm-2025/protection-to-national-cyberspace": "10:30"}, dueTimes(told.Duties))
	require.True(t, told.Late, "the server was down")
	h = w.runFor(1000 * time.Hour)
	require.Len(t, h.graded[at+"/other"], 2)
	require.Empty(t, h.last(t, at, "other").PendingForwards)
	var toldOther []string
	for _, e := range h.escalated {
		if e.Incident == "other" && e.Act != event.ActNotice && !slices.Contains(toldOther, e.Desk) {
			toldOther = append(toldOther, e.Desk)
		}
	}
	require.ElementsMatch(t, regional, toldOther)
}
