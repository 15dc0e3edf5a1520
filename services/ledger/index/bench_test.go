package index

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// BenchmarkApply indexes the records that follow from reports: each is accepted, graded,
// escalated to two desks and acknowledged by one, in bodies of some 2 to 6 KiB. A batch
// is the number of records waiting at once: many while an index is built, few otherwise.
func BenchmarkApply(b *testing.B) {
	for _, size := range []int{1, 20, 1000} {
		b.Run(fmt.Sprint("batch-", size), func(b *testing.B) {
			x, err := Open(ledgertest.Anyone(b), b.TempDir())
			require.NoError(b, err)
			defer x.Close() // a benchmark's
			const reports = 2000
			records := make([]event.Stored, 0, 5*reports)
			n := 0
			for b.Loop() {
				if n == 0 || n+size > len(records) {
					b.StopTimer()
					records, n = ledgertest.Traffic(reports, cap(records), records), 0
					b.StartTimer()
				}
				unreadable, err := x.apply(ledgertest.Anyone(b), records[n:n+size])
				require.NoError(b, err)
				require.Empty(b, unreadable)
				n += size
			}
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
