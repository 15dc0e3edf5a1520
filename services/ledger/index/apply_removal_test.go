package index

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// removes makes the removal of n records from first on, except those in stay.
func removes(first uint64, n int, why string, stay func(record uint64) bool) event.Record {
	r := event.Removal{First: first, Basis: why, Officer: "archive", At: ledgertest.Nine, Entries: make([]evidence.Hash, n)}
	for i := range r.Entries {
		if !stay(first + uint64(i)) {
			r.Entries[i] = evidence.Hash{1}
		}
	}
	if why == event.BasisOrder {
		r.Operator, r.Incident, r.Type = "grid-east", "a", event.KindGraded
	}
	return ledgertest.Must(event.NewRecord(event.RemovedSubject(first), ledgertest.Nine, "", r))
}

// history is records in order, each subject once, and their removals.
type history struct {
	all  []event.Stored
	left []event.Stored // what the stream has after the removals
}

func anyHistory(t *rapid.T) (h history) {
	subjects := map[string]bool{}
	gone := map[uint64]bool{}
	for _, r := range rapid.SliceOfN(rapid.Custom(ledgertest.AnyRecord), 1, 60).Draw(t, "records") {
		seq := uint64(len(h.all) + 1)
		if seq > 1 && rapid.IntRange(0, 7).Draw(t, "removal") == 0 {
			first := rapid.Uint64Range(1, seq-1).Draw(t, "first")
			n := rapid.IntRange(1, min(6, int(seq-first))).Draw(t, "run")
			r = removes(first, n, rapid.SampledFrom([]string{event.BasisOrder, event.BasisRetention}).Draw(t, "why"), func(record uint64) bool {
				removal := event.ParseSubject(h.all[record-1].Subject).Kind == event.KindRemoved
				return removal || gone[record] || rapid.IntRange(0, 4).Draw(t, "stays") == 0
			})
			if subjects[r.Subject] {
				continue
			}
			removal, err := event.Decode[event.Removal](event.Stored{Record: r})
			require.NoError(t, err)
			for record := first; record <= removal.Last(); record++ {
				if _, is := removal.Entry(record); is {
					gone[record] = true
					delete(subjects, h.all[record-1].Subject) // the subject is free again
				}
			}
		}
		if subjects[r.Subject] {
			continue
		}
		subjects[r.Subject] = true
		h.all = append(h.all, event.Stored{Record: r, Sequence: seq, StoredAt: ledgertest.Nine})
	}
	if end := uint64(len(h.all)); gone[end] { // a stream keeps its last record
		r := ledgertest.Must(event.NewRecord(event.AwaySubject("end", ledgertest.Nine), ledgertest.Nine, "", event.Away{Desk: "end"}))
		h.all = append(h.all, event.Stored{Record: r, Sequence: end + 1, StoredAt: ledgertest.Nine})
	}
	for _, s := range h.all {
		if !gone[s.Sequence] {
			h.left = append(h.left, s)
		}
	}
	return h
}

// answersOf returns the answers to every kind of query.
func answersOf(t require.TestingT, x *Index) (out []string) {
	ctx := context.Background()
	say := func(answer any, err error) {
		require.NoError(t, err)
		out = append(out, string(jsonOf(t, answer)))
	}
	at := func(hours int) *time.Time { return ledgertest.In(time.Duration(hours) * time.Hour) }
	queries := []api.Query{
		{}, {Desk: "one"}, {Operator: "grid-east"}, {Operator: "nobody"}, {Unacknowledged: true}, {Overdue: true}, {Overdue: true, Desk: "two"},
		{Grade: "major"}, {Grade: "ungraded", Desk: "two"}, {Text: "故障"}, {Text: "障"}, {Text: "pump 故"}, {Text: "泵房故"}, {Text: "房故"},
		{Region: "310000"}, {Region: "650000"}, {Region: "650100"}, {Sector: "water"}, {Sector: "energy", Region: "65"}, {Statute: "s1"},
		{Since: at(1)}, {Until: at(1)}, {Since: at(1), Until: at(2), Desk: "one"}, {Cursor: "7"}, {Cursor: "7", Unacknowledged: true}, {Limit: 2}, {Limit: 1, Overdue: true},
	}
	for i, q := range queries {
		now := []time.Time{ledgertest.Nine, *at(3)}[i/2%2]
		say(x.Escalations(ctx, q, now))
		say(x.Stats(ctx, api.StatsQuery{By: api.StatsDimensions[i%6], Query: q}, now))
	}
	for _, q := range []api.IncidentQuery{
		{}, {Desk: "one"}, {Desk: "one", Open: true}, {Desk: "two", Open: true}, {Owed: true}, {Open: true}, {Incident: "a"}, {Operator: "grid-east", Incident: "b"},
		{Operator: "nobody"}, {Grade: "major"}, {Text: "故障"}, {Text: "b"}, {Limit: 1}, {Cursor: "9"},
	} {
		say(x.Incidents(ctx, q))
	}
	for _, incident := range []string{"a", "b"} {
		say(x.Story(ctx, api.ShowRequest{Operator: "grid-east", Incident: incident}))
	}
	return out
}

// An index that saw records being removed equals one that was built after their removal:
// in all answers, for any size of chunk, also after it was reopened.
func TestRemoval_IndexEqualsOneBuiltAfterIt(t *testing.T) {
	t.Parallel()
	made := indexes{top: t.TempDir()}
	rapid.Check(t, func(t *rapid.T) {
		h := anyHistory(t)
		rebuilt := made.build(t, postings.ChunkShift, h.left)
		want := answersOf(t, rebuilt)
		made.close(t, rebuilt)
		shift := rapid.SampledFrom([]int{2, 4, postings.ChunkShift}).Draw(t, "shift")
		saw := made.build(t, shift, h.all)
		require.Equal(t, want, answersOf(t, saw))
		made.close(t, saw)
		saw = made.openIn(t, filepath.Dir(saw.path), shift)
		require.Equal(t, want, answersOf(t, saw))
		made.close(t, saw)
	})
}

// Nothing of a record removed by order is left in the file.
func TestRemoval_ErasesTheRecordFromTheFile(t *testing.T) {
	t.Parallel()
	for _, shift := range []int{2, postings.ChunkShift} {
		made := indexes{top: t.TempDir()}
		x := made.open(t, shift)
		secret := func(e *event.Escalated) {
			e.Change.Reason, e.Report = "XYZZYSECRET", []byte(`{"title":"plughsecret"}`)
		}
		var batch []event.Stored
		for n := range 12 {
			change := func(*event.Escalated) {}
			if n == 4 {
				change = secret
			}
			batch = append(batch, event.Stored{Record: ledgertest.Escalated(n+1, change), Sequence: uint64(n + 1), StoredAt: ledgertest.Nine})
		}
		_, err := x.apply(ledgertest.Anyone(t), batch)
		require.NoError(t, err)
		page, err := x.Escalations(ledgertest.Anyone(t), api.Query{Text: "plughsecret"}, ledgertest.Nine)
		require.NoError(t, err)
		require.Equal(t, []int{5}, ledgertest.Revisions(page.Rows))
		_, err = x.apply(ledgertest.Anyone(t), []event.Stored{{Record: removes(5, 1, event.BasisOrder, func(uint64) bool { return false }), Sequence: 13, StoredAt: ledgertest.Nine}})
		require.NoError(t, err)
		page, err = x.Escalations(ledgertest.Anyone(t), api.Query{}, ledgertest.Nine)
		require.NoError(t, err)
		require.Equal(t, []int{1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12}, ledgertest.Revisions(page.Rows))
		require.NoError(t, x.Close())
		for _, name := range []string{x.path, x.path + "-wal"} {
			require.NotContains(t, fileText(t, name), "plughsecret", name)
		}
	}
}

// A story keeps its remaining records, and shows what was removed by order.
func TestRemoval_IsInTheStory(t *testing.T) {
	t.Parallel()
	made := indexes{top: t.TempDir()}
	x := made.open(t, postings.ChunkShift)
	defer x.Close() // a test's
	nothing := func(uint64) bool { return false }
	var batch []event.Stored
	for i, r := range []event.Record{
		ledgertest.Graded("a", 1, nil), ledgertest.Graded("a", 2, ledgertest.Owing), ledgertest.EscalatedTo("one", "a", "1", event.ActReport),
		removes(2, 1, event.BasisOrder, nothing), ledgertest.Graded("b", 1, nil), removes(5, 1, event.BasisRetention, nothing),
	} {
		batch = append(batch, event.Stored{Record: r, Sequence: uint64(i + 1), StoredAt: ledgertest.Nine})
	}
	_, err := x.apply(ledgertest.Anyone(t), batch)
	require.NoError(t, err)
	entries, err := x.Story(ledgertest.Anyone(t), api.ShowRequest{Operator: "grid-east", Incident: "a"})
	require.NoError(t, err)
	var types []string
	for _, e := range entries {
		types = append(types, fmt.Sprint(e.Record, e.Type))
	}
	require.Equal(t, []string{"1graded", "3escalated", "4removed"}, types)
	page, err := x.Incidents(ledgertest.Anyone(t), api.IncidentQuery{})
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, ledgertest.Incidents(page))
	require.Equal(t, 1, page.Rows[0].Revision, "the revision before it")
	require.Equal(t, []string{"one"}, page.Rows[0].Desks)
	require.Empty(t, page.Rows[0].Owed)
	entries, err = x.Story(ledgertest.Anyone(t), api.ShowRequest{Operator: "grid-east", Incident: "b"})
	require.NoError(t, err)
	require.Empty(t, entries)
	require.False(t, slices.ContainsFunc(dumpOf(t, x), func(line string) bool { return line == "incidents[2 grid-east b 5 1]" }))
}
