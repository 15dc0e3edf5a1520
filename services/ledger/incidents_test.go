package ledger

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/index"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// several fills a ledger with incidents in every state.
func several(t *testing.T, env *bustest.Env) {
	commit(t, env,
		ledgertest.Graded("plain", 1, nil), ledgertest.EscalatedTo("one", "plain", "1", event.ActReport), ledgertest.EscalatedTo("two", "plain", "1", event.ActNotify),
		ledgertest.Graded("变电站", 1, ledgertest.Owing), ledgertest.EscalatedTo("one", "变电站", "1", event.ActReport),
		ledgertest.Graded("gone", 1, nil), ledgertest.EscalatedTo("one", "gone", "1", event.ActReport), ledgertest.Graded("gone", 2, ledgertest.Withdrawn),
		ledgertest.Graded("archived", 1, func(g *event.Graded) { g.State.Archived = true }),
		ledgertest.Graded("shut", 1, nil), ledgertest.EscalatedTo("one", "shut", "1", event.ActReport), ledgertest.EscalatedTo("two", "shut", "1", event.ActReport), ledgertest.ClosedBy("one", "shut", "a"),
		ledgertest.EscalatedTo("one", "shut", "o9", event.ActNotice), // of silence: it does not reopen a closed one
		ledgertest.Graded("again", 1, nil), ledgertest.EscalatedTo("one", "again", "1", event.ActReport), ledgertest.ClosedBy("one", "again", "b"), ledgertest.EscalatedTo("one", "again", "2", event.ActUpdate),
		ledgertest.Graded("seen", 1, nil), ledgertest.EscalatedTo("one", "seen", "1", event.ActReport), ledgertest.ClosedBy("one", "seen", "c"), ledgertest.EscalatedTo("one", "seen", "u9", event.ActReview),
		ledgertest.Graded("elsewhere", 1, func(g *event.Graded) { g.Operator = "xj-hydro" }),
		ledgertest.Graded("silent", 1, nil), ledgertest.EscalatedTo("three", "silent", "o9", event.ActNotice), ledgertest.EscalatedTo("three", "silent", "u9", event.ActReview),
		event.RawRecord(event.GradedSubject("grid-east", "plain", 2), ledgertest.Nine, "", []byte("no JSON")),
		ledgertest.Must(event.NewRecord(event.AwaySubject("one", ledgertest.Nine), ledgertest.Nine, "", event.Away{Desk: "one"})),
	)
}

func TestIncidents(t *testing.T) {
	env := bustest.Start(t)
	serve(t, env, t.TempDir(), clock.NewManual(ledgertest.Nine))
	several(t, env)
	for _, row := range []struct {
		name string
		q    api.IncidentQuery
		want []string
	}{
		{"all, the one that changed longest ago first", api.IncidentQuery{}, listed("plain 变电站 gone archived shut again seen elsewhere silent")},
		{"an operator", api.IncidentQuery{Operator: "xj-hydro"}, listed("elsewhere")},
		{"an incident", api.IncidentQuery{Operator: "grid-east", Incident: "变电站"}, listed("变电站")},
		{"nobody's", api.IncidentQuery{Operator: "grid-east", Incident: "elsewhere"}, []string{}},
		{"a desk", api.IncidentQuery{Desk: "two"}, listed("plain shut")},
		{"a desk that was told of silence only", api.IncidentQuery{Desk: "three"}, []string{}},
		{"owed", api.IncidentQuery{Owed: true}, listed("变电站")},
		{"open", api.IncidentQuery{Open: true}, listed("plain 变电站 archived shut again seen elsewhere silent")},
		{"open at a desk", api.IncidentQuery{Open: true, Desk: "one"}, listed("plain 变电站 again seen")},
		{"open at another", api.IncidentQuery{Open: true, Desk: "two"}, listed("plain shut")},
		{"all that it says", api.IncidentQuery{Open: true, Desk: "one", Owed: true, Operator: "grid-east"}, listed("变电站")},
		{"a limit", api.IncidentQuery{Limit: 2}, listed("plain 变电站")},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := ask[api.IncidentAnswer](t, env, api.EndpointIncidents, row.q)
			require.Empty(t, a.Errors)
			require.Equal(t, row.want, ledgertest.Incidents(a))
			require.True(t, a.Now.Equal(ledgertest.Nine))
			head, err := env.Bus.Head(ledgertest.Anyone(t))
			require.NoError(t, err)
			require.Equal(t, head, a.Through)
		})
	}
	rows := map[string]api.IncidentRow{}
	for _, r := range ask[api.IncidentAnswer](t, env, api.EndpointIncidents, api.IncidentQuery{}).Rows {
		rows[r.Incident] = r
		require.NotNil(t, r.Owed)
		require.NotNil(t, r.Desks)
		require.False(t, r.Exercise)
	}
	require.Equal(t, []string{"one", "two"}, rows["plain"].Desks)
	require.Empty(t, rows["silent"].Desks)
	require.Equal(t, 1, rows["plain"].Revision, "the second cannot be read")
	require.Equal(t, "故障", rows["plain"].Title)
	require.Equal(t, [3]event.Grade{event.RelativelyLarge, event.EspeciallyGrave, event.Major}, [3]event.Grade{rows["plain"].Grade, rows["plain"].CouldBe, rows["plain"].Peak})
	require.True(t, rows["plain"].GradedAt.Equal(ledgertest.Nine))
	require.True(t, rows["gone"].Withdrawn)
	require.True(t, rows["archived"].Imported)
	require.Equal(t, []api.Closing{{Desk: "one", Officer: "duty-officer", Reason: "a", At: ledgertest.Nine}}, rows["shut"].ClosedBy)
	require.Empty(t, rows["again"].ClosedBy, "told again since")
	require.Empty(t, rows["seen"].ClosedBy, "a person must look again")
	require.Equal(t, "cause", rows["变电站"].Owed[0].Items[0])
}

func listed(s string) []string { return strings.Fields(s) }

func TestIncidents_InvalidQueries(t *testing.T) {
	env := bustest.Start(t)
	serve(t, env, t.TempDir(), clock.NewManual(ledgertest.Nine))
	require.Equal(t, "$.cursor", ask[api.IncidentAnswer](t, env, api.EndpointIncidents, api.IncidentQuery{Cursor: "x"}).Errors[0].Path)
	require.Equal(t, "$", ask[api.IncidentAnswer](t, env, api.EndpointIncidents, "words").Errors[0].Path)
}

// The pages together have every incident, also one that is revised between them.
func TestIncidents_PagesMissNone(t *testing.T) {
	env := bustest.Start(t)
	serve(t, env, t.TempDir(), clock.NewManual(ledgertest.Nine))
	var records []event.Record
	for n := range index.PageRows + 50 {
		records = append(records, ledgertest.Graded(fmt.Sprint("i", n), 1, nil))
	}
	large := func(g *event.Graded) { ledgertest.Owing(g); g.Owed[0].Quote = strings.Repeat("x", 400<<10) }
	commit(t, env, append(records, ledgertest.Graded("large-1", 1, large), ledgertest.Graded("large-2", 1, large))...)
	page := ask[api.IncidentAnswer](t, env, api.EndpointIncidents, api.IncidentQuery{})
	require.Len(t, page.Rows, index.PageRows)
	commit(t, env, ledgertest.Graded("i0", 2, nil), ledgertest.Graded("i220", 2, nil))
	seen, pages := map[string]int{}, 1
	for {
		for _, r := range page.Rows {
			seen[r.Incident] = max(seen[r.Incident], r.Revision)
		}
		if page.Next == "" {
			break
		}
		page, pages = ask[api.IncidentAnswer](t, env, api.EndpointIncidents, api.IncidentQuery{Cursor: page.Next}), pages+1
	}
	require.Len(t, seen, index.PageRows+52)
	require.Equal(t, [2]int{2, 2}, [2]int{seen["i0"], seen["i220"]})
	require.Equal(t, 3, pages, "large rows share no page")
}

// The index of a drill marks every incident.
func TestIncidents_OfADrillAreMarked(t *testing.T) {
	env := bustest.StartRealm(t, t.TempDir(), clock.NewManual(ledgertest.Nine), event.Drill)
	commit(t, env, ledgertest.Graded("plain", 1, nil))
	bustest.Background(t, func(ctx context.Context) error {
		return openAndRun(ctx, Deps{Bus: env.Bus, Endpoints: env.Endpoints, Clock: clock.NewManual(ledgertest.Nine), Log: env.Log, Dir: t.TempDir(), Exercise: true})
	})
	subject := event.Drill.Wire(api.EndpointIncidents)
	require.Eventually(t, func() bool { _, err := env.Conn.Request(subject, []byte(`{}`), time.Second); return err == nil }, 30*time.Second, 5*time.Millisecond)
	a := ask[api.IncidentAnswer](t, env, subject, api.IncidentQuery{})
	require.Equal(t, listed("plain"), ledgertest.Incidents(a))
	require.True(t, a.Rows[0].Exercise)
}

// The ledger's order decides between an acknowledgement and the overdue record.
func TestOverdueEscalations(t *testing.T) {
	env := bustest.Start(t)
	serve(t, env, t.TempDir(), clock.NewManual(ledgertest.Nine.Add(10*time.Minute))) // no target has passed by this clock
	for n := 1; n <= 5; n++ {
		commit(t, env, ledgertest.Escalated(n, nil))
	}
	const desk = "protection-energy"
	noticed := ledgertest.Nine.Add(40 * time.Minute)
	commit(t, env,
		ledgertest.Acknowledged(1, desk, ledgertest.Nine.Add(5*time.Minute)), ledgertest.OverdueAt(1, noticed), // in time, so it cannot be overdue
		ledgertest.OverdueAt(2, noticed), ledgertest.Acknowledged(2, desk, ledgertest.Nine.Add(5*time.Minute)), // stamped early, stored late
		ledgertest.Acknowledged(3, desk, ledgertest.Nine.Add(time.Hour)), ledgertest.OverdueAt(3, noticed), // late by its own stamp
		ledgertest.OverdueAt(4, noticed),
	)
	var states []string
	marked := map[int]time.Time{}
	for _, r := range ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{}).Rows {
		states = append(states, r.State)
		if r.OverdueAt != nil {
			marked[r.Revision] = *r.OverdueAt
		}
	}
	require.Equal(t, []string{api.StateAcknowledged, api.StateAcknowledgedLate, api.StateAcknowledgedLate, api.StateOverdue, api.StateOpen}, states)
	require.Equal(t, map[int]time.Time{2: noticed, 3: noticed, 4: noticed}, marked)
	require.Equal(t, []int{4}, ledgertest.Revisions(ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{Overdue: true}).Rows))
	require.Equal(t, []int{4, 5}, ledgertest.Revisions(ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{Unacknowledged: true}).Rows))
}

// Records of clocks and desks are in the story of their incident.
func TestStory_HasEveryKind(t *testing.T) {
	env := bustest.Start(t)
	serve(t, env, t.TempDir(), clock.NewManual(ledgertest.Nine))
	records := []event.Record{
		ledgertest.Graded("x", 1, nil), ledgertest.Must(event.NewRecord(event.ElapsedSubject("grid-east", "x", ledgertest.Nine), ledgertest.Nine, "", event.Elapsed{})),
		ledgertest.Must(event.NewRecord(event.RemindedSubject("grid-east", "x", "a"), ledgertest.Nine, "", event.Reminder{})),
		ledgertest.Must(event.NewRecord(event.AwaySubject("one", ledgertest.Nine), ledgertest.Nine, "", event.Away{})),
	}
	want := []string{event.KindGraded, event.KindElapsed, event.KindReminded}
	for _, kind := range []string{event.KindOverdue, event.KindAsked, event.KindDetermined, event.KindTransferred, event.KindConfirmed, event.KindClosed} {
		records, want = append(records, ledgertest.OfDesk(kind, "one", "x", "1", struct{}{})), append(want, kind)
	}
	commit(t, env, records...)
	var got []string
	for _, e := range ask[api.ShowAnswer](t, env, api.EndpointShow, api.ShowRequest{Operator: "grid-east", Incident: "x"}).Entries {
		got = append(got, e.Type)
	}
	require.Equal(t, want, got)
}
