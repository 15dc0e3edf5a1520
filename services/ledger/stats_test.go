package ledger

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

func half(of float64) *float64 { return &of }

func TestStats(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	c := clock.NewManual(ledgertest.Nine.Add(36*time.Minute + 30*time.Second))
	serve(t, env, t.TempDir(), c)
	sample(t, env)
	commit(t, env,
		ledgertest.Escalated(9, func(e *event.Escalated) { // 2026-04 at +08:00, March still at UTC
			e.ReportedAt, e.Late, e.AcknowledgeBy = time.Date(2026, 3, 31, 16, 0, 0, 0, time.UTC), true, nil
		}),
		ledgertest.Escalated(10, func(e *event.Escalated) { e.Late = true }),
		ledgertest.OverdueAt(10, ledgertest.Nine.Add(40*time.Minute)), ledgertest.Acknowledged(10, "protection-energy", ledgertest.Nine.Add(2*time.Minute)), // stamped early, stored late
	)
	stats := func(q api.StatsQuery) []api.StatsRow {
		a := ask[api.StatsAnswer](t, env, api.EndpointStats, q)
		require.Empty(t, a.Errors)
		require.EqualValues(t, 14, a.Through)
		return a.Rows
	}
	require.Equal(t, []api.StatsRow{
		{By: "month", Value: "2026-03", Escalations: 8, Timed: 6, Late: 1, Targeted: 6, AcknowledgedLate: 2, Overdue: 3, Acknowledged: 3,
			ReportedInTime: half(5.0 / 6), AcknowledgedInTime: half(1.0 / 6)},
		{By: "month", Value: "2026-04", Escalations: 1, Timed: 1, Late: 1, ReportedInTime: half(0)},
	}, stats(api.StatsQuery{By: "month"}))
	require.Equal(t, []api.StatsRow{
		{By: "desk", Value: "protection-energy", Escalations: 1, Timed: 1, Targeted: 1, Overdue: 1, ReportedInTime: half(1), AcknowledgedInTime: half(0)},
	}, stats(api.StatsQuery{By: "desk", Query: api.Query{Sector: "water", Statute: "cn-xj-cii-2022", Limit: 1, Cursor: "9"}}), "limit and cursor are not used")

	counts := func(by string, q api.Query) map[string]uint64 {
		out := map[string]uint64{}
		last := uint64(1 << 60)
		for _, r := range stats(api.StatsQuery{By: by, Query: q}) {
			require.LessOrEqual(t, r.Escalations, last, "the most first")
			out[r.Value], last = r.Escalations, r.Escalations
		}
		return out
	}
	require.Equal(t, map[string]uint64{"relatively-large": 6, "major": 1, "especially-grave": 1, "ungraded": 1}, counts("grade", api.Query{}))
	require.Equal(t, map[string]uint64{"310000": 6, "650100": 1, "110000": 1, "650000": 1}, counts("region", api.Query{}), "each value of an escalation")
	require.Equal(t, map[string]uint64{"650100": 1, "110000": 1, "650000": 1}, counts("region", api.Query{Region: "650000"}))
	require.Equal(t, map[string]uint64{"energy": 7, "water": 2}, counts("sector", api.Query{}))
	require.Equal(t, map[string]uint64{"test-law-2025": 6, "cn-xj-cii-2022": 1, "cn-cii-2021": 1}, counts("statute", api.Query{}))
	require.Equal(t, map[string]uint64{"national-cyberspace": 1}, counts("desk", api.Query{Text: "变电站"}), "the titles are looked at")
	require.Equal(t, map[string]uint64{}, counts("grade", api.Query{Operator: "nobody"}))

	a := ask[api.StatsAnswer](t, env, api.EndpointStats, api.StatsQuery{By: "weather", Query: api.Query{Grade: "huge"}})
	require.Len(t, a.Errors, 2)
	require.Equal(t, "$.by", a.Errors[1].Path)
}

// A waiter for new records is woken when the index has them, and not before.
func TestWaitBeyond_EndsWhenIndexed(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	v := newFollower(Deps{Bus: env.Bus, Endpoints: env.Endpoints, Clock: clock.NewManual(ledgertest.Nine), Log: env.Log, Dir: t.TempDir()})
	bustest.Background(t, v.run)
	commit(t, env, ledgertest.Escalated(1, nil))
	require.NoError(t, v.waitBeyond(ledgertest.Anyone(t), 0))
	require.EqualValues(t, 1, v.Indexed())
	ended, cancel := context.WithCancel(ledgertest.Anyone(t))
	cancel()
	require.ErrorIs(t, v.waitBeyond(ended, 1), context.Canceled, "it would wait")
	commit(t, env, ledgertest.Escalated(2, nil), ledgertest.Escalated(3, nil))
	require.NoError(t, v.waitBeyond(ledgertest.Anyone(t), 2))
	require.EqualValues(t, 3, v.Indexed())
}
