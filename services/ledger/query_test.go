package ledger

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

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

// A page that reads many titles in vain ends early, and its cursor goes on: the
// pages together have what there is, once.
func TestAPageOfTitlesThatDoNotFit(t *testing.T) {
	t.Parallel()
	x := (&indexes{top: t.TempDir()}).open(t, 10)
	defer x.close() //nolint:errcheck // a test's
	var batch []event.Stored
	var want []int
	for n := 1; n <= 2*misses+20; n++ {
		title := `{"title":"电网，网调"}` // has both pairs of the word, not the word
		if n%700 == 0 || n == 2*misses+20 {
			title, want = `{"title":"电网调"}`, append(want, n)
		}
		r := told(n, func(e *event.Escalated) { e.Report = json.RawMessage(title) })
		batch = append(batch, event.Stored{Record: r, Sequence: uint64(n), StoredAt: nine})
	}
	_, err := x.apply(t.Context(), batch)
	require.NoError(t, err)
	for _, limit := range []int{0, 1, 2} {
		q, got, pages := event.Query{Text: "电网调", Limit: limit}, []int{}, 0
		for {
			page, err := x.query(t.Context(), q, nine)
			require.NoError(t, err)
			got, pages = append(got, revisions(page.Rows)...), pages+1
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
		require.Equal(t, want, got)
		require.Greater(t, pages, 2)
	}
}

// Postings that are not what was written have the index made again.
func TestDamagedPostings(t *testing.T) {
	t.Parallel()
	x := (&indexes{top: t.TempDir()}).open(t, 2)
	defer x.close() //nolint:errcheck // a test's
	for n := 1; n <= 9; n++ {
		_, err := x.apply(t.Context(), []event.Stored{{Record: told(n, nil), Sequence: uint64(n), StoredAt: nine}})
		require.NoError(t, err)
	}
	_, err := x.writer.ExecContext(t.Context(), "UPDATE postings SET bits = x'010203' WHERE chunk = 1")
	require.NoError(t, err)
	for _, q := range []event.Query{{}, {Text: "故障"}, {Text: "障"}, {Desk: "protection-energy"}} {
		_, err = x.query(t.Context(), q, nine)
		require.True(t, isDamaged(err), "%v: %v", q, err)
	}
	_, err = x.stats(t.Context(), event.StatsQuery{By: "desk"}, nine)
	require.True(t, isDamaged(err))
	_, err = x.writer.ExecContext(t.Context(), "UPDATE escalations SET row = x'010203'")
	require.NoError(t, err)
	_, err = x.query(t.Context(), event.Query{Limit: 1}, nine)
	require.True(t, isDamaged(err))
}

// A transaction that fails leaves nothing behind, in memory neither.
func TestABatchThatFails(t *testing.T) {
	t.Parallel()
	x := (&indexes{top: t.TempDir()}).open(t, 2)
	defer x.close() //nolint:errcheck // a test's
	var batch []event.Stored
	for n := 1; n <= 7; n++ {
		batch = append(batch, event.Stored{Record: told(n, nil), Sequence: uint64(n), StoredAt: nine})
	}
	_, err := x.apply(t.Context(), batch[:5])
	require.NoError(t, err)
	before := dumpOf(t, x)
	twice := []event.Stored{batch[5], batch[6], batch[5]}
	twice[0].Subject = told(50, func(e *event.Escalated) { e.Desk = "never-met" }).Subject
	_, err = x.apply(t.Context(), twice)
	require.Error(t, err, "a sequence comes once")
	require.Equal(t, before, dumpOf(t, x))
	_, err = x.apply(t.Context(), batch[5:])
	require.NoError(t, err)
	page, err := x.query(t.Context(), event.Query{}, nine)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3, 4, 5, 6, 7}, revisions(page.Rows))
}
