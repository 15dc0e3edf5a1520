package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

const (
	toEnergy = "protection-energy.grid-east.2026-17.1"
	toPolice = "sh-public-security.grid-east.2026-17.1"
)

func (w *world) ack(escalation, post string) *api.AcknowledgementAnswer {
	w.t.Helper()
	desk, _, _ := strings.Cut(escalation, ".")
	a, err := w.client.Acknowledge(w.t.Context(), desk, escalation, post)
	require.NoError(w.t, err)
	return a
}

// row returns an escalation as a query shows it.
func (w *world) row(escalation string) api.EscalationRow {
	w.t.Helper()
	for _, r := range w.query(api.Query{}) {
		if r.Escalation == escalation {
			return r
		}
	}
	w.t.Fatalf("no row %s", escalation)
	return api.EscalationRow{}
}

// raw returns the body of the record under a subject.
func (h *history) raw(t testing.TB, subject string) string {
	t.Helper()
	for _, s := range h.records {
		if s.Subject == subject {
			return string(s.Data)
		}
	}
	t.Fatalf("no record %s", subject)
	return ""
}

// overdueAt wants an escalation to become overdue exactly at a time of the day.
func (w *world) overdueAt(hhmm, escalation string) *event.Overdue {
	w.t.Helper()
	w.at(hhmm)
	w.clock.Advance(-time.Millisecond)
	w.awaitTimers()
	w.fire()
	require.NotContains(w.t, w.settled().overdue, escalation, "not one millisecond early")
	require.Equal(w.t, api.StateOpen, w.row(escalation).State)
	w.clock.Advance(time.Millisecond)
	h := w.fireUntil(escalation+" is overdue", func(h *history) bool { return h.overdue[escalation] != nil })
	o := h.overdue[escalation]
	require.True(w.t, o.At.Equal(clockTime(w.t, hhmm)))
	require.True(w.t, o.AcknowledgeBy.Equal(o.At))
	r := w.row(escalation)
	require.Equal(w.t, api.StateOverdue, r.State)
	require.True(w.t, r.OverdueAt.Equal(o.At))
	return o
}

func TestOverdue_NextDeskIsToldOnce(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.report("initial", at, inc, "r1", onSite+`"title":"调度中断","cause":"switch",`+large)
	w.settled()
	require.Equal(t, event.StatusAccepted, w.ack(toPolice, "duty-officer").Status)
	timers := w.awaitTimers()
	require.NotContains(t, timers, "escalation."+toPolice, "what is met is cancelled")
	require.Contains(t, timers, "escalation."+toEnergy)

	// Nobody watches: at half of the time the next desk knows.
	w.at("09:20")
	energy := func(a *event.Away) bool { return a.Desk == "protection-energy" }
	h := w.fireUntil("the desk is away", func(h *history) bool { return slices.ContainsFunc(h.away, energy) })
	away := h.away[slices.IndexFunc(h.away, energy)]
	require.Equal(t, "national-cyberspace", away.Next)
	require.Equal(t, toEnergy, away.Escalation)
	require.True(t, away.At.Equal(clockTime(t, "09:20")))

	o := w.overdueAt("09:40", toEnergy)
	require.Equal(t, "national-cyberspace", o.Next)
	require.Equal(t, "protection-energy", o.Desk)
	h = w.runFor(24 * time.Hour)
	require.Equal(t, api.StateAcknowledged, w.row(toPolice).State)

	var notices []api.EscalationRow
	for _, r := range w.query(api.Query{Operator: at}) {
		if r.Act == event.ActNotice {
			require.Equal(t, "national-cyberspace", r.Desk)
			require.Equal(t, api.StateOpen, r.State, "a notice has no target")
			require.Nil(t, r.AcknowledgeBy)
			require.Empty(t, r.Title)
			notices = append(notices, r)
		}
	}
	require.Len(t, notices, 2, "one of the absence, one of the target")
	require.Equal(t, event.NoticeAway, notices[0].Notice.Kind)
	require.Equal(t, event.NoticeOverdue, notices[1].Notice.Kind)
	require.Equal(t, toEnergy, notices[1].Notice.Escalation)
	require.Equal(t, "protection-energy", notices[1].From)
	require.True(t, notices[1].Notice.Since.Equal(nine))
	require.True(t, notices[1].Notice.AcknowledgeBy.Equal(clockTime(t, "09:40")))
	// Ids and times: nothing of what happened, where, or how grave it is.
	texts := []string{h.raw(t, event.OverdueSubject(toEnergy))}
	for _, n := range notices {
		texts = append(texts, h.raw(t, "incident.escalated."+n.Escalation))
	}
	for _, text := range texts {
		for _, no := range []string{"调度中断", "switch", "outage", "dispatch", "relatively", "general", "major", "grave", "cn-", "art.", "《", "PT20M", "energy\"}"} {
			require.NotContains(t, text, no)
		}
	}
	require.NotContains(t, texts[0], "itation", "the house's target is no article")
	require.NotContains(t, texts[0], "tatute")

	// Better late than never, and kept apart.
	rows := w.query(api.Query{Operator: at, Overdue: true})
	require.Len(t, rows, 1)
	require.Equal(t, toEnergy, rows[0].Escalation)
	late := w.ack(toEnergy, "duty-officer")
	require.Equal(t, event.StatusAccepted, late.Status)
	require.Equal(t, api.StateAcknowledgedLate, w.row(toEnergy).State)
	require.Equal(t, event.StatusConflict, w.ack(toEnergy, "deputy").Status)
	require.Empty(t, w.query(api.Query{Operator: at, Overdue: true}))
	require.Empty(t, w.awaitTimers())
	require.Equal(t, []string{"accepted", "graded", "escalated", "escalated", "acknowledged", "escalated", "overdue", "escalated", "acknowledged"}, w.story(at, inc))
}

// An acknowledgement that is stored by its target counts as in time, and a later one does
// not, whether the deadline service learns of it before the timer or after it.
func TestAcknowledgement_AroundItsTarget(t *testing.T) {
	t.Parallel()
	rows := []struct {
		incident string
		after    time.Duration // the target
		state    string
	}{
		{"a-millisecond-before", -time.Millisecond, api.StateAcknowledged},
		{"at-the-target", 0, api.StateAcknowledged},
		{"a-millisecond-after", time.Millisecond, api.StateAcknowledgedLate},
	}
	// The timer waits where it was set, or where the engine moved those of an earlier
	// version.
	for _, moved := range []bool{false, true} {
		t.Run(fmt.Sprint("timers moved: ", moved), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			w := startWorldIn(t, dir, nil)
			for _, row := range rows {
				w.report("initial", at, row.incident, "r1", onSite+large)
			}
			w.awaitTimers()
			w.shutdown()
			// The deadline service does not run now, so that the timers that come due and the
			// acknowledgements wait for it together.
			w = startWorldIn(t, dir, func(c *app.Config) {
				c.Roles = []string{"intake", "classifier", "router", "desk", "ledger"}
			})
			w.at("09:40") // the target
			for _, row := range rows {
				w.clock.Advance(clockTime(t, "09:40").Add(row.after).Sub(w.clock.Now()))
				require.Equal(t, event.StatusAccepted, w.ack(event.EscalationID(duty, at, row.incident, "1"), "duty-officer").Status)
			}
			if moved {
				w.clock.Advance(time.Hour)
				require.NotZero(t, bustest.MoveDue(t, w.env(), w.clock))
			}
			w.shutdown()
			w = startWorldIn(t, dir, func(c *app.Config) { c.Clock.(*clock.Manual).Advance(3 * time.Hour) })
			police := func(incident string) string {
				return event.EscalationID("sh-public-security", at, incident, "1")
			}
			for _, row := range rows {
				w.ack(police(row.incident), "late")
			}
			h := w.runFor(24 * time.Hour)
			for _, row := range rows {
				id := event.EscalationID(duty, at, row.incident, "1")
				require.Equal(t, row.state, w.row(id).State, row.incident)
				require.Equal(t, row.state == api.StateAcknowledgedLate, h.overdue[id] != nil, "%s: one record for each target that passed", row.incident)
				require.Contains(t, h.overdue, police(row.incident))
				require.Equal(t, api.StateAcknowledgedLate, w.row(police(row.incident)).State)
			}
			require.Empty(t, w.timers())
		})
	}
}

func TestTarget_IsSetPerDesk(t *testing.T) {
	t.Parallel()
	file := registerWith(t, "role: protection, level: national, sector: energy", "role: protection, acknowledge: PT5M, level: national, sector: energy")
	w := startWorldIn(t, t.TempDir(), func(c *app.Config) { c.Rulebook = rules(t, "", file) })
	w.report("initial", at, inc, "r1", onSite+large)
	w.settled()
	own, police := w.row(toEnergy), w.row(toPolice)
	require.True(t, own.DueAt.Equal(clockTime(t, "09:40")), "the law's limit is another thing")
	require.True(t, own.AcknowledgeBy.Equal(clockTime(t, "09:05")))
	require.True(t, police.AcknowledgeBy.Equal(*police.DueAt), "the due time where a desk has none of its own")
	w.overdueAt("09:05", toEnergy)
	require.False(t, w.row(toEnergy).Late, "the operator was in time")
	h := w.overdueAt("09:40", toPolice)
	require.Equal(t, "national-public-security", h.Next)
}

// A duty that was late already when told is its sender's lateness; towards the
// desk runs its own target.
func TestLate_IsTheSendersNotTheDesks(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	r := w.report("initial", at, inc, "r1", onSite+`"discoveredAt":"2026-03-02T07:00:00+08:00",`+large)
	require.Len(t, r.Late, 1, "one line of the law, though two desks are owed")
	w.settled()
	for _, id := range []string{toEnergy, toPolice} {
		row := w.row(id)
		require.True(t, row.Late)
		require.True(t, row.DueAt.Equal(clockTime(t, "08:00")))
		require.Equal(t, event.Duration(time.Hour), *row.Duties[0].LateBy)
		require.Contains(t, row.Duties[0].Citation, "art. 4 ¶2")
		require.Equal(t, api.StateOpen, row.State)
		require.True(t, row.AcknowledgeBy.Equal(clockTime(t, "09:30")), "half an hour from reporting")
	}
	require.Contains(t, w.past.raw(t, "incident.escalated."+toEnergy), `"lateBy":"PT1H"`)
	w.at("09:10")
	w.ack(toPolice, "duty-officer")
	require.Equal(t, api.StateAcknowledged, w.row(toPolice).State, "its desk was in time")
	require.True(t, w.row(toPolice).Late)
	w.overdueAt("09:30", toEnergy)
}

// "Promptly" has no number, so it is never late, however long it took.
func TestPromptly_IsNeverLate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := startWorldIn(t, dir, func(c *app.Config) { c.Roles = []string{"intake", "classifier"} })
	r := w.report("initial", "xj-hydro", "threat", "r1", `"facilities":["station-3"],"about":"threat","discoveredAt":"2025-06-01T00:00:00Z"`)
	require.Empty(t, r.Late)
	w.await("it is graded", func() bool { w.read(); return len(w.past.graded) > 0 })
	w.shutdown()
	w = startWorldIn(t, dir, func(c *app.Config) { c.Clock.(*clock.Manual).Advance(50 * time.Hour) })
	w.settled()
	rows := w.query(api.Query{Operator: "xj-hydro"})
	require.Len(t, rows, 3)
	for _, row := range rows {
		require.Nil(t, row.DueAt)
		require.False(t, row.Late)
		require.Equal(t, api.StateOpen, row.State)
		require.True(t, row.AcknowledgeBy.Equal(nine.Add(50*time.Hour+30*time.Minute)), "the house wants an answer all the same")
		for _, d := range row.Duties {
			require.Nil(t, d.DueAt)
			require.Nil(t, d.StrictDueAt)
			require.Nil(t, d.LateBy)
		}
	}
	h := w.runFor(10_000 * time.Hour)
	for _, row := range rows {
		require.Contains(t, h.overdue, row.Escalation, "the house's target, which is no statute's")
	}
	for _, row := range w.query(api.Query{Operator: "xj-hydro"}) {
		require.False(t, row.Late)
	}
}

// Reports from an archive start no clock and wake nobody.
func TestImport_StartsNoClock(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	const n = 240
	type kind struct{ operator, fields string }
	kinds := []kind{
		{at, onSite + `"discoveredAt":"2019-01-01T00:00:00Z","facts":{"outage":[{"scope":"overall","since":"2019-01-01T00:00:00Z"}]}`}, // lasts
		{at, `"facilities":["dispatch","office-portal"],"discoveredAt":"2026-03-02T08:59:59+08:00","facts":{"outage":[{"facility":"dispatch","scope":"main-function","since":"2026-03-02T08:59:00+08:00"}]}`},
		{"xj-hydro", `"facilities":["station-3"],"about":"threat","ownGrade":"major"`},
		{"metro-pay", `"facilities":["clearing"],"discoveredAt":"2024-02-29T12:00:00Z","handledAt":"2024-03-01T12:00:00Z","ownGrade":"relatively-large"`},
		{"ministry-portal", `"facilities":["portal"],"discoveredAt":"2020-01-01T00:00:00Z","ownGrade":"especially-grave","crimeSuspected":true`},
		{at, onSite + `"discoveredAt":"2027-01-01T00:00:00Z","ownGrade":"major"`}, // its clock was wrong even then
	}
	small := kind{"city-clinic", `"facilities":["records"],"discoveredAt":"2021-01-01T00:00:00Z","facts":{"outage":[{"scope":"overall","since":"2021-01-01T00:00:00Z"}]}`}
	large := kind{"city-clinic", `"facilities":["records"],"discoveredAt":"2021-01-01T00:00:00Z","facts":{"siteUnreachable":{"class":"other","since":"2021-01-01T00:00:00Z"}}`}
	accepted := 0
	err := w.client.Reports(t.Context(), "", 64, func(yield func([]byte) error) error {
		for i := range n {
			k := small // most of an archive
			switch {
			case i < n/10:
				k = kinds[i%len(kinds)]
			case i < n/3:
				k = large
			}
			if err := yield(cloudEvent("initial", k.operator, fmt.Sprint("old-", i), "r1", k.fields+`,"imported":true`)); err != nil {
				return err
			}
		}
		return nil
	}, func(r *event.Receipt) error {
		require.Equal(t, event.StatusAccepted, r.Status)
		require.Empty(t, r.Late, "an archive is not late")
		accepted++
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, n, accepted)
	require.Empty(t, w.awaitTimers(), "no timer")
	h := w.runFor(366 * 24 * time.Hour)
	require.Empty(t, h.elapsed)
	require.Empty(t, h.reminded)
	for id := range h.overdue {
		require.Contains(t, id, ".city-clinic.mark-")
	}
	for _, a := range h.away {
		require.Contains(t, a.Incident, "mark-")
	}
	rows := 0
	for _, r := range w.query(api.Query{}) {
		if r.Imported {
			rows++
			require.Nil(t, r.AcknowledgeBy)
			require.Nil(t, r.DueAt)
			require.False(t, r.Late)
			require.Equal(t, api.StateOpen, r.State)
		}
	}
	require.Greater(t, rows, n/3, "the desks are told all the same")
	_, _, err = w.client.Incidents(t.Context(), api.IncidentQuery{Owed: true}, 0, func(r api.IncidentRow) error {
		require.Contains(t, r.Incident, "mark-")
		return nil
	})
	require.NoError(t, err)

	// A live report of such an incident is another thing: its clocks run.
	w.report("progress", at, "old-0", "r2", `"imported":false,"cause":"again"`)
	w.settled()
	// The desks have been away for a year: each timer comes due at once, and is
	// for a moment not set while it is looked at and set again.
	w.await("its clocks run", func() bool { return len(w.timers()) > 0 })
}
