package render

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/render/rendertest"
	"github.com/tocsin-project/tocsin/internal/event"
)

// lines returns what is printed for people, in both languages.
func lines(print func(*Printer)) (zh, en string) {
	return printed("zh", print), printed("en", print)
}

func TestRow_MarksImports(t *testing.T) {
	r := rendertest.Imported("old")
	zh, en := lines(func(p *Printer) { p.Row(r) })
	assert.Equal(t, "[补录，不计时] 2026-03-01 12:00:00.000 +08:00  重大  报告  自 grid-east → hall  grid-east/old  [待签收]  hall.grid-east.old.1\n", zh)
	assert.Equal(t, "[imported, no clock runs] 2026-03-01 12:00:00.000 +08:00  major  report  from grid-east → hall  grid-east/old  [open]  hall.grid-east.old.1\n", en)
	r.Exercise = true
	assert.True(t, strings.HasPrefix(printed("en", func(p *Printer) { p.Row(r) }), "[drill] [imported, no clock runs] "))
	full := &event.Escalated{ID: r.Escalation, Desk: "hall", Operator: "grid-east", Incident: "old", Imported: true, Act: event.ActReport, ReportedAt: rendertest.Noon,
		Duties: []event.Duty{{Desk: "hall", Act: event.ActReport, From: "grid-east", Citation: "Law", Confidence: event.ConfidenceText}}}
	en = printed("en", func(p *Printer) { p.Escalation(full, api.RowOf(full, 1, nil, nil, rendertest.Noon)) })
	assert.True(t, strings.HasPrefix(en, "[imported, no clock runs] "))
	assert.Contains(t, en, "report from grid-east  no clock runs — Law\n", `a limit that does not run is not "promptly"`)
	assert.Equal(t, []string{"", "true"}, r.Cells()[18:20], "receivedAt, imported: later columns come after them")

	for _, c := range []struct {
		kind   string
		body   string
		zh, en string
	}{
		{event.KindAccepted, `{"type":"tocsin.report.initial.v1","event":{"data":{"imported":true}}}`, "[补录] 收到  初报", "[imported] received  initial"},
		{event.KindGraded, `{"revision":1,"state":{"archived":true}}`, "[补录，不计时] 定级", "[imported, no clock runs] graded"},
		{event.KindGraded, `{"revision":2,"state":{"archived":true,"live":true}}`, "+08:00  定级", "+08:00  graded"},
		{event.KindEscalated, `{"desk":"hall","act":"report","imported":true}`, "[补录，不计时] 报送  hall", "[imported, no clock runs] told  hall"},
	} {
		entry := api.StoryEntry{Record: 5, Type: c.kind, At: rendertest.Noon, Body: jsontext.Value(c.body)}
		zh, en := lines(func(p *Printer) { require.NoError(t, p.Story(entry)) })
		assert.Contains(t, zh, c.zh)
		assert.Contains(t, en, c.en)
	}
	entry := api.StoryEntry{Record: 5, Type: event.KindElapsed, At: rendertest.Noon, Body: jsontext.Value(`{}`)}
	assert.Contains(t, printed("en", func(p *Printer) { p.Exercise = true; require.NoError(t, p.Story(entry)) }), "+08:00  [drill] time has passed")
}

// Being past the house's target before the law's limit is no contradiction: the line
// shows both.
func TestRow_ShowsTarget(t *testing.T) {
	r := rendertest.Told("i")
	zh, en := lines(func(p *Printer) { p.Row(r) })
	assert.Contains(t, zh, "时限 2026-03-01 13:00:00.000 +08:00  签收目标 2026-03-01 12:30:00.000 +08:00  [逾期未签收]")
	assert.Contains(t, en, "by 2026-03-01 13:00:00.000 +08:00  acknowledge by 2026-03-01 12:30:00.000 +08:00  [overdue]")
	assert.Contains(t, printed("en", func(p *Printer) { p.DrillRow(r) }), "acknowledge by 2026-03-01 12:30:00.000 +08:00  [overdue]\n")
	r.AcknowledgedAt, r.AcknowledgedBy, r.State = rendertest.After(20), "shift", api.StateAcknowledged
	assert.NotContains(t, printed("en", func(p *Printer) { p.Row(r) }), "acknowledge by")
}

func TestRow_AttributesLateness(t *testing.T) {
	full := rendertest.LateTold(60) // at the limit: in time
	row := api.RowOf(full, 1, nil, nil, rendertest.Noon)
	zh, en := lines(func(p *Printer) { p.Escalation(full, row) })
	assert.Contains(t, zh, "迟报 12分钟 (本系统延误，收到时未迟), Law, art. 4")
	assert.Contains(t, en, "late by 12m (received in time; delayed here), Law, art. 4")
	assert.Contains(t, en, "  → hall  report from grid-east  by 2026-03-01 13:00:00.000 +08:00 (late by 12m) (received in time; delayed here) — Law, art. 4\n")
	raw, err := json.Marshal(full)
	require.NoError(t, err)
	zh, en = lines(func(p *Printer) {
		require.NoError(t, p.Story(api.StoryEntry{Type: event.KindEscalated, At: rendertest.Noon, Body: raw}))
	})
	assert.Contains(t, zh, "迟报 (本系统延误，收到时未迟)\n        Law, art. 4  迟报 12分钟 (本系统延误，收到时未迟)\n")
	assert.Contains(t, en, "late (received in time; delayed here)\n        Law, art. 4  late by 12m (received in time; delayed here)\n")

	for _, mine := range []api.EscalationRow{api.RowOf(rendertest.LateTold(61), 1, nil, nil, rendertest.Noon), func() api.EscalationRow {
		r := row
		r.ReceivedAt = event.Stamp{} // of an index before receipts were in it
		return r
	}()} {
		zh, en = lines(func(p *Printer) { p.Row(mine); p.DrillRow(mine) })
		assert.NotContains(t, zh, "本系统延误")
		assert.NotContains(t, en, "delayed here")
	}

	b, err := json.Marshal(row)
	require.NoError(t, err)
	assert.Contains(t, string(b), `"receivedAt":"2026-03-01T05:00:00.000Z"`)
	var back api.EscalationRow
	require.NoError(t, json.Unmarshal(b, &back))
	assert.Equal(t, row, back)
	row.ReceivedAt = event.Stamp{}
	b, err = json.Marshal(row)
	require.NoError(t, err)
	assert.NotContains(t, string(b), "receivedAt")
	assert.NotContains(t, string(b), "standing")
}

// A correction of the discovery time shows that what was told in time by the first claim
// was late: the standing duty shows it, and those that were not late do not.
func TestRow_CorrectedDiscovery(t *testing.T) {
	full := rendertest.LateTold(10)
	full.Standing, full.Duties = append(full.Duties, event.Duty{From: "grid-east", Citation: "Law, art. 5"}), []event.Duty{}
	full.Standing[0].Confidence = event.ConfidenceSecondary
	full.Act, full.DueAt, full.Late, full.Change.Kind = event.ActUpdate, nil, false, event.ChangeUnchanged
	row := api.RowOf(full, 1, nil, nil, rendertest.Noon)
	require.Len(t, row.Standing, 1)
	wantZH, wantEN := "按更正后的发现时间迟报 12分钟, Law, art. 4 [间接来源]", "late by 12m from the corrected time of discovery, Law, art. 4 [secondary source]"
	zh, en := lines(func(p *Printer) { p.Escalation(full, row); p.DrillRow(row) })
	assert.Equal(t, 2, strings.Count(zh, wantZH))
	assert.Equal(t, 2, strings.Count(en, wantEN))
	assert.NotContains(t, en, "delayed here", "the receipt of the correction says nothing of when it was told")
	for kind, body := range map[string]any{
		event.KindEscalated: full,
		event.KindGraded:    event.Graded{Revision: 2, Escalations: []event.Escalation{{Desk: "hall", Standing: full.Standing}}},
	} {
		raw, err := json.Marshal(body)
		require.NoError(t, err)
		zh, en := lines(func(p *Printer) {
			require.NoError(t, p.Story(api.StoryEntry{Type: kind, At: rendertest.Noon, Body: raw}))
		})
		assert.Contains(t, zh, wantZH, kind)
		assert.Contains(t, en, wantEN, kind)
		assert.NotContains(t, en, "art. 5", kind)
	}
}

func TestRow_NoticeHasNoGrade(t *testing.T) {
	r := api.EscalationRow{Escalation: "hall.o.i.o7", Desk: "hall", Operator: "o", Incident: "i", Act: event.ActNotice, From: "annex", ReportedAt: rendertest.Noon, State: api.StateOpen, Exercise: true,
		Notice: &event.Notice{Kind: event.NoticeReminder, Desk: "hall", Forward: "national", Until: rendertest.After(44)}}
	zh, en := lines(func(p *Printer) { p.Row(r); p.DrillRow(r) })
	assert.Contains(t, zh, "[演练] 2026-03-01 12:00:00.000 +08:00  提示  → hall  o/i  ")
	assert.Contains(t, en, "[drill] 2026-03-01 12:00:00.000 +08:00  notice  → hall  o/i  the forward to national awaits confirmation")
	assert.Contains(t, en, "\no/i  → hall  notice  2026-03-01 12:00:00.000 +08:00  the forward")
	assert.Equal(t, 2, strings.Count(en, "--officer POST --exercise"), "what a drill says to type must stay in the drill")
	assert.NotContains(t, zh, "未定级")
	assert.NotContains(t, en, "ungraded")
	r.Act = event.ActReview
	assert.Contains(t, printed("en", func(p *Printer) { p.Row(r) }), "ungraded  needs a person", "a person must grade it")
}
