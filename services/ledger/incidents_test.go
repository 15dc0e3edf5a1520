package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// graded makes a revision of an incident of grid-east; change alters it.
func graded(incident string, revision int, change func(*event.Graded)) event.Record {
	g := event.Graded{
		Operator: "grid-east", Incident: incident, Revision: revision, At: nine, About: event.AboutIncident, Peak: event.Major,
		Assessment: event.Assessment{Grade: event.RelativelyLarge, CouldBe: event.EspeciallyGrave},
		State:      event.State{Fields: map[string]event.Field{"title": {Value: json.RawMessage(`"故障"`)}}, Reported: event.Field{At: nine, Record: 1}},
	}
	if change != nil {
		change(&g)
	}
	return must(event.NewRecord(event.GradedSubject(g.Operator, incident, revision), nine, "", g))
}

func withdrawn(g *event.Graded) {
	g.State.Withdrawn = event.Field{At: nine.Add(time.Minute), Record: 2}
}

func owing(g *event.Graded) {
	g.Owed = []event.Obligation{{ID: "a", Kind: event.OwesItems, Items: []string{"cause"}, DueAt: in(time.Hour)}}
}

// desked returns a record of a desk about an incident; last is its last token.
func desked(kind, desk, incident, last string, body any) event.Record {
	return must(event.NewRecord("incident."+kind+"."+event.EscalationID(desk, "grid-east", incident, last), nine, "", body))
}

func tells(desk, incident, last string, act event.Act) event.Record {
	return desked(event.KindEscalated, desk, incident, last, event.Escalated{
		ID: event.EscalationID(desk, "grid-east", incident, last), Desk: desk, Operator: "grid-east", Incident: incident, Act: act, ReportedAt: nine,
	})
}

func closes(desk, incident, id string) event.Record {
	return desked(event.KindClosed, desk, incident, id, event.DeskAct{
		Kind: event.KindClosed, ID: id, Desk: desk, Operator: "grid-east", Incident: incident, Officer: "duty-officer", Reason: id, At: nine,
	})
}

func incidentsOf(a api.IncidentAnswer) []string {
	out := []string{}
	for _, r := range a.Rows {
		out = append(out, r.Incident)
	}
	return out
}

// several fills a ledger with incidents in every state.
func several(t *testing.T, env *bustest.Env) {
	commit(t, env,
		graded("plain", 1, nil), tells("one", "plain", "1", event.ActReport), tells("two", "plain", "1", event.ActNotify),
		graded("变电站", 1, owing), tells("one", "变电站", "1", event.ActReport),
		graded("gone", 1, nil), tells("one", "gone", "1", event.ActReport), graded("gone", 2, withdrawn),
		graded("archived", 1, func(g *event.Graded) { g.State.Archived = true }),
		graded("shut", 1, nil), tells("one", "shut", "1", event.ActReport), tells("two", "shut", "1", event.ActReport), closes("one", "shut", "a"),
		tells("one", "shut", "o9", event.ActNotice), // of silence: it does not reopen a closed one
		graded("again", 1, nil), tells("one", "again", "1", event.ActReport), closes("one", "again", "b"), tells("one", "again", "2", event.ActUpdate),
		graded("seen", 1, nil), tells("one", "seen", "1", event.ActReport), closes("one", "seen", "c"), tells("one", "seen", "u9", event.ActReview),
		graded("elsewhere", 1, func(g *event.Graded) { g.Operator = "xj-hydro" }),
		graded("silent", 1, nil), tells("three", "silent", "o9", event.ActNotice), tells("three", "silent", "u9", event.ActReview),
		event.RawRecord(event.GradedSubject("grid-east", "plain", 2), nine, "", []byte("no JSON")),
		must(event.NewRecord(event.AwaySubject("one", nine), nine, "", event.Away{Desk: "one"})),
	)
}

func TestIncidents(t *testing.T) {
	env := bustest.Start(t)
	serve(t, env, t.TempDir(), clock.NewManual(nine))
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
			require.Equal(t, row.want, incidentsOf(a))
			require.True(t, a.Now.Equal(nine))
			head, err := env.Bus.Head(anyone(t))
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
	require.True(t, rows["plain"].GradedAt.Equal(nine))
	require.True(t, rows["gone"].Withdrawn)
	require.True(t, rows["archived"].Imported)
	require.Equal(t, []api.Closing{{Desk: "one", Officer: "duty-officer", Reason: "a", At: nine}}, rows["shut"].ClosedBy)
	require.Empty(t, rows["again"].ClosedBy, "told again since")
	require.Empty(t, rows["seen"].ClosedBy, "a person must look again")
	require.Equal(t, "cause", rows["变电站"].Owed[0].Items[0])
}

func listed(s string) []string { return strings.Fields(s) }

func TestAQuestionForIncidentsThatIsRefused(t *testing.T) {
	env := bustest.Start(t)
	serve(t, env, t.TempDir(), clock.NewManual(nine))
	require.Equal(t, "$.cursor", ask[api.IncidentAnswer](t, env, api.EndpointIncidents, api.IncidentQuery{Cursor: "x"}).Errors[0].Path)
	require.Equal(t, "$", ask[api.IncidentAnswer](t, env, api.EndpointIncidents, "words").Errors[0].Path)
}

// The pages together have every incident, also one that is revised between them.
func TestPagesOfIncidents(t *testing.T) {
	env := bustest.Start(t)
	serve(t, env, t.TempDir(), clock.NewManual(nine))
	var records []event.Record
	for n := range pageRows + 50 {
		records = append(records, graded(fmt.Sprint("i", n), 1, nil))
	}
	large := func(g *event.Graded) { owing(g); g.Owed[0].Quote = strings.Repeat("x", 400<<10) }
	commit(t, env, append(records, graded("large-1", 1, large), graded("large-2", 1, large))...)
	page := ask[api.IncidentAnswer](t, env, api.EndpointIncidents, api.IncidentQuery{})
	require.Len(t, page.Rows, pageRows)
	commit(t, env, graded("i0", 2, nil), graded("i220", 2, nil))
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
	require.Len(t, seen, pageRows+52)
	require.Equal(t, [2]int{2, 2}, [2]int{seen["i0"], seen["i220"]})
	require.Equal(t, 3, pages, "large rows share no page")
}

// The index of a drill marks every incident.
func TestIncidentsOfADrill(t *testing.T) {
	env := bustest.StartRealm(t, t.TempDir(), clock.NewManual(nine), event.Drill)
	commit(t, env, graded("plain", 1, nil))
	bustest.Background(t, func(ctx context.Context) error {
		return Run(ctx, Deps{Bus: env.Bus, Endpoints: env.Endpoints, Clock: clock.NewManual(nine), Log: env.Log, Dir: t.TempDir(), Exercise: true})
	})
	door := event.Drill.Wire(api.EndpointIncidents)
	require.Eventually(t, func() bool { _, err := env.Conn.Request(door, []byte(`{}`), time.Second); return err == nil }, 30*time.Second, 5*time.Millisecond)
	a := ask[api.IncidentAnswer](t, env, door, api.IncidentQuery{})
	require.Equal(t, listed("plain"), incidentsOf(a))
	require.True(t, a.Rows[0].Exercise)
}

func overdueAt(n int, at time.Time) event.Record {
	id := event.EscalationID("protection-energy", "grid-east", "x", fmt.Sprint(n))
	return must(event.NewRecord(event.OverdueSubject(id), at, "", event.Overdue{Escalation: id, At: at}))
}

// The ledger's order decides between an acknowledgement and the overdue record.
func TestOverdueEscalations(t *testing.T) {
	env := bustest.Start(t)
	serve(t, env, t.TempDir(), clock.NewManual(nine.Add(10*time.Minute))) // no target has passed by this clock
	for n := 1; n <= 5; n++ {
		commit(t, env, told(n, nil))
	}
	const desk = "protection-energy"
	noticed := nine.Add(40 * time.Minute)
	commit(t, env,
		acknowledged(1, desk, nine.Add(5*time.Minute)), overdueAt(1, noticed), // in time, so it cannot be overdue
		overdueAt(2, noticed), acknowledged(2, desk, nine.Add(5*time.Minute)), // stamped early, stored late
		acknowledged(3, desk, nine.Add(time.Hour)), overdueAt(3, noticed), // late by its own stamp
		overdueAt(4, noticed),
	)
	var states []string
	var marked []int
	for _, r := range ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{}).Rows {
		states = append(states, r.State)
		if r.OverdueAt != nil {
			require.True(t, r.OverdueAt.Equal(noticed))
			marked = append(marked, r.Revision)
		}
	}
	require.Equal(t, []string{api.StateAcknowledged, api.StateAcknowledgedLate, api.StateAcknowledgedLate, api.StateOverdue, api.StateOpen}, states)
	require.Equal(t, []int{2, 3, 4}, marked)
	require.Equal(t, []int{4}, revisions(ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{Overdue: true}).Rows))
	require.Equal(t, []int{4, 5}, revisions(ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{Unacknowledged: true}).Rows))
}

// Records of clocks and desks are in the story of their incident.
func TestAStoryHoldsEveryKind(t *testing.T) {
	env := bustest.Start(t)
	serve(t, env, t.TempDir(), clock.NewManual(nine))
	records := []event.Record{
		graded("x", 1, nil), must(event.NewRecord(event.ElapsedSubject("grid-east", "x", nine), nine, "", event.Elapsed{})),
		must(event.NewRecord(event.RemindedSubject("grid-east", "x", "a"), nine, "", event.Reminder{})),
		must(event.NewRecord(event.AwaySubject("one", nine), nine, "", event.Away{})),
	}
	want := []string{event.KindGraded, event.KindElapsed, event.KindReminded}
	for _, kind := range []string{event.KindOverdue, event.KindAsked, event.KindDetermined, event.KindTransferred, event.KindConfirmed, event.KindClosed} {
		records, want = append(records, desked(kind, "one", "x", "1", struct{}{})), append(want, kind)
	}
	commit(t, env, records...)
	var got []string
	for _, e := range ask[api.ShowAnswer](t, env, api.EndpointShow, api.ShowRequest{Operator: "grid-east", Incident: "x"}).Entries {
		got = append(got, e.Type)
	}
	require.Equal(t, want, got)
}

// For any records in any batches, an index built in batches equals one built at once, and
// the revision with the highest number is current.
func TestBatchesMakeNoDifference(t *testing.T) {
	top := t.TempDir()
	n := 0
	build := func(t *rapid.T, records []event.Stored, size func() int) []string {
		n++
		dir := filepath.Join(top, fmt.Sprint(n))
		x, err := openIndex(context.Background(), dir)
		require.NoError(t, err)
		defer x.close() //nolint:errcheck // a test's
		for len(records) > 0 {
			k := min(size(), len(records))
			_, err := x.apply(context.Background(), records[:k])
			require.NoError(t, err)
			records = records[k:]
		}
		return dumpOf(t, x)
	}
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOfN(rapid.Custom(anyRecord), 1, 40).Draw(t, "records")
		stored := make([]event.Stored, len(records))
		last := map[string]int{}
		for i, r := range records {
			stored[i] = event.Stored{Record: r, Sequence: uint64(i + 1), StoredAt: nine}
			if a := event.ParseSubject(r.Subject); a.Kind == event.KindGraded && string(r.Data) != "{" {
				var revision int
				_, err := fmt.Sscan(a.Last, &revision)
				require.NoError(t, err)
				last[a.Incident] = max(last[a.Incident], revision)
			}
		}
		whole := build(t, stored, func() int { return len(stored) })
		require.Equal(t, whole, build(t, stored, func() int { return rapid.IntRange(1, 9).Draw(t, "batch") }))
		for incident, revision := range last {
			require.Regexp(t, fmt.Sprintf(`incidents\[\d+ grid-east %s \d+ %d\]`, incident, revision), strings.Join(whole, "\n"))
		}
	})
}

func anyRecord(t *rapid.T) event.Record {
	desk, incident := rapid.SampledFrom([]string{"one", "two"}).Draw(t, "desk"), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "incident")
	number := rapid.IntRange(1, 4).Draw(t, "number")
	at := nine.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "at")) * time.Hour)
	id := event.EscalationID(desk, "grid-east", incident, fmt.Sprint(number))
	var r event.Record
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0, 1:
		r = graded(incident, number, rapid.SampledFrom([]func(*event.Graded){nil, owing, withdrawn}).Draw(t, "change"))
	case 2, 3:
		act := rapid.SampledFrom([]event.Act{event.ActReport, event.ActUpdate, event.ActNotice, event.ActReview}).Draw(t, "act")
		e := event.Escalated{ID: id, Desk: desk, Operator: "grid-east", Act: act, ReportedAt: at, AcknowledgeBy: in(time.Hour)}
		e.Grade = rapid.SampledFrom([]event.Grade{event.Ungraded, event.Major}).Draw(t, "grade")
		e.Report = json.RawMessage(rapid.SampledFrom([]string{`{"title":"泵房故障"}`, `{"title":"Pump 故"}`, `{}`}).Draw(t, "report"))
		e.Facilities = rapid.SampledFrom([][]event.Facility{nil, {{Region: "310000", Sector: "energy"}}, {{Region: "650100", Sector: "water"}, {Region: "650000", Sector: "energy"}}}).Draw(t, "facilities")
		e.Duties = rapid.SampledFrom([][]event.Duty{nil, {{Statute: "s1"}}, {{Statute: "s1", DueAt: in(0)}, {Statute: "s2"}}}).Draw(t, "duties")
		e.Late = rapid.Bool().Draw(t, "late")
		if rapid.IntRange(0, 4).Draw(t, "untargeted") == 0 {
			e.AcknowledgeBy = nil
		}
		r = must(event.NewRecord("incident.escalated."+id, nine, "", e))
	case 4:
		r = must(event.NewRecord("incident.acknowledged."+id, at, "", event.Acknowledgement{Officer: "duty-officer", At: at}))
	case 5:
		r = must(event.NewRecord(event.OverdueSubject(id), at, "", event.Overdue{At: at}))
	case 6:
		r = closes(desk, incident, fmt.Sprint(number))
	default:
		r = must(event.NewRecord(event.AwaySubject(desk, at), at, "", event.Away{Desk: desk}))
	}
	if rapid.IntRange(0, 9).Draw(t, "readable") == 0 {
		r.Data = []byte("{")
	}
	return r
}
