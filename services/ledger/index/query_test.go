package index

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
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
func TestEscalations_PageEndsAfterManyTitles(t *testing.T) {
	t.Parallel()
	x := (&indexes{top: t.TempDir()}).open(t, 2)
	defer x.Close() // a test's
	var batch []event.Stored
	var want []int
	const most = 9 * pageTitles // records
	for n := 1; n <= most; n++ {
		title := `{"title":"电网，网调"}` // has both pairs of the word, not the word
		if n%300 == 0 || n == most {
			title, want = `{"title":"电网调"}`, append(want, n)
		}
		r := ledgertest.Escalated(n, func(e *event.Escalated) { e.Report = jsontext.Value(title) })
		batch = append(batch, event.Stored{Record: r, Sequence: uint64(n), StoredAt: ledgertest.Nine})
	}
	_, err := x.apply(ledgertest.Anyone(t), batch)
	require.NoError(t, err)
	for _, limit := range []int{0, 1, 2} {
		q, got, pages := api.Query{Text: "电网调", Limit: limit}, []int{}, 0
		for {
			page, err := x.Escalations(ledgertest.Anyone(t), q, ledgertest.Nine)
			require.NoError(t, err)
			got, pages = append(got, ledgertest.Revisions(page.Rows)...), pages+1
			after, err := ParseCursor(q.Cursor)
			require.NoError(t, err)
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
			next, err := ParseCursor(q.Cursor)
			require.NoError(t, err)
			require.Greater(t, next, after, "the cursor moves on behind a page without rows")
		}
		require.Equal(t, want, got)
		require.Greater(t, pages, 2)
	}
}

// Damaged postings cause a rebuild of the index.
func TestDamagedPostings(t *testing.T) {
	t.Parallel()
	x := (&indexes{top: t.TempDir()}).open(t, 2)
	defer x.Close() // a test's
	for n := 1; n <= 9; n++ {
		_, err := x.apply(ledgertest.Anyone(t), []event.Stored{{Record: ledgertest.Escalated(n, nil), Sequence: uint64(n), StoredAt: ledgertest.Nine}})
		require.NoError(t, err)
	}
	_, err := x.writer.ExecContext(ledgertest.Anyone(t), "UPDATE postings SET bits = x'010203' WHERE spot >= ? AND spot < ?", spot{1, 0}.number(), spot{2, 0}.number())
	require.NoError(t, err)
	for _, q := range []api.Query{{}, {Text: "故障"}, {Text: "障"}, {Desk: "protection-energy"}} {
		_, err = x.Escalations(ledgertest.Anyone(t), q, ledgertest.Nine)
		require.True(t, isDamaged(err), "%v: %v", q, err)
	}
	_, err = x.Stats(ledgertest.Anyone(t), api.StatsQuery{By: "desk"}, ledgertest.Nine)
	require.True(t, isDamaged(err))
	_, err = x.writer.ExecContext(ledgertest.Anyone(t), "UPDATE escalations SET row = x'010203'")
	require.NoError(t, err)
	_, err = x.Escalations(ledgertest.Anyone(t), api.Query{Limit: 1}, ledgertest.Nine)
	require.True(t, isDamaged(err))
}

// A failed transaction leaves nothing behind, not in memory either.
func TestWrite_FailureLeavesNothing(t *testing.T) {
	t.Parallel()
	x := (&indexes{top: t.TempDir()}).open(t, 2)
	defer x.Close() // a test's
	var batch []event.Stored
	for n := 1; n <= 7; n++ {
		batch = append(batch, event.Stored{Record: ledgertest.Escalated(n, nil), Sequence: uint64(n), StoredAt: ledgertest.Nine})
	}
	_, err := x.apply(ledgertest.Anyone(t), batch[:5])
	require.NoError(t, err)
	before := dumpOf(t, x)
	twice := []event.Stored{batch[5], batch[6], batch[5]}
	twice[0].Subject = ledgertest.Escalated(50, func(e *event.Escalated) { e.Desk = "never-met" }).Subject
	_, err = x.apply(ledgertest.Anyone(t), twice)
	require.Error(t, err, "a sequence comes once")
	require.Equal(t, before, dumpOf(t, x))
	_, err = x.apply(ledgertest.Anyone(t), batch[5:])
	require.NoError(t, err)
	page, err := x.Escalations(ledgertest.Anyone(t), api.Query{}, ledgertest.Nine)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3, 4, 5, 6, 7}, ledgertest.Revisions(page.Rows))
}
