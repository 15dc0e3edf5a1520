package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/render/rendertest"
	"github.com/tocsin-project/tocsin/internal/event"
)

func TestHandover_CountsImports(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	serve(f, api.EndpointQuery, func(api.Query) any {
		return api.QueryAnswer{Rows: []api.EscalationRow{rendertest.Told("inc-1"), rendertest.Imported("old-1"), rendertest.Imported("old-2")}}
	})
	old := rendertest.Owing
	old.Imported, old.Owed, old.PendingForwards = true, nil, nil
	serve(f, api.EndpointIncidents, func(api.IncidentQuery) any {
		return api.IncidentAnswer{Now: rendertest.Noon, Rows: []api.IncidentRow{old}}
	})
	code, out, errOut := f.run("desk", "handover", "hall", "--json")
	require.Equal(t, exitOK, code, errOut)
	h := decode(t, out)
	assert.EqualValues(t, 2, h["imported"])
	for list, want := range map[string]int{"open": 0, "overdue": 1, "rising": 0} {
		assert.Len(t, h[list], want, list)
	}
	_, out, _ = f.run("desk", "handover", "hall")
	assert.Contains(t, out, "\nopen (0)\n\nimported, no clock runs, not listed (2)\n")
	assert.Contains(t, out, "acknowledge by 2026-03-01 12:30:00.000 +08:00  [overdue]  hall.grid-east.inc-1.1\n      全站停电\n", "the title stands below")
	assert.NotContains(t, out, "grid-east/old")
	_, out, _ = f.run("desk", "handover", "hall", "--lang", "zh")
	assert.Contains(t, out, "\n补录，不计时，未列出 (2)\n")
}

func TestDrillReport_AttributesLateness(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	here, there, corrected := api.RowOf(rendertest.LateTold(30), 1, nil, nil, rendertest.Noon), api.RowOf(rendertest.LateTold(65), 2, nil, nil, rendertest.Noon), rendertest.Told("fixed")
	there.Incident = "j"
	corrected.Standing = here.Duties
	serve(f, event.Drill.Wire(api.EndpointQuery), func(api.Query) any {
		return api.QueryAnswer{Rows: []api.EscalationRow{here, there, corrected, rendertest.Imported("old")}}
	})
	serve(f, event.Drill.Wire(api.EndpointIncidents), func(api.IncidentQuery) any { return api.IncidentAnswer{Now: rendertest.Noon} })
	code, out, errOut := f.run("drill", "report", "--json")
	require.Equal(t, exitOK, code, errOut)
	rows := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, rows, 5)
	assert.Equal(t, []any{true, false, "2026-03-01T04:30:00.000Z"}, []any{decode(t, rows[0])["delayedHere"], decode(t, rows[1])["delayedHere"], decode(t, rows[0])["receivedAt"]})
	assert.Equal(t, true, decode(t, rows[3])["imported"])
	sum := decode(t, rows[4])
	assert.EqualValues(t, 1, sum["imported"])
	assert.EqualValues(t, 4, sum["escalations"])
	desk := sum["desks"].([]any)[0].(map[string]any)
	for k, want := range map[string]float64{"escalations": 3, "late": 2, "lateBySender": 1, "delayedHere": 1} {
		assert.Equal(t, want, desk[k], k)
	}
	assert.Equal(t, map[string]any{"operator": "grid-east", "incidents": 3., "lateReports": 1., "latestBy": "PT5M", "lateByCorrection": 1.}, sum["operators"].([]any)[0])

	_, out, _ = f.run("drill", "report")
	assert.Contains(t, out, "\nimported, no clock runs, not listed (1)\n")
	assert.Contains(t, out, "told after the law's limit: late by the sender 1, delayed here 1")
	assert.Contains(t, out, "late reports 1  by up to 5m  incidents late by the corrected time of discovery: 1\n")
	assert.NotContains(t, out, "grid-east/old")
	_, out, _ = f.run("drill", "report", "--lang", "zh")
	assert.Contains(t, out, "报送方迟 1，本系统延误 1")
}

func TestDrillClock(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	var limit int
	serve(f, event.Drill.Wire(api.EndpointIncidents), func(q api.IncidentQuery) any {
		limit = q.Limit
		return api.IncidentAnswer{Now: rendertest.Noon}
	})
	code, out, errOut := f.run("drill", "clock")
	require.Equal(t, exitOK, code, errOut)
	assert.Equal(t, 1, limit)
	assert.True(t, strings.HasPrefix(out, "drill clock: 2026-03-01T12:00:00.000+08:00 (use this time in reports of the drill); machine clock: 20"), out)
	_, out, _ = f.run("drill", "clock", "--lang", "zh")
	assert.True(t, strings.HasPrefix(out, "按演练时钟，现在是 2026-03-01T12:00:00.000+08:00（演练报告请填写此时间）；按本机时钟，是 20"), out)
	_, out, _ = f.run("drill", "clock", "--json")
	got := decode(t, out)
	assert.Equal(t, "2026-03-01T04:00:00.000Z", got["drill"])
	machine, err := time.Parse(time.RFC3339Nano, got["machine"].(string))
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now(), machine, time.Minute)
}

// A desk's own act needs no acknowledgement.
func TestDrillDesk_OwnAct(t *testing.T) {
	t.Parallel()
	full := &event.Escalated{ID: "hall.mill.flood.2", Desk: "hall", Operator: "mill", Incident: "flood", Act: event.ActUpdate, From: "hall", ReportedAt: rendertest.Noon}
	var s drillDesk
	s.add(api.RowOf(full, 9, nil, nil, rendertest.Noon))
	require.Equal(t, drillDesk{Escalations: 1}, s, "neither open nor acknowledged in time")
}
