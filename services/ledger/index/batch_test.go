package index

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// For any records in any batches, an index built in batches equals one built at once, and
// the revision with the highest number is current.
func TestWrite_AnyBatchesGiveTheSameIndex(t *testing.T) {
	t.Parallel()
	made := indexes{top: t.TempDir()}
	build := func(t *rapid.T, records []event.Stored, size func() int) []string {
		x := made.open(t, postings.ChunkShift)
		defer made.close(t, x)
		for len(records) > 0 {
			k := min(size(), len(records))
			_, err := x.apply(context.Background(), records[:k])
			require.NoError(t, err)
			records = records[k:]
		}
		return dumpOf(t, x)
	}
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOfN(rapid.Custom(ledgertest.AnyRecord), 1, 40).Draw(t, "records")
		stored := make([]event.Stored, len(records))
		last := map[string]int{}
		for i, r := range records {
			stored[i] = event.Stored{Record: r, Sequence: uint64(i + 1), StoredAt: ledgertest.Nine}
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
