package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/index"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

func commit(t *testing.T, env *bustest.Env, records ...event.Record) {
	t.Helper()
	_, err := env.Bus.Commit(ledgertest.Anyone(t), records)
	require.NoError(t, err)
}

// serve runs the service over an index in dir until stop or the test's end.
func serve(t *testing.T, env *bustest.Env, dir string, c clock.Clock) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- openAndRun(ctx, Deps{Bus: env.Bus, Endpoints: env.Endpoints, Clock: c, Log: env.Log, Dir: dir})
	}()
	stop = func() {
		cancel()
		if err, running := <-ended; running {
			require.ErrorIs(t, err, context.Canceled)
			close(ended)
		}
	}
	t.Cleanup(stop)
	bustest.Answers(t, env, api.EndpointArchive)
	return stop
}

func openAndRun(ctx context.Context, d Deps) error {
	l, err := Open(ctx, d)
	if err != nil {
		return err
	}
	return l.Run(ctx)
}

func ask[T any](t *testing.T, env *bustest.Env, subject string, question any) (answer T) {
	t.Helper()
	raw, err := json.Marshal(question)
	require.NoError(t, err)
	m, err := env.Conn.Request(subject, raw, time.Minute)
	require.NoError(t, err)
	require.Empty(t, m.Header.Get("Nats-Service-Error-Code"))
	require.Less(t, len(m.Data), 1<<20, "a reply of NATS ends at 1 MiB")
	require.NoError(t, json.Unmarshal(m.Data, &answer))
	return answer
}

// sample fills a ledger with something for every filter; the time is then 09:40.
func sample(t *testing.T, env *bustest.Env) {
	commit(t, env,
		ledgertest.Escalated(1, nil),
		ledgertest.Escalated(2, func(e *event.Escalated) {
			e.Desk, e.Grade, e.Report = "national-cyberspace", event.Major, jsontext.Value(`{"title":"变电站停电"}`)
		}),
		ledgertest.Escalated(3, func(e *event.Escalated) {
			e.Report = jsontext.Value(`{"title":"PUMP-3：站前停电"}`)
			e.Operator, e.Duties[0].Statute = "xj-hydro", "cn-xj-cii-2022"
			e.Facilities = []event.Facility{{Region: "650100", Sector: "water"}, {Region: "110000", Sector: "energy"}}
		}),
		ledgertest.Escalated(4, func(e *event.Escalated) { // an update is under its standing duties
			e.Duties, e.Standing, e.Act, e.DueAt = []event.Duty{}, []event.Duty{{Statute: "cn-cii-2021"}}, event.ActUpdate, nil
			e.Facilities = []event.Facility{{Region: "650000", Sector: "water"}}
		}),
		ledgertest.Escalated(5, func(e *event.Escalated) { e.AcknowledgeBy = nil; e.Grade = event.EspeciallyGrave }), // an import
		ledgertest.Escalated(6, func(e *event.Escalated) { e.Grade, e.Facilities, e.Duties = event.Ungraded, nil, nil }),
		ledgertest.Escalated(7, nil),
		ledgertest.Acknowledged(1, "protection-energy", ledgertest.Nine.Add(10*time.Minute)),
		ledgertest.Acknowledged(4, "protection-energy", ledgertest.Nine.Add(50*time.Minute)), // too late
		event.RawRecord("incident.escalated.protection-energy.grid-east.x.8", ledgertest.Nine, "", []byte("no JSON")),
	)
}

func TestQueryFilters(t *testing.T) {
	env := bustest.Start(t)
	c := clock.NewManual(ledgertest.Nine.Add(36*time.Minute + 30*time.Second))
	serve(t, env, t.TempDir(), c)
	sample(t, env)
	for _, row := range []struct {
		name string
		q    api.Query
		want []int
	}{
		{"all", api.Query{}, []int{1, 2, 3, 4, 5, 6, 7}},
		{"a grade", api.Query{Grade: "major"}, []int{2}},
		{"ungraded", api.Query{Grade: "ungraded"}, []int{6}},
		{"an operator", api.Query{Operator: "xj-hydro"}, []int{3}},
		{"nobody's", api.Query{Operator: "nobody"}, []int{}},
		{"a desk", api.Query{Desk: "national-cyberspace"}, []int{2}},
		{"a municipality", api.Query{Region: "310000"}, []int{1, 2, 5, 7}},
		{"a province covers its prefectures", api.Query{Region: "650000"}, []int{3, 4}},
		{"a prefecture does not cover its province", api.Query{Region: "650100"}, []int{3}},
		{"a county", api.Query{Region: "650102"}, []int{}},
		{"a sector", api.Query{Sector: "water"}, []int{3, 4}},
		{"one of several sectors", api.Query{Sector: "energy"}, []int{1, 2, 3, 5, 7}},
		{"a statute", api.Query{Statute: "test-law-2025"}, []int{1, 2, 5, 7}},
		{"a statute that stands", api.Query{Statute: "cn-cii-2021"}, []int{4}},
		{"since, included", api.Query{Since: ledgertest.In(6 * time.Minute)}, []int{6, 7}},
		{"until, excluded", api.Query{Until: ledgertest.In(3 * time.Minute)}, []int{1, 2}},
		{"between", api.Query{Since: ledgertest.In(3 * time.Minute), Until: ledgertest.In(5 * time.Minute)}, []int{3, 4}},
		{"unacknowledged", api.Query{Unacknowledged: true}, []int{2, 3, 5, 6, 7}},
		{"overdue: an import never is", api.Query{Overdue: true}, []int{2, 3, 6}},
		{"all that it says", api.Query{Overdue: true, Operator: "grid-east", Desk: "protection-energy"}, []int{6}},
		{"a limit", api.Query{Limit: 2, Desk: "protection-energy"}, []int{1, 3}},
		{"a word", api.Query{Text: "停电"}, []int{2, 3}},
		{"a character", api.Query{Text: "障"}, []int{1, 4, 5, 6, 7}},
		{"a longer word", api.Query{Text: "变电站停电"}, []int{2}},
		{"two words, in letters and not", api.Query{Text: "Ｐump 停电"}, []int{3}},
		{"words, and more", api.Query{Text: "停电", Operator: "grid-east"}, []int{2}},
		{"characters that stand apart", api.Query{Text: "变停"}, []int{}},
		{"part of a word in letters", api.Query{Text: "pum"}, []int{}},
		{"half a code", api.Query{Region: "6501"}, []int{3}},
		{"an odd part of a code", api.Query{Region: "650"}, []int{3, 4}},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := ask[api.QueryAnswer](t, env, api.EndpointQuery, row.q)
			require.Empty(t, a.Errors)
			require.Equal(t, row.want, ledgertest.Revisions(a.Rows))
		})
	}

	a := ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{})
	require.EqualValues(t, 10, a.Through)
	states := []string{}
	for _, r := range a.Rows {
		states = append(states, r.State)
	}
	require.Equal(t, []string{"acknowledged", "overdue", "overdue", "acknowledged-late", "open", "overdue", "open"}, states)
	require.Equal(t, "故障", a.Rows[0].Title)
	require.Equal(t, "duty-officer", a.Rows[0].AcknowledgedBy)
	require.True(t, a.Rows[0].AcknowledgedAt.Equal(ledgertest.Nine.Add(10*time.Minute)))
	require.Equal(t, ledgertest.In(time.Hour), a.Rows[0].DueAt)
	require.EqualValues(t, 1, a.Rows[0].Record)

	// A minute later one more has waited too long.
	c.Advance(time.Minute)
	require.Equal(t, []int{2, 3, 6, 7}, ledgertest.Revisions(ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{Overdue: true}).Rows))
}

func TestQueries_Invalid(t *testing.T) {
	env := bustest.Start(t)
	serve(t, env, t.TempDir(), clock.NewManual(ledgertest.Nine))
	a := ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{Grade: "huge", Cursor: "'; DROP TABLE records", Text: "?!"})
	require.Len(t, a.Errors, 3, "every fault at once")
	require.Equal(t, "$.text", a.Errors[2].Path)
	require.Equal(t, "$.cursor", a.Errors[0].Path)
	require.Equal(t, "$.grade", a.Errors[1].Path)
	require.Equal(t, "$", ask[api.QueryAnswer](t, env, api.EndpointQuery, "words").Errors[0].Path)
	for _, q := range []any{"words", api.ShowRequest{Operator: "grid-east"}, api.ShowRequest{Incident: "x"}} {
		require.Equal(t, "$", ask[api.ShowAnswer](t, env, api.EndpointShow, q).Errors[0].Path)
	}
	require.Empty(t, ask[api.ShowAnswer](t, env, api.EndpointShow, api.ShowRequest{Operator: "grid-east", Incident: "never"}).Entries)
}

// A cursor continues where its page ended, whatever was stored meanwhile.
func TestCursor_StaysValid(t *testing.T) {
	env := bustest.Start(t)
	serve(t, env, t.TempDir(), clock.NewManual(ledgertest.Nine))
	var records []event.Record
	for n := range 2*index.PageRows + 50 {
		records = append(records, ledgertest.Escalated(n+1, nil))
	}
	commit(t, env, records[:2*index.PageRows+20]...)
	page := ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{})
	require.Len(t, page.Rows, index.PageRows)
	first := page.Next
	commit(t, env, records[2*index.PageRows+20:]...)
	var all []int
	all = append(all, ledgertest.Revisions(page.Rows)...)
	for page.Next != "" {
		page = ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{Cursor: page.Next})
		all = append(all, ledgertest.Revisions(page.Rows)...)
	}
	require.Len(t, all, len(records))
	require.True(t, slices.IsSorted(all))
	require.Equal(t, index.PageRows+1, ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{Cursor: first}).Rows[0].Revision, "for ever")
	exact := ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{Limit: 5, Since: ledgertest.In(time.Duration(len(records)-4) * time.Minute)})
	require.Len(t, exact.Rows, 5)
	require.Empty(t, exact.Next, "nothing comes after the last page")
}

// A page is bounded in bytes too; a single larger row is a page of its own.
func TestPage_FitsAReply(t *testing.T) {
	env := bustest.Start(t)
	serve(t, env, t.TempDir(), clock.NewManual(ledgertest.Nine))
	large := func(bytes int) func(*event.Escalated) {
		return func(e *event.Escalated) { e.Duties[0].Quote = string(make([]byte, bytes/6)) } // six bytes each as JSON
	}
	commit(t, env, ledgertest.Escalated(1, large(300<<10)), ledgertest.Escalated(2, large(300<<10)), ledgertest.Escalated(3, large(700<<10)), ledgertest.Escalated(4, nil))
	var pages [][]int
	cursor := ""
	for {
		page := ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{Cursor: cursor})
		pages = append(pages, ledgertest.Revisions(page.Rows))
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	require.Equal(t, [][]int{{1}, {2}, {3}, {4}}, pages)
	entries := 0
	req := api.ShowRequest{Operator: "grid-east", Incident: "x"}
	for {
		page := ask[api.ShowAnswer](t, env, api.EndpointShow, req)
		entries += len(page.Entries)
		if !page.More {
			break
		}
		req.After = page.Entries[len(page.Entries)-1].Record
	}
	require.Equal(t, 4, entries)
}

func TestStory_ShowsUnreadableRecords(t *testing.T) {
	env := bustest.Start(t)
	serve(t, env, t.TempDir(), clock.NewManual(ledgertest.Nine))
	sample(t, env)
	story := ask[api.ShowAnswer](t, env, api.EndpointShow, api.ShowRequest{Operator: "grid-east", Incident: "x"})
	require.Len(t, story.Entries, 9)
	last := story.Entries[8]
	require.Equal(t, event.KindEscalated, last.Type)
	require.JSONEq(t, `{"unreadable":"bm8gSlNPTg=="}`, string(last.Body))
	require.True(t, last.At.Equal(ledgertest.Nine))
}

// dump returns everything in the index of a folder, which is closed.
func dump(t *testing.T, dir string) []string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "index.sqlite"))
	require.NoError(t, err)
	defer db.Close()
	return ledgertest.Dump(t, db)
}

// indexed waits until an index has the whole ledger, and stops it.
func indexed(t *testing.T, env *bustest.Env, dir string) []string {
	t.Helper()
	stop := serve(t, env, dir, clock.NewManual(ledgertest.Nine))
	head, err := env.Bus.Head(ledgertest.Anyone(t))
	require.NoError(t, err)
	require.Equal(t, head, ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{Limit: 1}).Through)
	stop()
	return dump(t, dir)
}

// The index is a projection: rebuilt, it is the same.
func TestIndex_RebuiltIsTheSame(t *testing.T) {
	env, dir := bustest.Start(t), t.TempDir()
	sample(t, env)
	first := indexed(t, env, dir)
	require.Greater(t, len(first), 20)
	commit(t, env, ledgertest.Escalated(9, nil), ledgertest.Acknowledged(9, "protection-energy", ledgertest.Nine))
	grown := indexed(t, env, dir)
	require.Greater(t, len(grown), len(first))
	for name, spoil := range map[string]func(){
		"deleted":            func() { require.NoError(t, index.Discard(dir)) },
		"broken":             func() { spoilIndex(t, dir, "no database") },
		"of another version": func() { setVersion(t, dir, 99) },
		"untouched":          func() {},
	} {
		spoil()
		require.Equal(t, grown, indexed(t, env, dir), name)
	}
}

// Damage that shows only when a page is read is repaired at run time.
func TestIndex_DamagedIsRebuiltWhileRunning(t *testing.T) {
	env, dir := bustest.Start(t), t.TempDir()
	for n := 10; n < 400; n++ {
		commit(t, env, ledgertest.Escalated(n, nil))
	}
	want := indexed(t, env, dir)
	file := filepath.Join(dir, "index.sqlite")
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	for i := 3 * 4096; i < len(raw); i++ {
		raw[i] = byte(i * 7)
	}
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	stop := serve(t, env, dir, clock.NewManual(ledgertest.Nine))
	require.Eventually(t, func() bool {
		reply, err := env.Conn.Request(api.EndpointQuery, []byte(`{}`), time.Second)
		var page api.QueryAnswer
		return err == nil && json.Unmarshal(reply.Data, &page) == nil && len(page.Rows) > 100
	}, 30*time.Second, 20*time.Millisecond)
	require.Eventually(t, func() bool {
		head, err := env.Bus.Head(ledgertest.Anyone(t))
		return err == nil && ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{Limit: 1}).Through == head
	}, 30*time.Second, 20*time.Millisecond)
	stop()
	require.Equal(t, want, dump(t, dir))
}

func spoilIndex(t *testing.T, dir, text string) {
	require.NoError(t, index.Discard(dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "index.sqlite"), []byte(text), 0o600))
}

func setVersion(t *testing.T, dir string, version int) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "index.sqlite"))
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), fmt.Sprintf("PRAGMA user_version = %d", version))
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

// An index of another ledger is not used for this one.
func TestIndex_OfAnotherLedgerIsDiscarded(t *testing.T) {
	for name, other := range map[string]func(*testing.T, *bustest.Env){
		"one as long": func(t *testing.T, env *bustest.Env) { sample(t, env) },
		"a shorter one": func(t *testing.T, env *bustest.Env) {
			commit(t, env, ledgertest.Escalated(1, nil))
		},
		"an empty one": func(*testing.T, *bustest.Env) {},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			env := bustest.Start(t)
			sample(t, env)
			commit(t, env, ledgertest.Escalated(20, nil))
			indexed(t, env, dir)
			env = bustest.Start(t)
			other(t, env)
			require.Equal(t, indexed(t, env, t.TempDir()), indexed(t, env, dir))
		})
	}
}

// TestQuery_DatesBeyondNanoseconds: a date beyond the range of nanoseconds is as valid as any.
func TestQuery_DatesBeyondNanoseconds(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	commit(t, env, ledgertest.Escalated(1, nil), ledgertest.Escalated(2, nil))
	serve(t, env, t.TempDir(), clock.NewManual(ledgertest.Nine))
	year := func(n int) *time.Time { at := time.Date(n, 1, 1, 0, 0, 0, 0, time.UTC); return &at }
	for _, c := range []struct {
		q    api.Query
		rows int
	}{
		{api.Query{Until: year(9999)}, 2}, {api.Query{Since: year(1600)}, 2}, {api.Query{Since: year(1600), Until: year(9999)}, 2},
		{api.Query{Since: year(9999)}, 0}, {api.Query{Until: year(1600)}, 0},
	} {
		a := ask[api.QueryAnswer](t, env, api.EndpointQuery, c.q)
		require.Len(t, a.Rows, c.rows, "%+v", c.q)
	}
	for at, want := range map[*time.Time]uint64{year(9999): 3, year(1600): 1} {
		seq, err := env.Bus.SequenceAt(ledgertest.Anyone(t), *at)
		require.NoError(t, err)
		require.Equal(t, want, seq)
	}
}
