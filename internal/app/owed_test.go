package app_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
)

const summary, supplement = "cn-csirm-2025.final-summary", "cn-csirm-2025.supplement"

// incident returns the incident as it stands, through the endpoint.
func (w *world) incident(operator, name string) (row api.IncidentRow) {
	w.t.Helper()
	rows := w.incidents(api.IncidentQuery{Operator: operator, Incident: name})
	require.Len(w.t, rows, 1)
	return rows[0]
}

func (w *world) incidents(q api.IncidentQuery) (rows []api.IncidentRow) {
	w.t.Helper()
	_, now, err := w.client.Incidents(w.t.Context(), q, 0, func(r api.IncidentRow) error {
		rows = append(rows, r)
		return nil
	})
	require.NoError(w.t, err)
	require.True(w.t, now.Equal(w.clock.Now()))
	return rows
}

// owes returns what is owed of the incident under an id, or nil.
func (w *world) owes(id string) *event.Obligation {
	w.t.Helper()
	w.settled()
	for _, o := range w.incident(at, inc).Owed {
		if o.ID == id || id == "ask" && o.Kind == event.OwesAnswer {
			return &o
		}
	}
	return nil
}

// listener hears what an operator is reminded of.
type listener struct {
	w     *world
	heard chan *nats.Msg
}

func (w *world) listen() *listener {
	w.t.Helper()
	l := &listener{w, make(chan *nats.Msg, 100)}
	_, err := w.nc.ChanSubscribe("reminder.grid-east", l.heard)
	require.NoError(w.t, err)
	require.NoError(w.t, w.nc.Flush())
	return l
}

// next wants a reminder at a time of the day, not a millisecond early, and its
// record before it.
func (l *listener) next(hhmm string) event.Reminder {
	l.w.t.Helper()
	l.w.at(hhmm)
	l.w.clock.Advance(-time.Millisecond)
	l.w.awaitTimers()
	l.w.fire()
	l.w.clock.Advance(time.Millisecond)
	return l.hear()
}

func (l *listener) hear() (r event.Reminder) {
	l.w.t.Helper()
	l.w.await("a reminder", func() bool { l.w.fire(); return len(l.heard) > 0 })
	require.NoError(l.w.t, json.Unmarshal((<-l.heard).Data, &r))
	l.w.read()
	last := l.w.past.reminded[len(l.w.past.reminded)-1]
	require.Equal(l.w.t, *last, r, "what is said is on disk")
	require.True(l.w.t, r.At.Equal(l.w.clock.Now()), "in its time: %v", r.At)
	return r
}

func TestOwed_ItemsMissingFromTheFirstReport(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.report("initial", at, "small", "r1", onSite+short)
	w.report("initial", at, inc, "r1", onSite+`"title":"调度中断","kind":"facility-fault","cause":null,`+large)
	o := w.owes(supplement)
	require.Equal(t, event.OwesItems, o.Kind)
	require.Equal(t, []string{"place", "impact", "measures", "trend", "cause", "leads", "plan", "scene"}, o.Items, "kind is known, and null is not")
	require.Nil(t, o.DueAt, "promptly")
	require.Contains(t, o.Citation, "art. 7")
	o = w.owes(summary)
	require.Equal(t, "final", o.Report)
	require.Equal(t, "P30D", o.Within)
	require.Nil(t, o.DueAt, "its clock has not started")
	require.Contains(t, o.Citation, "art. 8")
	shown := w.incident(at, inc).Owed
	for i := range shown {
		require.NotEmpty(t, shown[i].CitationZH, "an answer translates, a record does not")
		shown[i].CitationZH = ""
	}
	require.Equal(t, shown, w.past.told(w.past.last(t, at, inc), "protection-energy").Owed, "a desk sees it")
	rows := w.incidents(api.IncidentQuery{Operator: at, Owed: true})
	require.Len(t, rows, 1, "what nobody need be told is not owed")
	require.Equal(t, "调度中断", rows[0].Title)
	require.Equal(t, regional, rows[0].Desks)

	w.report("progress", at, inc, "r2", `"cause":"switch","impact":"lights","place":{"region":"310000","address":"1 Main St"}`)
	require.Equal(t, []string{"measures", "trend", "leads", "plan", "scene"}, w.owes(supplement).Items)
	w.report("progress", at, inc, "r3", `"measures":"a","trend":"b","leads":"c","plan":"d","scene":"e"`)
	require.Nil(t, w.owes(supplement))
	w.report("progress", at, inc, "r4", `"trend":null`)
	require.Equal(t, []string{"trend"}, w.owes(supplement).Items, "taken back is left out")

	// What was owed once stays owed, also when it was smaller than thought, until
	// it is taken back as a whole.
	w.report("progress", at, inc, "r5", short)
	require.NotNil(t, w.owes(supplement))
	w.report("withdrawal", at, inc, "r6", `"reason":"false-alarm"`)
	w.settled()
	require.Empty(t, w.incident(at, inc).Owed)
	require.Empty(t, w.incidents(api.IncidentQuery{Operator: at, Owed: true}))
	require.Empty(t, w.runFor(1000*time.Hour).reminded)
}

func TestAsk_MakesAnAnswerDue(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.report("initial", at, inc, "r1", onSite+`"cause":"unclear",`+large)
	w.settled()
	w.ack(toEnergy, "duty-officer") // so that only the operator's silence is heard
	w.ack(toPolice, "duty-officer")
	l := w.listen()
	due := clockTime(t, "10:00")
	w.refused("$.dueAt", event.DeskAct{Kind: event.KindAsked, Desk: "protection-energy", Items: []string{"cause"}, DueAt: &nine})
	w.refused("$.items[0]", event.DeskAct{Kind: event.KindAsked, Desk: "protection-energy", Items: []string{"victims"}, DueAt: &due})
	w.refused("$.incident", event.DeskAct{Kind: event.KindAsked, Desk: "sh-cyberspace", Items: []string{"cause"}, DueAt: &due})
	asked := event.DeskAct{Kind: event.KindAsked, ID: "a1", Desk: "protection-energy", Items: []string{"cause", "facts.directLoss"}, DueAt: &due, Officer: "head-of-duty", Reason: "for the minister"}
	first := w.act(asked)
	again := w.try(asked)
	require.Equal(t, event.StatusDuplicate, again.Status)
	require.Equal(t, first.Record, again.Record)
	other := asked
	other.Items = []string{"cause"}
	require.Equal(t, event.StatusConflict, w.try(other).Status)

	h := w.settled()
	g := h.last(t, at, inc)
	require.Equal(t, first.Record, g.Cause.Record)
	require.Empty(t, desks(g), "a question to the operator is no news to the desks")
	o := w.owes("ask")
	require.Equal(t, []string{"cause", "facts.directLoss"}, o.Items, "also what it has said already: the desk wants more")
	require.True(t, o.DueAt.Equal(due))
	require.Equal(t, []string{"protection-energy", "head-of-duty", "for the minister"}, []string{o.Desk, o.Officer, o.Reason})
	require.Empty(t, o.Citation, "no article demands it")

	r := l.next("09:30")
	require.Equal(t, o.ID, r.Obligation)
	require.Equal(t, "protection-energy", r.Desk)
	require.Equal(t, o.Items, r.Items)
	require.True(t, r.DueAt.Equal(due))
	require.False(t, r.Passed)

	// Half an answer: the other half is still owed, and nothing is said twice.
	w.at("09:40")
	w.report("progress", at, inc, "r2", `"facts":{"directLoss":{"amount":100,"currency":"CNY"}}`)
	require.Equal(t, []string{"cause"}, w.owes("ask").Items)
	r = l.next("09:54")
	require.Equal(t, []string{"cause"}, r.Items)
	require.Empty(t, l.heard)

	w.at("09:55")
	w.report("progress", at, inc, "r3", `"cause":"unclear"`) // the same words again: it is an answer
	require.Nil(t, w.owes("ask"))
	for name := range w.awaitTimers() {
		require.False(t, strings.HasPrefix(name, "reminder."), name)
	}
	require.Len(t, w.runFor(100*time.Hour).reminded, 2)
	require.Empty(t, l.heard)
	story := slices.DeleteFunc(w.story(at, inc), func(kind string) bool { return kind == event.KindEscalated || kind == event.KindOverdue })
	require.Equal(t, []string{"accepted", "graded", "acknowledged", "acknowledged", "asked", "graded", "reminded", "accepted", "graded", "reminded", "accepted", "graded"}, story)
}

func TestAsk_RemindsWhenNotAnswered(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.report("initial", at, inc, "r1", onSite+large)
	w.settled()
	l := w.listen()
	due := clockTime(t, "10:00")
	w.act(event.DeskAct{Kind: event.KindAsked, Desk: "sh-public-security", Items: []string{"leads"}, DueAt: &due})
	w.settled()
	require.False(t, l.next("09:30").Passed)
	require.False(t, l.next("09:54").Passed)
	r := l.next("10:00")
	require.True(t, r.Passed, "its time has come")
	o := w.owes("ask")
	require.NotNil(t, o, "and it is still owed")
	require.False(t, o.LateAt(due))
	require.True(t, o.LateAt(due.Add(time.Millisecond)))
	require.Len(t, w.runFor(1000*time.Hour).reminded, 3, "and then no more")
	require.Empty(t, l.heard)
}

// The final summary is due on the thirtieth calendar day after handling ended,
// at +08:00, to its end.
func TestOwed_FinalSummary(t *testing.T) {
	t.Parallel()
	for _, given := range []bool{false, true} {
		t.Run(map[bool]string{false: "and never comes", true: "and comes"}[given], func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			w.report("initial", at, inc, "r1", onSite+large)
			w.at("21:00")
			handled := time.Date(2026, 3, 2, 20, 0, 0, 0, nine.Location()) // noon of the day in UTC
			w.report("progress", at, inc, "r2", `"handledAt":"2026-03-02T12:00:00Z"`)
			due := time.Date(2026, 4, 2, 0, 0, 0, 0, nine.Location())
			o := w.owes(summary)
			require.True(t, o.DueAt.Equal(due), "%v: 24:00 of 1 April", o.DueAt)
			require.True(t, o.Since.Equal(handled))

			// A later end of handling moves it no later; one after its receipt is no
			// claim at all.
			w.report("progress", at, inc, "r3", `"handledAt":"2026-03-20T12:00:00Z"`)
			require.True(t, w.owes(summary).DueAt.Equal(due))
			w.report("progress", at, inc, "r4", `"handledAt":null`)
			require.True(t, w.owes(summary).DueAt.Equal(due), "nor does taking it back")

			l := w.listen()
			since := *w.owes(summary).Since
			moment := func(part float64) time.Time { return since.Add(time.Duration(part * float64(due.Sub(since)))) }
			remind := func(at time.Time) event.Reminder {
				w.awaitTimers()
				w.clock.Advance(at.Sub(w.clock.Now()))
				r := l.hear()
				require.Equal(t, summary, r.Obligation)
				require.Contains(t, r.Citation, "art. 8")
				require.True(t, r.DueAt.Equal(due))
				return r
			}
			require.False(t, remind(moment(0.5)).Passed)
			require.False(t, remind(moment(0.9)).Passed)
			if given {
				w.report("final", at, inc, "r5", `"cause":"switch"`)
				require.Nil(t, w.owes(summary))
				require.Len(t, w.runFor(10_000*time.Hour).reminded, 2)
				return
			}
			require.True(t, remind(due).Passed)
			require.Len(t, w.runFor(10_000*time.Hour).reminded, 3)
			require.NotNil(t, w.owes(summary))
		})
	}
}

// The receipt decides. A sender's clock that is wrong by a day is seen and said,
// and moves nothing; the discovery is its claim, and counts as far as it can be.
func TestDueTime_IgnoresTheSendersClock(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for name, row := range map[string]struct{ time, discovered, due, warned string }{
		"none":       {"", "08:40", "09:40", ""},
		"right":      {"2026-03-02T09:00:00+08:00", "08:40", "09:40", ""},
		"tolerated":  {"2026-03-02T09:05:00+08:00", "08:40", "09:40", ""},
		"fast":       {"2026-03-02T09:05:01+08:00", "08:40", "09:40", "$.time"},
		"a-day-fast": {"2026-03-03T09:00:00+08:00", "08:40", "09:40", "$.time"},
		"a-day-slow": {"2026-03-01T09:00:00+08:00", "08:40", "09:40", "$.time"},
		"later":      {"", "09:30", "10:00", "$.data.discoveredAt"},
		"now":        {"", "09:00", "10:00", ""},
	} {
		raw := string(cloudEvent("initial", at, name, "r1", onSite+`"discoveredAt":"2026-03-02T`+row.discovered+`:00+08:00",`+large))
		if row.time != "" {
			raw = strings.Replace(raw, `{"specversion"`, `{"time":"`+row.time+`","specversion"`, 1)
		}
		for _, status := range []string{event.StatusAccepted, event.StatusDuplicate} {
			r := w.send(at, []byte(raw))
			require.Equal(t, status, r.Status, name)
			require.True(t, r.ReceivedAt.Equal(nine))
			require.Empty(t, r.Late)
			var paths []string
			for _, warning := range r.Warnings {
				paths = append(paths, warning.Path)
			}
			require.Equal(t, row.warned, strings.Join(paths, " "), name)
		}
		h := w.settled()
		g := h.last(t, at, name)
		require.True(t, g.At.Equal(nine))
		told := h.told(g, "protection-energy")
		require.Equal(t, map[string]string{"cn-csirm-2025/cii-operator-to-protection": row.due}, dueTimes(told.Duties), name)
		require.False(t, told.Late)
	}

	// A correction of the discovery moves a due time earlier, never later; and a
	// clock that is a day slow cannot undo what was said since.
	w.at("09:20")
	due := func() string {
		h := w.settled()
		told := h.told(h.last(t, at, "none"), "protection-energy")
		require.NotNil(t, told, "a desk that was told is told of every revision")
		return dueTimes(told.Standing)["cn-csirm-2025/cii-operator-to-protection"]
	}
	w.report("progress", at, "none", "r2", `"discoveredAt":"2026-03-02T09:10:00+08:00"`)
	require.Equal(t, "09:40", due())
	w.report("progress", at, "none", "r3", `"discoveredAt":"2026-03-05T09:10:00+08:00"`)
	require.Equal(t, "09:40", due())
	w.report("progress", at, "none", "r4", `"discoveredAt":"2026-03-02T08:10:00+08:00"`)
	require.Equal(t, "09:10", due())
	w.report("progress", at, "none", "r5", `"discoveredAt":"2026-03-02T08:40:00+08:00"`)
	require.Equal(t, "09:10", due())
}

// The operator's own lateness is on the receipt, with the article and no more.
func TestReceipt_CitesTheArticleOfALateDuty(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	raw := cloudEvent("initial", at, inc, "r1", onSite+`"discoveredAt":"2026-03-02T06:00:00+08:00",`+large)
	var first *event.Receipt
	for _, status := range []string{event.StatusAccepted, event.StatusDuplicate} {
		r := w.send(at, raw)
		require.Equal(t, status, r.Status)
		require.Len(t, r.Late, 1)
		late := r.Late[0]
		require.Contains(t, late.Citation, "art. 4 ¶2")
		require.Equal(t, event.ConfidenceSecondary, late.Confidence)
		require.True(t, late.DueAt.Equal(clockTime(t, "07:00")))
		require.Equal(t, event.Duration(2*time.Hour), late.By)
		text, err := json.Marshal(late)
		require.NoError(t, err)
		for _, no := range []string{"dispatch", "protection", "cii", "liab", "fine", "penal", "责任", "罚"} {
			require.NotContains(t, string(text), no)
		}
		if first == nil {
			first = r
		}
		require.Equal(t, first.Late, r.Late)
		w.at("09:30") // the duplicate comes later and is not later
	}
	h := w.settled()
	for _, a := range h.accepted {
		require.Equal(t, first.Late, a.Late, "it is in the ledger")
	}
	require.True(t, w.row(toEnergy).Late)

	// What says nothing of a discovery, or is not reportable, is not late.
	require.Empty(t, w.report("progress", at, inc, "r2", `"cause":"switch"`).Late)
	require.Empty(t, w.report("initial", at, "small", "r1", onSite+`"discoveredAt":"2020-01-01T00:00:00Z",`+short).Late)
	require.Empty(t, w.report("withdrawal", at, inc, "r3", `"reason":"false-alarm"`).Late)
}
