package ledger

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

func jsonOf(t require.TestingT, v any) []byte {
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return raw
}

func fileText(t *testing.T, name string) string {
	raw, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		return ""
	}
	require.NoError(t, err)
	return string(raw)
}

// A page for which many titles are read ends early, and its cursor continues: the pages
// together have every match, once.
func TestAPageOfTitlesThatDoNotFit(t *testing.T) {
	t.Parallel()
	x := (&indexes{top: t.TempDir()}).open(t, 2)
	defer x.close() //nolint:errcheck // a test's
	var batch []event.Stored
	var want []int
	const most = 9 * pageTitles // records
	for n := 1; n <= most; n++ {
		title := `{"title":"电网，网调"}` // has both pairs of the word, not the word
		if n%300 == 0 || n == most {
			title, want = `{"title":"电网调"}`, append(want, n)
		}
		r := told(n, func(e *event.Escalated) { e.Report = json.RawMessage(title) })
		batch = append(batch, event.Stored{Record: r, Sequence: uint64(n), StoredAt: nine})
	}
	_, err := x.apply(anyone(t), batch)
	require.NoError(t, err)
	for _, limit := range []int{0, 1, 2} {
		q, got, pages := api.Query{Text: "电网调", Limit: limit}, []int{}, 0
		for {
			page, err := x.query(anyone(t), q, nine)
			require.NoError(t, err)
			got, pages = append(got, revisions(page.Rows)...), pages+1
			after, err := sequenceOf(q.Cursor)
			require.NoError(t, err)
			page.Through = most
			seen, err := seenBy(page)
			require.NoError(t, err)
			require.Greater(t, seen, after, "a stream of events goes on behind a page without rows")
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
		require.Equal(t, want, got)
		require.Greater(t, pages, 2)
	}
}

// Damaged postings cause a rebuild of the index.
func TestDamagedPostings(t *testing.T) {
	t.Parallel()
	x := (&indexes{top: t.TempDir()}).open(t, 2)
	defer x.close() //nolint:errcheck // a test's
	for n := 1; n <= 9; n++ {
		_, err := x.apply(anyone(t), []event.Stored{{Record: told(n, nil), Sequence: uint64(n), StoredAt: nine}})
		require.NoError(t, err)
	}
	_, err := x.writer.ExecContext(anyone(t), "UPDATE postings SET bits = x'010203' WHERE spot >= ? AND spot < ?", spot{1, 0}.number(), spot{2, 0}.number())
	require.NoError(t, err)
	for _, q := range []api.Query{{}, {Text: "故障"}, {Text: "障"}, {Desk: "protection-energy"}} {
		_, err = x.query(anyone(t), q, nine)
		require.True(t, isDamaged(err), "%v: %v", q, err)
	}
	_, err = x.stats(anyone(t), api.StatsQuery{By: "desk"}, nine)
	require.True(t, isDamaged(err))
	_, err = x.writer.ExecContext(anyone(t), "UPDATE escalations SET row = x'010203'")
	require.NoError(t, err)
	_, err = x.query(anyone(t), api.Query{Limit: 1}, nine)
	require.True(t, isDamaged(err))
}

// A failed transaction leaves nothing behind, not in memory either.
func TestABatchThatFails(t *testing.T) {
	t.Parallel()
	x := (&indexes{top: t.TempDir()}).open(t, 2)
	defer x.close() //nolint:errcheck // a test's
	var batch []event.Stored
	for n := 1; n <= 7; n++ {
		batch = append(batch, event.Stored{Record: told(n, nil), Sequence: uint64(n), StoredAt: nine})
	}
	_, err := x.apply(anyone(t), batch[:5])
	require.NoError(t, err)
	before := dumpOf(t, x)
	twice := []event.Stored{batch[5], batch[6], batch[5]}
	twice[0].Subject = told(50, func(e *event.Escalated) { e.Desk = "never-met" }).Subject
	_, err = x.apply(anyone(t), twice)
	require.Error(t, err, "a sequence comes once")
	require.Equal(t, before, dumpOf(t, x))
	_, err = x.apply(anyone(t), batch[5:])
	require.NoError(t, err)
	page, err := x.query(anyone(t), api.Query{}, nine)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3, 4, 5, 6, 7}, revisions(page.Rows))
}

// TestFarDates: a date beyond the range of nanoseconds is as valid as any.
func TestFarDates(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	commit(t, env, told(1, nil), told(2, nil))
	serve(t, env, t.TempDir(), clock.NewManual(nine))
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
		seq, err := env.Bus.SequenceAt(anyone(t), *at)
		require.NoError(t, err)
		require.Equal(t, want, seq)
	}
}
