package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

// BenchmarkScale asks an index of TOCSIN_RECORDS generated records every kind of
// question. TOCSIN_DIR keeps the index, so that a large one is made once.
func BenchmarkScale(b *testing.B) {
	size, dir := 20_000, os.Getenv("TOCSIN_DIR")
	if n := os.Getenv("TOCSIN_RECORDS"); n != "" {
		var err error
		size, err = strconv.Atoi(n)
		require.NoError(b, err)
	}
	if dir == "" {
		dir = b.TempDir()
	}
	x, err := openIndex(b.Context(), dir)
	require.NoError(b, err)
	var took, cpu time.Duration
	if x.seq < uint64(size) {
		require.Zero(b, x.seq, "the index in TOCSIN_DIR is shorter: remove it")
		took, cpu = buildScale(b, x, size)
	}
	require.NoError(b, x.close())
	began := time.Now()
	x, err = openIndex(b.Context(), dir)
	require.NoError(b, err)
	opened := time.Since(began)
	defer x.close() //nolint:errcheck // a benchmark's
	info, err := os.Stat(filepath.Join(dir, "index.sqlite"))
	require.NoError(b, err)

	g := newGenerator(7)
	for b.Loop() {
		for _, kind := range scaleQuestions(g, uint64(size)) {
			askScale(b, x, kind, min(300, 20+size/3000))
		}
	}
	if took > 0 {
		b.ReportMetric(float64(size)/took.Seconds(), "records/s")
		b.ReportMetric(float64(cpu.Microseconds())/float64(size), "cpu-µs/record")
	}
	b.ReportMetric(float64(opened.Milliseconds()), "open-ms")
	b.ReportMetric(float64(info.Size())/float64(size), "B/record")
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc>>20), "heap-MB")
	b.ReportMetric(residentMB(), "RSS-MB")
}

// buildScale indexes generated records, and returns the time and the processor's
// time for that without generating them. While some are written the next are
// decoded, as when an index is made again from the stream.
func buildScale(b *testing.B, x *index, size int) (took, cpu time.Duration) {
	g := newGenerator(7)
	const atATime = 20_000
	for done := 0; done < size; done += atATime {
		records := g.records(min(atATime, size-done))
		began, before := time.Now(), processorTime()
		decoded := make(chan []item, decodedAhead)
		go func() {
			defer close(decoded)
			for batch := range slices.Chunk(records, 1000) {
				decoded <- decode(batch)
			}
		}()
		for items := range decoded {
			unreadable, err := x.write(b.Context(), items)
			require.NoError(b, err)
			require.Empty(b, unreadable)
		}
		took, cpu = took+time.Since(began), cpu+processorTime()-before
		if (done+atATime)%1_000_000 == 0 {
			b.Logf("%d records, %.0f/s, RSS %.0f MB", done+atATime, float64(done+atATime)/took.Seconds(), residentMB())
		}
	}
	return took, cpu
}

// processorTime is what the process has used of all processors.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// residentMB is the greatest memory that the process has had.
func residentMB() float64 {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(raw), "VmHWM:")
	kb, _ := strconv.Atoi(strings.Fields(rest + " 0")[0])
	return float64(kb) / 1024
}

// asked is a kind of question, which makes one after another.
type asked struct {
	name string
	ask  func(context.Context, *index) (any, error)
}

func askScale(b *testing.B, x *index, kind asked, n int) {
	took := make([]time.Duration, n)
	for i := range took {
		began := time.Now()
		answer, err := kind.ask(b.Context(), x)
		require.NoError(b, err)
		raw, err := json.Marshal(answer)
		require.NoError(b, err)
		took[i] = time.Since(began)
		require.Less(b, len(raw), 1<<20)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[n/2].Microseconds())/1000, kind.name+"-p50-ms")
	b.ReportMetric(float64(took[n*99/100].Microseconds())/1000, kind.name+"-p99-ms")
}

// scaleQuestions are the kinds of questions, each drawn at random.
func scaleQuestions(g *generator, size uint64) []asked {
	r := rand.New(rand.NewPCG(3, 3))
	pick := func(n int, name func(int) string) string { return name(r.IntN(n)) }
	end := generatedStart.Add(time.Duration(size) * everyRecord)
	now := end.Add(time.Hour)
	page := func(name string, make func() event.Query) asked {
		return asked{name, func(ctx context.Context, x *index) (any, error) { return x.query(ctx, make(), now) }}
	}
	filters := []func(q *event.Query){
		func(q *event.Query) { q.Grade = event.Grades[r.IntN(4)].String() },
		func(q *event.Query) { q.Operator = pick(generatedOperators, operatorName) },
		func(q *event.Query) { q.Desk = pick(generatedDesks, deskName) },
		func(q *event.Query) { q.Region = pick(generatedRegions, regionName) },
		func(q *event.Query) { q.Region = fmt.Sprintf("%d0000", 11+r.IntN(31)) },
		func(q *event.Query) { q.Sector = pick(generatedSectors, sectorName) },
		func(q *event.Query) { q.Statute = pick(generatedStatutes, statuteName) },
		func(q *event.Query) {
			since := generatedStart.Add(time.Duration(r.Int64N(int64(end.Sub(generatedStart)))))
			until := since.Add(time.Duration(r.IntN(1000)) * time.Hour)
			q.Since, q.Until = &since, &until
		},
		func(q *event.Query) { q.Unacknowledged = true },
		func(q *event.Query) { q.Overdue = true },
		func(q *event.Query) { q.Text = anyText(g, r) },
	}
	mixed := func(n int) event.Query {
		var q event.Query
		for range n {
			filters[r.IntN(len(filters))](&q)
		}
		return q
	}
	cursor := func() string { return fmt.Sprint(r.Uint64N(size)) }
	return []asked{
		page("single", func() event.Query { return mixed(1) }),
		page("mixed", func() event.Query { return mixed(2 + r.IntN(4)) }),
		page("empty", func() event.Query { // a desk of one sector is never told of another
			sector := r.IntN(generatedSectors)
			q := mixed(r.IntN(4))
			q.Desk, q.Sector, q.Text = deskName(sector), sectorName((sector+1)%generatedSectors), ""
			return q
		}),
		page("emptiest", func() event.Query { // much of each, nothing of all
			sector := r.IntN(generatedSectors)
			return event.Query{Sector: sectorName(sector), Operator: operatorName((sector + 1) % generatedSectors), Grade: "general", Statute: statuteName(1), Region: "310000"}
		}),
		page("deep", func() event.Query { q := mixed(1 + r.IntN(2)); q.Cursor = cursor(); return q }),
		page("text", func() event.Query { return event.Query{Text: anyText(g, r)} }),
		page("text-none", func() event.Query { // each word is there, all of them never
			return event.Query{Text: strings.Join([]string{g.words[r.IntN(50)], g.words[r.IntN(50)], g.words[r.IntN(50)], g.english[r.IntN(9)]}, " "), Desk: deskName(r.IntN(generatedDesks))}
		}),
		page("text-apart", func() event.Query { // a word whose pairs are there, but never together
			a, b := []rune(g.words[r.IntN(30)]), []rune(g.words[r.IntN(30)])
			return event.Query{Text: string(a[:2]) + string(b[:2])}
		}),
		page("text-character", func() event.Query {
			return event.Query{Text: string([]rune(g.words[r.IntN(3000)])[:1]), Sector: pick(generatedSectors, sectorName)}
		}),
		{"incidents", func(ctx context.Context, x *index) (any, error) {
			return x.incidents(ctx, anyIncidentQuery(g, r, size))
		}},
		{"show", func(ctx context.Context, x *index) (any, error) {
			return x.entries(ctx, event.ShowRequest{Operator: pick(generatedOperators, operatorName), Incident: fmt.Sprintf("2025-%07d", r.IntN(int(size/6)))})
		}},
		{"stats", func(ctx context.Context, x *index) (any, error) {
			q := event.StatsQuery{By: event.StatsDimensions[r.IntN(6)], Query: mixed(r.IntN(3))}
			q.Text = ""
			return x.stats(ctx, q, now)
		}},
		{"stats-text", func(ctx context.Context, x *index) (any, error) {
			return x.stats(ctx, event.StatsQuery{By: "grade", Query: event.Query{Text: anyText(g, r)}}, now)
		}},
	}
}

func anyText(g *generator, r *rand.Rand) string {
	switch r.IntN(6) {
	case 0:
		return g.english[r.IntN(len(g.english))]
	case 1:
		return g.words[r.IntN(len(g.words))] + " " + g.english[r.IntN(len(g.english))]
	case 2:
		return g.words[r.IntN(20)]
	case 3:
		return string([]rune(g.words[r.IntN(len(g.words))])[:2])
	}
	return g.words[r.IntN(len(g.words))]
}

func anyIncidentQuery(g *generator, r *rand.Rand, size uint64) (q event.IncidentQuery) {
	for range 1 + r.IntN(4) {
		switch r.IntN(8) {
		case 0:
			q.Operator = operatorName(r.IntN(generatedOperators))
		case 1:
			q.Desk = deskName(r.IntN(generatedDesks))
		case 2:
			q.Grade = event.Grades[r.IntN(4)].String()
		case 3:
			q.Text = anyText(g, r)
		case 4:
			q.Owed = true
		case 5:
			q.Open = true
		case 6:
			q.Cursor = fmt.Sprint(r.Uint64N(size))
		case 7:
			q.Incident = fmt.Sprintf("2025-%07d", r.IntN(int(size/6)))
		}
	}
	return q
}
