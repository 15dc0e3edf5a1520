package export

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// bulky is a record of some 1.5 KB, as graded ones are.
func bulky(sequence uint64) evidence.Record {
	return evidence.Record{
		Sequence: sequence,
		Subject:  fmt.Sprintf("incident.graded.grid-east.inc-%d.1", sequence),
		Header: map[string][]string{
			"ce-id": {strconv.FormatUint(sequence, 10)}, "ce-source": {"urn:tocsin:operator:grid-east"}, "ce-specversion": {"1.0"},
			"ce-time": {"2026-03-01T08:00:00.000Z"}, "ce-type": {"tocsin.graded.v1"}, "tocsin-salt": {fmt.Sprintf("%032x", sequence)},
		},
		Body: fmt.Appendf(nil, `{"title":"清算系统中断 %d","hits":[%s{}]}`, sequence,
			strings.Repeat(`{"criterion":"outage-major","grade":"major","citation":"第十一条"},`, 17)),
	}
}

// BenchmarkExport exports and verifies as many records as TOCSIN_ENTRIES says, or
// 100,000; a tenth of that with -short.
//
//	go test -run '^$' -bench 'Export' -benchtime 1x ./internal/evidence/export
func BenchmarkExport(b *testing.B) {
	n := uint64(100_000)
	if testing.Short() {
		n = 10_000
	}
	if text := os.Getenv("TOCSIN_ENTRIES"); text != "" {
		var err error
		n, err = strconv.ParseUint(text, 10, 64)
		require.NoError(b, err)
	}
	tree := b.TempDir()
	cp := bulkyTree(b, tree, n)
	v, err := evidence.NewVerifier(testKey().Verifier())
	require.NoError(b, err)
	dir := filepath.Join(b.TempDir(), "export")
	write := func() {
		require.NoError(b, os.RemoveAll(dir))
		e, err := Create(dir, Manifest{Key: testKey().Verifier(), First: 1, Last: n, Made: made}, cp.Note, evidence.Dir(tree))
		require.NoError(b, err)
		for i := range n {
			if err := e.Add(bulky(i + 1)); err != nil {
				b.Fatal(err)
			}
		}
		_, err = e.Close()
		require.NoError(b, err)
	}
	write()
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			write()
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			r, err := Verify(b.Context(), dir, v, nil, nil)
			require.NoError(b, err)
			require.Empty(b, r.Findings)
			require.Equal(b, n, r.Records)
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("tiles", func(b *testing.B) {
		for b.Loop() {
			root, err := os.OpenRoot(dir)
			require.NoError(b, err)
			c := &check{ctx: b.Context(), root: root, verifier: v}
			c.files, err = c.inventory()
			require.NoError(b, err)
			require.True(b, c.readManifest())
			c.tree, err = evidence.ProveTree(c, cp)
			require.NoError(b, err)
			c.checkTiles()
			require.Empty(b, c.finish().Findings)
			require.Equal(b, n, c.entries.Load())
			require.NoError(b, root.Close())
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	})
}

func bulkyTree(b *testing.B, dir string, n uint64) evidence.Checkpoint {
	tree, err := evidence.OpenTree(dir, 0)
	require.NoError(b, err)
	for i := range n {
		require.NoError(b, tree.Append(bulky(i+1).Entry()))
	}
	require.NoError(b, tree.Write())
	cp, err := testKey().Sign(n, tree.Root())
	require.NoError(b, err)
	return cp
}

func BenchmarkParseLine(b *testing.B) {
	r := bulky(1)
	line := r.Line()
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if _, err := evidence.ParseLine(line); err != nil {
			b.Fatal(err)
		}
	}
}
