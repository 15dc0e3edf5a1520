package evidence

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// benchEntries is the size of the log that the benchmarks measure: a million, a
// twentieth of it with -short, or TOCSIN_ENTRIES.
func benchEntries(b *testing.B) uint64 {
	text := os.Getenv("TOCSIN_ENTRIES")
	switch {
	case text == "" && testing.Short():
		return 50_000
	case text == "":
		return 1_000_000
	}
	n, err := strconv.ParseUint(text, 10, 40)
	require.NoError(b, err)
	require.Positive(b, n)
	return n
}

// batches yields n entries in all, 1000 at a time.
func batches(n uint64, each func([]Hash)) {
	var batch []Hash
	for i := range n {
		batch = append(batch, sha256.Sum256(binary.BigEndian.AppendUint64(nil, i)))
		if len(batch) == 1000 || i == n-1 {
			each(batch)
			batch = batch[:0]
		}
	}
}

func perSecond(b *testing.B, n uint64, spent time.Duration) {
	b.ReportMetric(float64(n)*float64(b.N)/spent.Seconds(), "entries/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkAppend measures the cost of an entry for the tree alone, and with its durable
// files, with a Write after each 50,000 entries.
func BenchmarkAppend(b *testing.B) {
	n := benchEntries(b)
	b.Run("memory", func(b *testing.B) {
		var spent time.Duration
		for b.Loop() {
			e := &edge{}
			batches(n, func(batch []Hash) {
				began := time.Now()
				for _, entry := range batch {
					e.add(entry, func(TilePath, []byte) {})
				}
				spent += time.Since(began)
			})
		}
		perSecond(b, n, spent)
	})
	b.Run("files", func(b *testing.B) {
		var spent time.Duration
		for b.Loop() {
			tree, err := OpenTree(b.TempDir(), 0)
			require.NoError(b, err)
			batches(n, func(batch []Hash) {
				began := time.Now()
				err := tree.Append(batch...)
				if err == nil && (tree.Size()%50_000 == 0 || tree.Size() == n) {
					err = tree.Write()
				}
				spent += time.Since(began)
				require.NoError(b, err)
			})
		}
		perSecond(b, n, spent)
	})
}

// BenchmarkWrite measures the cost of a checkpoint when records come one at a time: an
// entry, its tiles made durable, and the root.
func BenchmarkWrite(b *testing.B) {
	tree, err := OpenTree(b.TempDir(), 0)
	require.NoError(b, err)
	require.NoError(b, tree.Append(entriesOf(3, 70_000)...))
	require.NoError(b, tree.Write())
	for b.Loop() {
		require.NoError(b, tree.Append(Hash{1}))
		require.NoError(b, tree.Write())
		tree.Root()
	}
}

// BenchmarkLog measures reading a large log from its folder.
func BenchmarkLog(b *testing.B) {
	n := benchEntries(b)
	dir := b.TempDir()
	tree, err := OpenTree(dir, 0)
	require.NoError(b, err)
	batches(n, func(batch []Hash) { require.NoError(b, tree.Append(batch...)) })
	require.NoError(b, tree.Write())
	tiles, cp := Dir(dir), Checkpoint{Size: n, Root: tree.Root()}

	proofs := func(prove func(at uint64) error) func(b *testing.B) {
		return func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 2))
			var took []time.Duration
			for b.Loop() {
				for range 1000 {
					at, began := random.Uint64N(n), time.Now()
					require.NoError(b, prove(at))
					took = append(took, time.Since(began))
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(0, "ns/op")
		}
	}
	b.Run("ProveInclusion", proofs(func(at uint64) error {
		_, err := ProveInclusion(tiles, n, at)
		return err
	}))
	b.Run("ProveConsistency", proofs(func(at uint64) error {
		_, err := ProveConsistency(tiles, at, n)
		return err
	}))
	b.Run("CheckTiles", func(b *testing.B) {
		began := time.Now()
		for b.Loop() {
			require.NoError(b, CheckTiles(context.Background(), tiles, cp))
		}
		perSecond(b, n, time.Since(began))
	})
	b.Run("OpenTree", func(b *testing.B) {
		for b.Loop() {
			tree, err := OpenTree(dir, n)
			require.NoError(b, err)
			require.Equal(b, cp.Root, tree.Root())
		}
	})
}

// BenchmarkSignReceipt measures the extra cost of a receipt where there are identities,
// signed alone and with fifteen others.
func BenchmarkSignReceipt(b *testing.B) {
	key := NewReceiptKey()
	entry := Hash{7}
	r := Receipt{Status: "accepted", Operator: "mill", Incident: "flood", Report: "r1", Digest: strings.Repeat("ab", 32), ReceivedAt: &receivedAt, Record: 17, Entry: &entry}
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprint("of-", n), func(b *testing.B) {
			receipts := slices.Repeat([]Receipt{r}, n)
			b.ReportAllocs()
			for b.Loop() {
				key.Sign(receipts, "certificate")
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/receipt")
		})
	}
}
