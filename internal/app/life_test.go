package app_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
)

const (
	short  = `"facts":{"outage":[{"scope":"overall","duration":"PT9M"}]}`
	large  = `"facts":{"outage":[{"scope":"overall","duration":"PT20M"}]}`
	grave  = `"facts":{"outage":[{"scope":"overall","duration":"PT2H"}]}` // major
	at     = "grid-east"
	inc    = "2026-17"
	onSite = `"facilities":["dispatch"],`
)

var (
	regional = []string{"protection-energy", "sh-public-security"}
	all4     = []string{"national-cyberspace", "national-public-security", "protection-energy", "sh-public-security"}
)

// clockTimes renders due times as times of the day.
func dueTimes(ds []event.Duty) map[string]string {
	out := map[string]string{}
	for _, d := range ds {
		text := "promptly"
		if d.DueAt != nil {
			text = d.DueAt.In(nine.Location()).Format("15:04")
		}
		if d.StrictDueAt != nil {
			text += " strictly " + d.StrictDueAt.In(nine.Location()).Format("15:04")
		}
		out[d.Statute+"/"+d.Duty] = text
	}
	return out
}

func TestIncident_FromFirstReportToClose(t *testing.T) {
	t.Parallel()
	w := startWorld(t)

	// 09:00: nine minutes; nobody need be told.
	w.report("initial", at, inc, "r1", onSite+`"title":"调度中断",`+short)
	g := w.settled().last(t, at, inc)
	require.Equal(t, event.ChangeFirst, g.Change.Kind)
	require.Empty(t, desks(g))

	// 09:30: it was twenty. The clock starts now; strictly, at discovery (08:40).
	w.at("09:30")
	w.report("progress", at, inc, "r2", large)
	h := w.settled()
	g = h.last(t, at, inc)
	require.Equal(t, event.ChangeRaised, g.Change.Kind)
	require.Equal(t, []string{"cn-csirm-2025/cii-overall-outage-relatively-large"}, g.Change.Gained)
	require.Equal(t, regional, desks(g))
	told := h.told(g, "protection-energy")
	require.Equal(t, event.ActReport, told.Act)
	require.Equal(t, map[string]string{"cn-csirm-2025/cii-operator-to-protection": "10:30 strictly 09:40"}, dueTimes(told.Duties))
	require.JSONEq(t, `{"facilities":["dispatch"],"discoveredAt":"2026-03-02T08:40:00+08:00","title":"调度中断",
		"facts":{"outage":[{"scope":"overall","duration":"PT20M"}]}}`, string(told.Report), "nobody asks back")

	// 10:00: two hours. The nation is owed; the region has one duty more, which
	// has no number, and what was due stays due.
	w.at("10:00")
	w.report("progress", at, inc, "r3", grave)
	h = w.settled()
	g = h.last(t, at, inc)
	require.Equal(t, all4, desks(g))
	require.Equal(t, map[string]string{
		"cn-csirm-2025/protection-to-national-cyberspace": "10:30",
	}, dueTimes(h.told(g, "national-cyberspace").Duties))
	told = h.told(g, "protection-energy")
	require.Equal(t, map[string]string{"cn-cii-2021/operator-to-protection": "promptly"}, dueTimes(told.Duties))
	require.Equal(t, map[string]string{"cn-csirm-2025/cii-operator-to-protection": "10:30 strictly 09:40"}, dueTimes(told.Standing))
	require.Nil(t, told.DueAt)

	// 10:30: words only. All are kept up to date; nothing is due.
	w.at("10:30")
	w.report("progress", at, inc, "r4", `"cause":"switch"`)
	h = w.settled()
	g = h.last(t, at, inc)
	require.Equal(t, event.ChangeUnchanged, g.Change.Kind)
	require.Equal(t, all4, desks(g))
	for _, desk := range all4 {
		told := h.told(g, desk)
		require.Equal(t, event.ActUpdate, told.Act)
		require.Empty(t, told.Duties)
		require.Nil(t, told.DueAt)
		require.Contains(t, string(told.Report), `"cause":"switch"`)
	}

	// 11:00: it was twenty minutes after all. Those told are told so, and why.
	w.at("11:00")
	w.report("progress", at, inc, "r5", large)
	h = w.settled()
	g = h.last(t, at, inc)
	require.Equal(t, event.RelativelyLarge, g.Grade)
	require.Equal(t, event.Major, g.Peak)
	require.Equal(t, all4, desks(g))
	for _, desk := range all4 {
		told := h.told(g, desk)
		require.Equal(t, event.ActUpdate, told.Act)
		require.Equal(t, event.ChangeLowered, told.Change.Kind)
		require.Contains(t, told.Change.Lost, "cn-csirm-2025/cii-overall-outage-major")
		require.Contains(t, told.Change.Reason, "facts.outage")
		require.Equal(t, event.Major, told.Peak)
	}

	// 11:30: a false alarm. It reaches everyone told, with its reason.
	w.at("11:30")
	w.report("withdrawal", at, inc, "r6", `"reason":"false-alarm"`)
	h = w.settled()
	g = h.last(t, at, inc)
	require.Equal(t, all4, desks(g))
	for _, desk := range all4 {
		told := h.told(g, desk)
		require.Equal(t, event.ChangeWithdrawn, told.Change.Kind)
		require.Equal(t, "false-alarm", told.Change.Reason)
		require.Equal(t, "false-alarm", told.Withdrawal.Reason)
		require.Empty(t, told.Duties)
		require.Empty(t, told.Standing, "what is withdrawn owes nothing")
		require.Equal(t, event.Major, told.Peak)
	}

	// 12:00: no, it was not.
	w.at("12:00")
	w.report("progress", at, inc, "r7", grave)
	h = w.settled()
	g = h.last(t, at, inc)
	require.Equal(t, event.ChangeReinstated, g.Change.Kind)
	require.Nil(t, g.Withdrawal)
	require.Equal(t, event.Major, g.Grade)
	require.Equal(t, all4, desks(g))

	// Nothing is erased: the story, in order.
	rows := w.query(api.Query{Operator: at})
	rows = slices.DeleteFunc(rows, func(r api.EscalationRow) bool { return r.Act == event.ActNotice })
	require.Len(t, rows, 2+5*4)
	var want []string
	for _, told := range []int{0, 2, 4, 4, 4, 4, 4} {
		want = append(want, event.KindAccepted, event.KindGraded)
		for range told {
			want = append(want, event.KindEscalated)
		}
	}
	require.Equal(t, want, w.storyWithoutAlarms(at, inc))
}

func TestEscalation_StatesThatItIsLate(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.report("initial", at, inc, "r1", onSite+`"discoveredAt":"2026-03-02T07:59:59+08:00",`+large)
	h := w.settled()
	told := h.told(h.last(t, at, inc), "protection-energy")
	require.True(t, told.Late, "discovered more than an hour ago")
	require.Equal(t, nine.Add(-time.Second), told.DueAt.In(nine.Location()))
	require.True(t, told.AcknowledgeBy.Equal(nine.Add(30*time.Minute)), "the house's target, since the due time has passed")

	w.report("initial", at, "exact", "r1", onSite+`"discoveredAt":"2026-03-02T08:00:00+08:00",`+large)
	h = w.settled()
	require.False(t, h.told(h.last(t, at, "exact"), "protection-energy").Late, "at the hour is in time")
}

func TestProgress_MergesFacts(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	known := func() string {
		g := w.settled().last(t, at, inc)
		return string(g.State.Data(func(string) bool { return true }))
	}
	w.at("10:00")
	w.report("initial", at, inc, "r1", onSite+`"discoveredAt":"2026-03-02T08:40:00+08:00","title":"A","facts":{"peopleAffected":150000,"systemLoss":"none"}`)
	require.Equal(t, event.RelativelyLarge, w.settled().last(t, at, inc).Grade)

	// Absent is unchanged; null is unknown again.
	w.report("progress", at, inc, "r2", `"cause":"unclear","facts":{"peopleAffected":null}`)
	require.JSONEq(t, `{"facilities":["dispatch"],"discoveredAt":"2026-03-02T08:40:00+08:00","title":"A","cause":"unclear","facts":{"systemLoss":"none"}}`, known())
	g := w.settled().last(t, at, inc)
	require.Equal(t, event.General, g.Grade)
	require.Equal(t, event.EspeciallyGrave, g.CouldBe)
	require.Equal(t, event.ChangeLowered, g.Change.Kind)
	require.Equal(t, []string{"cause", "facts.peopleAffected"}, g.Cause.Changed)
	require.True(t, hasUnknown(g, "facts.peopleAffected"))

	// What was said later in its own time stands, whatever arrives first; a
	// clock that runs ahead of us is not believed.
	w.at("11:00")
	w.report("progress", at, inc, "r4", `10:40|"title":"later","impact":"later"`)
	w.report("progress", at, inc, "r3", `10:20|"title":"earlier","plan":"earlier"`)
	require.JSONEq(t, `{"facilities":["dispatch"],"discoveredAt":"2026-03-02T08:40:00+08:00","title":"later","impact":"later","plan":"earlier","cause":"unclear","facts":{"systemLoss":"none"}}`, known())
	w.report("progress", at, inc, "r5", `23:00|"title":"from a fast clock"`)
	w.at("11:01")
	w.report("progress", at, inc, "r6", `"title":"corrected"`)
	require.Contains(t, known(), `"title":"corrected"`)
}

func hasUnknown(g *event.Graded, fact string) bool {
	return slices.ContainsFunc(g.CouldBeIf, func(m event.Missing) bool { return slices.Contains(m.Facts, fact) })
}

func TestProgress_BeforeItsInitialReport(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.report("progress", at, inc, "r2", grave) // which facility is not known yet
	w.report("initial", at, inc, "r1", onSite+`"title":"first"`)
	h := w.settled()
	require.Equal(t, all4, desks(h.last(t, at, inc)))
}

func TestOutage_GrowsWithTheNextReport(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.report("initial", at, inc, "r1", onSite+`"facts":{"outage":[{"scope":"overall","since":"2026-03-02T08:55:00+08:00"}]}`)
	g := w.settled().last(t, at, inc)
	require.Equal(t, event.General, g.Grade)
	require.Equal(t, event.RelativelyLarge, g.Next.Grade)
	require.True(t, g.Next.At.Equal(nine.Add(5*time.Minute)))
	w.at("10:00")
	w.report("progress", at, inc, "r2", `"cause":"still looking"`)
	g = w.settled().last(t, at, inc)
	require.Equal(t, event.Major, g.Grade)
	require.Equal(t, all4, desks(g))
}

func TestOwnGrade_RaisesAndNeverLowers(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.report("initial", at, inc, "r1", onSite+short)
	w.report("progress", at, inc, "r2", `"ownGrade":"major"`)
	g := w.settled().last(t, at, inc)
	require.Equal(t, event.Major, g.Grade)
	require.Equal(t, &event.OwnGrade{Grade: event.Major, Computed: event.General, Raised: true}, g.Own)
	require.Equal(t, all4, desks(g))
	w.report("progress", at, inc, "r3", grave+`,"ownGrade":"general"`)
	g = w.settled().last(t, at, inc)
	require.Equal(t, event.Major, g.Grade)
	require.Equal(t, &event.OwnGrade{Grade: event.General, Computed: event.Major}, g.Own)
}

func TestOwed_FacilityNamedLater(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.report("initial", at, inc, "r1", `"facilities":["office-portal"],"ownGrade":"relatively-large"`)
	require.Equal(t, []string{"sh-cyberspace"}, desks(w.settled().last(t, at, inc)))
	w.at("09:30")
	w.report("progress", at, inc, "r2", `"facilities":["office-portal","dispatch"]`)
	h := w.settled()
	g := h.last(t, at, inc)
	require.Equal(t, []string{"protection-energy", "sh-cyberspace", "sh-public-security"}, desks(g))
	require.Equal(t, event.ActUpdate, h.told(g, "sh-cyberspace").Act)
	require.Equal(t, map[string]string{"cn-csirm-2025/cii-operator-to-protection": "10:30 strictly 09:40"}, dueTimes(h.told(g, "protection-energy").Duties))
}

func TestAcknowledge_FirstOneCounts(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.report("initial", at, inc, "r1", onSite+large)
	w.settled()
	const id = "protection-energy.grid-east.2026-17.1"
	ack := func(desk, escalation, post string) *api.AcknowledgementAnswer {
		a, err := w.client.Acknowledge(t.Context(), desk, escalation, post)
		require.NoError(t, err)
		return a
	}
	w.at("09:05")
	first := ack("protection-energy", id, "duty-officer")
	require.Equal(t, event.StatusAccepted, first.Status)
	require.True(t, first.AcknowledgedAt.Equal(nine.Add(5*time.Minute)))

	w.at("09:06")
	again := ack("protection-energy", id, "duty-officer")
	require.Equal(t, event.StatusDuplicate, again.Status)
	require.Equal(t, first.Record, again.Record)
	require.Equal(t, first.AcknowledgedAt, again.AcknowledgedAt)
	other := ack("protection-energy", id, "deputy")
	require.Equal(t, event.StatusConflict, other.Status)
	require.Equal(t, "duty-officer", other.AcknowledgedBy, "the first one stands")
	require.Equal(t, first.Record, other.Record)

	for escalation, path := range map[string]string{
		"protection-energy.grid-east.2026-17.2":  "$.escalation", // never made
		"sh-public-security.grid-east.2026-17.1": "$.escalation", // another desk's
		"nonsense":                               "$.escalation",
		"protection-energy.*.*.1":                "$.escalation",
	} {
		a := ack("protection-energy", escalation, "duty-officer")
		require.Equal(t, event.StatusRejected, a.Status, escalation)
		require.Equal(t, path, a.Errors[0].Path)
	}
	require.Equal(t, event.StatusRejected, ack("protection-energy", id, " ").Status, "a post must be named")

	rows := w.query(api.Query{Desk: "protection-energy"})
	require.Len(t, rows, 1)
	require.Equal(t, api.StateAcknowledged, rows[0].State)
	require.Equal(t, "duty-officer", rows[0].AcknowledgedBy)
	require.Len(t, w.query(api.Query{Unacknowledged: true}), 1, "the other desk")
	require.Equal(t, []string{"accepted", "graded", "escalated", "escalated", "acknowledged"}, w.story(at, inc))
}

func TestReport_WithoutReplySubjectIsAccepted(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	receipts, err := w.nc.SubscribeSync("receipt.grid-east")
	require.NoError(t, err)
	require.NoError(t, w.nc.Flush())
	send := func(raw []byte) (r event.Receipt) {
		require.NoError(t, w.nc.Publish("report.grid-east", raw)) // neither headers nor reply
		m, err := receipts.NextMsg(waitLimit)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(m.Data, &r))
		return r
	}
	r := send(cloudEvent("initial", at, inc, "r1", onSite+large))
	require.Equal(t, event.StatusAccepted, r.Status)
	require.Equal(t, regional, desks(w.settled().last(t, at, inc)))
	require.Equal(t, event.StatusRejected, send([]byte(`{"specversion":"1.0"}`)).Status)
}

func TestStory_IncidentWithAChineseName(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	const name = "2026/17 调度中断"
	w.report("initial", at, name, "报告 1", onSite+large)
	h := w.settled()
	told := h.told(h.last(t, at, name), "protection-energy")
	require.Equal(t, name, told.Incident)
	a, err := w.client.Acknowledge(t.Context(), "protection-energy", told.ID, "值班员")
	require.NoError(t, err)
	require.Equal(t, event.StatusAccepted, a.Status)
	require.Equal(t, []string{"accepted", "graded", "escalated", "escalated", "acknowledged"}, w.story(at, name))
	require.Equal(t, name, w.query(api.Query{Desk: "protection-energy"})[0].Incident)
}

func TestQuery_ReturnsSeveralPagesInOrder(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.report("initial", at, inc, "r0", onSite+large)
	const n = 240
	for i := range n {
		raw := cloudEvent("progress", at, inc, fmt.Sprint("p", i), fmt.Sprintf(`"cause":"%d"`, i))
		require.NoError(t, w.nc.Publish("report.grid-east", raw))
	}
	require.Eventually(t, func() bool { w.read(); return len(w.past.accepted) == n+1 }, 30*time.Second, 5*time.Millisecond)
	w.settled()
	require.Len(t, w.story(at, inc), 4*(n+1))
	rows := w.query(api.Query{Desk: "protection-energy"})
	require.Len(t, rows, n+1, "one question, several pages")
	for i, r := range rows {
		require.Equal(t, i+1, r.Revision, "in order")
	}
	var some []api.EscalationRow
	cursor, err := w.client.Query(t.Context(), api.Query{}, 300, func(r api.EscalationRow) error { some = append(some, r); return nil })
	require.NoError(t, err)
	require.Len(t, some, 300)
	rest := w.query(api.Query{Cursor: cursor})
	require.Len(t, rest, 2*(n+1)-300, "a cursor goes on where it ended")
	require.Greater(t, rest[0].Record, some[299].Record)
}
