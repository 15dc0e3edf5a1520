package ledger

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/natsd"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// generatedStream tells the child of BenchmarkLedger how many records its stream must
// have.
const generatedStream = "TOCSIN_GENERATED_STREAM"

// serveStream is the engine that BenchmarkLedger reads from, in a separate process, until
// its input ends.
func serveStream(t *testing.B) {
	size, err := strconv.ParseUint(os.Getenv(generatedStream), 10, 64)
	require.NoError(t, err)
	s, err := natsd.Start(ledgertest.Anyone(t), natsd.Config{Dir: os.Getenv("TOCSIN_DIR"), Listen: "127.0.0.1:0", Log: zap.NewNop()})
	require.NoError(t, err)
	defer s.Stop()
	nc, err := s.Connect()
	require.NoError(t, err)
	b, err := bus.Open(ledgertest.Anyone(t), nc, bus.Config{Clock: clock.System{}, Log: zap.NewNop()})
	require.NoError(t, err)
	has, err := b.Head(ledgertest.Anyone(t))
	require.NoError(t, err)
	require.True(t, has == 0 || has == size, "the stream in TOCSIN_DIR has another length: remove it")
	for g := newGenerator(generatedSeed); g.seq < size && has == 0; {
		records := make([]event.Record, 0, 20_000)
		for _, s := range g.records(int(min(size-g.seq, 20_000))) {
			records = append(records, s.Record)
		}
		_, err := b.Commit(ledgertest.Anyone(t), records)
		require.NoError(t, err)
		if g.seq%1_000_000 == 0 {
			fmt.Fprintln(os.Stderr, g.seq, "records are stored")
		}
	}
	b.Close()
	fmt.Println(served + s.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	require.NoError(t, err)
}

const (
	generatedSeed = 7
	served        = "serving at "
	// The engine has a name for every record in memory, 1.6 GB of them at ten million:
	// with Go's default of 100 its collector takes half of what it works with.
	engineGOGC = "300"
)

// serveGenerated starts the child, and returns its address.
func serveGenerated(b *testing.B, dir string, size uint64) string {
	child := exec.Command(os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkLedger$", "-test.benchtime=1x", "-test.timeout=0")
	child.Env = append(os.Environ(), "TOCSIN_DIR="+dir, fmt.Sprintf("%s=%d", generatedStream, size), "GOGC="+engineGOGC, "GOMEMLIMIT=off")
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	require.NoError(b, err)
	stdout, err := child.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, child.Start())
	b.Cleanup(func() {
		require.NoError(b, stdin.Close())
		require.NoError(b, child.Wait())
	})
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if addr, ok := strings.CutPrefix(lines.Text(), served); ok {
			return addr
		}
		b.Log(lines.Text())
	}
	b.Fatal("the engine did not start")
	return ""
}

// BenchmarkLedger builds the tree and the index of TOCSIN_RECORDS generated records from
// a stream in another process, checks the whole record against the tree, and runs every
// kind of query. TOCSIN_DIR keeps the stream, tree and index: while they exist it only
// runs the queries.
func BenchmarkLedger(b *testing.B) {
	if os.Getenv(generatedStream) != "" {
		serveStream(b)
		return
	}
	size := uint64(20_000)
	if n, err := strconv.ParseUint(os.Getenv("TOCSIN_RECORDS"), 10, 64); err == nil {
		size = n
	}
	dir := os.Getenv("TOCSIN_DIR")
	if dir == "" {
		dir = b.TempDir()
	}
	nc, err := nats.Connect(serveGenerated(b, filepath.Join(dir, "nats"), size), natsd.ConnectOptions("ledger")...)
	require.NoError(b, err)
	defer nc.Close()
	stream, err := bus.Open(ledgertest.Anyone(b), nc, bus.Config{Clock: clock.System{}, Log: zap.NewNop()})
	require.NoError(b, err)
	defer stream.Close()
	d := Deps{Bus: stream, Endpoints: endpoint.New(stream, endpoint.Config{Log: zap.NewNop()}), Clock: clock.NewManual(generatedEnd(size).Add(time.Hour)), Log: zap.NewNop(), Dir: filepath.Join(dir, "ledger")}
	for b.Loop() {
		if os.Getenv("TOCSIN_DIR") == "" {
			require.NoError(b, os.RemoveAll(d.Dir))
		}
		_, err := os.Stat(filepath.Join(d.Dir, "index.sqlite"))
		anew := err != nil
		if anew {
			benchmarkTree(b, d, size)
			b.Logf("tree: %.0f MB at most", residentMB())
		}
		l, err := Open(ledgertest.Anyone(b), d)
		require.NoError(b, err)
		ctx, cancel := context.WithCancel(ledgertest.Anyone(b))
		ended := make(chan error, 1)
		began := time.Now()
		go func() { ended <- l.Run(ctx) }()
		require.NoError(b, l.waitBeyond(ctx, size-1))
		if anew {
			perSecond(b, "indexed-records/s", size, began)
			b.Logf("index: %.0f MB at most", residentMB())
		}
		checkAll(b, l)                                     // once a day, and not all day
		for round, suffix := range []string{"-cold", ""} { // first with the page cache full of the stream that was checked
			for _, kind := range scaleQuestions(newGenerator(generatedSeed), rand.New(rand.NewPCG(3, uint64(round))), size) {
				kind.name += suffix
				askScale(b, l, kind, int(min([]uint64{300, 1000}[round], 20+size/3000)))
			}
		}
		require.Empty(b, l.Damage())
		cancel()
		require.ErrorIs(b, <-ended, context.Canceled)
	}
	b.ReportMetric(residentMB(), "RSS-MB")
	b.ReportMetric(0, "ns/op")
	for what, path := range map[string]string{"index": filepath.Join(d.Dir, "index.sqlite"), "tree": filepath.Join(d.Dir, "log")} {
		bytes := int64(0)
		require.NoError(b, filepath.Walk(path, func(_ string, info os.FileInfo, err error) error { bytes += info.Size(); return err }))
		b.ReportMetric(float64(bytes)/float64(size), what+"-B/record")
	}
}

// benchmarkTree builds the tree and checks the record against it.
func benchmarkTree(b *testing.B, d Deps, size uint64) {
	l, err := Open(ledgertest.Anyone(b), d)
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(ledgertest.Anyone(b))
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- l.log.Run(ctx) }()
	for l.log.Readable() < size {
		require.Empty(b, l.Damage())
		time.Sleep(time.Millisecond)
	}
	perSecond(b, "tree-records/s", size, began)
	for l.log.Last().Size < size {
		time.Sleep(time.Millisecond)
	}
	began = time.Now()
	checkAll(b, l)
	perSecond(b, "audited-records/s", size, began)
	began = time.Now()
	require.NoError(b, evidence.CheckTiles(ctx, evidence.Dir(filepath.Join(d.Dir, "log")), l.log.Last()))
	perSecond(b, "checked-entries/s", size, began)
	require.Empty(b, l.Damage())
	cancel()
	require.ErrorIs(b, <-ended, context.Canceled)
}

// checkAll waits for a check of the whole record that began after the last one.
func checkAll(b *testing.B, l *Ledger) {
	last, err := l.log.Audit(b.Context(), api.AuditRequest{})
	require.NoError(b, err)
	for a := (api.AuditAnswer{}); a.ID <= last.ID || a.Running || a.Ended == nil; {
		a, err = l.log.Audit(b.Context(), api.AuditRequest{After: last.ID})
		require.NoError(b, err)
		time.Sleep(10 * time.Millisecond)
	}
}

func perSecond(b *testing.B, what string, n uint64, since time.Time) {
	b.ReportMetric(float64(n)/time.Since(since).Seconds(), what)
}

// generatedEnd returns the time of the last of so many records.
func generatedEnd(size uint64) time.Time {
	return generatedStart.Add(time.Duration(size) * everyRecord)
}

// residentMB returns the peak memory of the process.
func residentMB() float64 {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(raw), "VmHWM:")
	kb, _ := strconv.Atoi(strings.Fields(rest + " 0")[0])
	return float64(kb) / 1024
}

// asked is a kind of query, which generates one after another.
type asked struct {
	name string
	ask  func(context.Context, *Ledger) (any, error)
}

// askScale runs queries of a kind in sequence. Each is answered as by an endpoint, and
// encoded.
func askScale(b *testing.B, l *Ledger, kind asked, n int) {
	took := make([]time.Duration, n)
	for i := range took {
		began := time.Now()
		answer, err := kind.ask(ledgertest.Anyone(b), l)
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

// scaleQuestions returns the kinds of queries, each drawn at random.
func scaleQuestions(g *generator, r *rand.Rand, size uint64) []asked {
	pick := func(n int, name func(int) string) string { return name(r.IntN(n)) }
	end := generatedEnd(size)
	page := func(name string, make func() api.Query) asked {
		return asked{name, func(ctx context.Context, l *Ledger) (any, error) { return l.escalations(ctx, make()) }}
	}
	filters := []func(q *api.Query){
		func(q *api.Query) { q.Grade = event.Grades[r.IntN(4)].String() },
		func(q *api.Query) { q.Operator = pick(generatedOperators, operatorName) },
		func(q *api.Query) { q.Desk = pick(generatedDesks, deskName) },
		func(q *api.Query) { q.Region = pick(generatedRegions, regionName) },
		func(q *api.Query) { q.Region = fmt.Sprintf("%d0000", 11+r.IntN(31)) },
		func(q *api.Query) { q.Sector = pick(generatedSectors, sectorName) },
		func(q *api.Query) { q.Statute = pick(generatedStatutes, statuteName) },
		func(q *api.Query) {
			since := generatedStart.Add(time.Duration(r.Int64N(int64(end.Sub(generatedStart)))))
			until := since.Add(time.Duration(r.IntN(1000)) * time.Hour)
			q.Since, q.Until = &since, &until
		},
		func(q *api.Query) { q.Unacknowledged = true },
		func(q *api.Query) { q.Overdue = true },
		func(q *api.Query) { q.Text = anyText(g, r) },
	}
	mixed := func(n int) api.Query {
		var q api.Query
		for range n {
			filters[r.IntN(len(filters))](&q)
		}
		return q
	}
	cursor := func() string { return fmt.Sprint(r.Uint64N(size)) }
	return []asked{
		page("single", func() api.Query { return mixed(1) }),
		page("mixed", func() api.Query { return mixed(2 + r.IntN(4)) }),
		page("empty", func() api.Query { // a desk of one sector is never told of another's incidents
			sector := r.IntN(generatedSectors)
			q := mixed(r.IntN(4))
			q.Desk, q.Sector, q.Text = deskName(sector), sectorName((sector+1)%generatedSectors), ""
			return q
		}),
		page("emptiest", func() api.Query { // many have each, none has all
			sector := r.IntN(generatedSectors)
			return api.Query{Sector: sectorName(sector), Operator: operatorName((sector + 1) % generatedSectors), Grade: "general", Statute: statuteName(1), Region: "310000"}
		}),
		page("deep", func() api.Query { q := mixed(1 + r.IntN(2)); q.Cursor = cursor(); return q }),
		page("text", func() api.Query { return api.Query{Text: anyText(g, r)} }),
		page("text-none", func() api.Query { // each word exists, all of them never together
			return api.Query{Text: strings.Join([]string{g.words[r.IntN(50)], g.words[r.IntN(50)], g.words[r.IntN(50)], g.english[r.IntN(9)]}, " "), Desk: deskName(r.IntN(generatedDesks))}
		}),
		page("text-apart", func() api.Query { // a word whose pairs exist, but never together
			a, b := []rune(g.words[r.IntN(30)]), []rune(g.words[r.IntN(30)])
			return api.Query{Text: string(a[:2]) + string(b[:2])}
		}),
		page("text-character", func() api.Query {
			return api.Query{Text: string([]rune(g.words[r.IntN(3000)])[:1]), Sector: pick(generatedSectors, sectorName)}
		}),
		{"incidents", func(ctx context.Context, l *Ledger) (any, error) {
			return l.incidents(ctx, anyIncidentQuery(g, r, size))
		}},
		{"show", func(ctx context.Context, l *Ledger) (any, error) {
			return l.story(ctx, api.ShowRequest{Operator: pick(generatedOperators, operatorName), Incident: fmt.Sprintf("2025-%07d", r.IntN(int(size/6)))})
		}},
		{"stats", func(ctx context.Context, l *Ledger) (any, error) {
			q := api.StatsQuery{By: api.StatsDimensions[r.IntN(6)], Query: mixed(r.IntN(3))}
			q.Text = ""
			return l.stats(ctx, q)
		}},
		{"stats-text", func(ctx context.Context, l *Ledger) (any, error) {
			return l.stats(ctx, api.StatsQuery{By: "grade", Query: api.Query{Text: anyText(g, r)}})
		}},
		{"path", func(_ context.Context, l *Ledger) (any, error) {
			return evidence.ProveInclusion(evidence.Dir(filepath.Join(l.deps.Dir, "log")), size, r.Uint64N(size))
		}},
		{"proof", func(ctx context.Context, l *Ledger) (any, error) {
			return l.prove(ctx, api.ProveRequest{Record: 1 + r.Uint64N(size)})
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

func anyIncidentQuery(g *generator, r *rand.Rand, size uint64) (q api.IncidentQuery) {
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
