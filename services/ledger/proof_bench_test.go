package ledger

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// BenchmarkTree makes the tree of a stream from nothing, checks the whole record
// against it and proves records. TOCSIN_RECORDS chooses how many there are, and
// TOCSIN_DIR a folder that keeps the stream from one run to the next.
func BenchmarkTree(b *testing.B) {
	n := 20_000
	if chosen, err := strconv.Atoi(os.Getenv("TOCSIN_RECORDS")); err == nil {
		n = chosen
	}
	w := &world{t: b, dir: os.Getenv("TOCSIN_DIR")}
	if w.dir == "" {
		w.dir = b.TempDir()
	}
	require.NoError(b, w.open())
	state, err := w.env.Bus.State(b.Context())
	require.NoError(b, err)
	if state.Last < uint64(n) {
		w.write(n - int(state.Last))
	}
	state, err = w.env.Bus.State(b.Context())
	require.NoError(b, err)
	for b.Loop() {
		require.NoError(b, os.RemoveAll(w.tiles()))
		w.ledger, err = Open(b.Context(), w.deps())
		require.NoError(b, err)
		p := w.ledger.proof
		report := func(what string, began time.Time) {
			b.ReportMetric(float64(state.Last)/time.Since(began).Seconds(), what)
		}

		began := time.Now()
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.certify(ctx) }()
		for p.readable() < state.Last {
			require.Empty(b, p.Damage())
			time.Sleep(time.Millisecond)
		}
		report("tree-records/s", began)

		began = time.Now()
		require.NoError(b, p.compare(ctx, 1, state.Last, nil))
		report("compared-records/s", began)
		began = time.Now()
		require.NoError(b, evidence.CheckTiles(ctx, p.folder, p.last(), nil))
		report("checked-entries/s", began)

		for what, prove := range map[string]func(record uint64) error{
			"path": func(record uint64) error {
				_, err := evidence.ProveInclusion(p.folder, state.Last, record-1)
				return err
			},
			"proof": func(record uint64) error { // with the record, which the engine reads with its block
				_, err := p.prove(ctx, event.ProveRequest{Record: record})
				return err
			},
		} {
			var took []time.Duration
			for range 2000 {
				began := time.Now()
				require.NoError(b, prove(1+rand.Uint64N(state.Last)))
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), what+"-p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), what+"-p99-µs")
		}
		require.Empty(b, p.Damage())
		cancel()
		<-ended
	}
	b.ReportMetric(0, "ns/op")
	size := int64(0)
	require.NoError(b, filepath.Walk(w.tiles(), func(_ string, info os.FileInfo, err error) error { size += info.Size(); return err }))
	b.ReportMetric(float64(size)/float64(state.Last), "tile-B/record")
}
