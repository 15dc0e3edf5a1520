package ledger

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// An escalation made in time that waits for the disk until its due time has passed was
// told late, in rows and in the statistics; the stored record stays as it was made.
func TestLateness_IsThatOfTheStoredRecord(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	serve(t, env, t.TempDir(), clock.System{})
	now := clock.System{}.Now().Add(-time.Hour)
	due := now.Add(time.Minute)
	made := func(n int, due time.Time) event.Record {
		return ledgertest.Escalated(n, func(e *event.Escalated) {
			e.ReportedAt, e.DueAt, e.Duties[0].DueAt = now, &due, &due
		})
	}
	inTime, waited := made(1, now.Add(24*time.Hour)), made(2, due) // as in a writer whose disk was full for an hour
	commit(t, env, inTime, waited)

	rows := ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{}).Rows
	require.Len(t, rows, 2)
	require.Equal(t, []bool{false, true}, []bool{rows[0].Late, rows[1].Late})
	require.True(t, rows[1].ReportedAt.After(due), "told when it was stored")
	require.NotNil(t, rows[1].Duties[0].LateBy)
	require.Equal(t, rows[1].ReportedAt.Sub(due), time.Duration(*rows[1].Duties[0].LateBy))
	stats := ask[api.StatsAnswer](t, env, api.EndpointStats, api.StatsQuery{By: "desk"}).Rows[0]
	require.Equal(t, []uint64{2, 1}, []uint64{stats.Timed, stats.Late})
	story := ask[api.ShowAnswer](t, env, api.EndpointShow, api.ShowRequest{Operator: "grid-east", Incident: "x"})
	require.Len(t, story.Entries, 2)
	for i, s := range story.Entries {
		var told event.Escalated
		require.NoError(t, json.Unmarshal(s.Body, &told))
		require.Equal(t, []any{i == 1, rows[i].ReportedAt, rows[i].Duties}, []any{told.Late, told.ReportedAt, told.Duties}, "as in its row")
	}
	records := ask[api.RecordsAnswer](t, env, api.EndpointRecords, api.RecordsRequest{From: 1})
	require.Len(t, records.Lines, 2)
	require.Equal(t, map[uint64]time.Time{rows[1].Record: rows[1].ReportedAt}, records.StoredLate, "for the page of an export")
	stored, err := env.Bus.Last(t.Context(), waited.Subject)
	require.NoError(t, err)
	var body event.Escalated
	require.NoError(t, json.Unmarshal(stored.Data, &body))
	require.False(t, body.Late)
}
