package ledger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// The update about a desk's own determination is listed, but need not be acknowledged:
// not after a restart, and not once its acknowledgement was removed.
func TestOwnAct_IsNotUnacknowledged(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	dir, c := t.TempDir(), clock.NewManual(ledgertest.Nine.Add(24*time.Hour))
	stop := serve(t, env, dir, c)
	update := func(n int, change func(*event.Escalated)) event.Record {
		return ledgertest.Escalated(n, func(e *event.Escalated) {
			e.Act, e.Duties, e.DueAt, e.From, e.AcknowledgeBy = event.ActUpdate, nil, nil, e.Desk, nil
			if change != nil {
				change(e)
			}
		})
	}
	commit(t, env,
		update(1, nil),
		update(2, func(e *event.Escalated) { e.From = "national-cyberspace" }),               // another desk's act
		update(3, func(e *event.Escalated) { e.AcknowledgeBy = ledgertest.In(time.Hour) }),   // it has a target
		update(4, func(e *event.Escalated) { e.Act, e.From = event.ActNotice, "grid-east" }), // of silence
		update(5, nil), ledgertest.Acknowledged(5, "protection-energy", ledgertest.Nine.Add(10*time.Minute)), // not required, but allowed
	)
	check := func() {
		t.Helper()
		require.Equal(t, []int{2, 3, 4}, ledgertest.Revisions(ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{Unacknowledged: true}).Rows))
		require.Equal(t, []int{3}, ledgertest.Revisions(ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{Overdue: true}).Rows))
		rows := ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{}).Rows
		require.Len(t, rows, 5)
		for i, want := range []string{api.StateAcknowledged, api.StateOpen, api.StateOverdue, api.StateOpen, api.StateAcknowledged} {
			require.Equal(t, want, rows[i].State, "revision %d", rows[i].Revision)
			require.Equal(t, i == 0 || i == 4, rows[i].OwnAct, "revision %d", rows[i].Revision)
			require.Equal(t, i == 4, rows[i].AcknowledgedAt != nil, "nobody acknowledged it")
		}
		stats := ask[api.StatsAnswer](t, env, api.EndpointStats, api.StatsQuery{By: "desk"}).Rows[0]
		require.Equal(t, []uint64{5, 0}, []uint64{stats.Escalations, stats.Acknowledged}, "nobody took up what a desk did itself")
	}
	check()
	stop()
	serve(t, env, dir, c)
	check()
}
