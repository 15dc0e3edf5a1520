package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// plan is the list of measurements, in this order: every contender once with the whole
// load and the engine with the bytes that tocsin stored, the other rounds in the same
// order, latency, kill -9, and whatever else is requested.
type plan struct {
	events   int
	rounds   int
	budget   time.Duration // 0: every round has the whole load
	latency  time.Duration
	kill     bool
	overload time.Duration
	grow     []int
	only     []string
	dir      string
	tocsin   string // a binary; empty builds one
	progress io.Writer
}

// results are what was measured.
type results struct {
	CPUs     int            `json:"cpus"`
	Go       string         `json:"go"`
	Fsync    latency        `json:"fsync"`            // of 1 KB in the same folder
	Engine   []engineLimits `json:"engine,omitempty"` // by round
	Floor    *latency       `json:"floor,omitempty"`  // three durable records and their hops, and nothing else
	Of       []*result      `json:"contenders"`
	Overload *overload      `json:"overload,omitempty"`
	Growth   []grown        `json:"growth,omitempty"`
	Took     float64        `json:"tookSeconds"`
}

// result is one contender's.
type result struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Rounds  []round  `json:"rounds"` // the first with the whole load
	Latency *latency `json:"latency,omitempty"`
	Killed  *death   `json:"killed,omitempty"`
}

// grown is tocsin with a large ledger.
type grown struct {
	Records uint64   `json:"records"`
	Restart float64  `json:"restartSeconds"` // after kill -9, until it takes reports
	Round   round    `json:"round"`
	Latency *latency `json:"latency,omitempty"`
}

func (r *result) perSecond() float64 {
	var v []float64
	for _, round := range r.Rounds {
		v = append(v, round.perSecond())
	}
	return median(v)
}

// bench runs a plan.
type bench struct {
	plan
	results
	all   []*contender
	began time.Time
}

func (p plan) run(ctx context.Context) (*results, error) {
	b := &bench{plan: p, began: machine.Now()}
	b.CPUs, b.Go = runtime.NumCPU(), runtime.Version()
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	steps := []func(context.Context) error{b.compare, b.latencies, b.deaths, b.load, b.growth}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	b.Took = machine.Now().Sub(b.began).Seconds()
	return &b.results, nil
}

func (b *bench) say(format string, v ...any) {
	fmt.Fprintf(b.progress, "%4.0f s  %s\n", machine.Now().Sub(b.began).Seconds(), fmt.Sprintf(format, v...))
}

func (b *bench) prepare(ctx context.Context) (err error) {
	if b.tocsin == "" && b.wants(tocsinName) {
		b.tocsin = filepath.Join(b.dir, tocsinName)
		b.say("building tocsin")
		if err := build(ctx, b.tocsin); err != nil {
			return err
		}
	}
	for _, c := range contenders(b.tocsin) {
		if b.wants(c.name) {
			b.all = append(b.all, c)
			b.Of = append(b.Of, &result{Name: c.name, Title: c.title})
		}
	}
	b.Fsync, err = fsyncs(b.dir)
	return err
}

func (b *bench) wants(name string) bool { return len(b.only) == 0 || slices.Contains(b.only, name) }

// build builds the program as the Makefile does, from the module that replaces the
// required one.
func build(ctx context.Context, to string) error {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/tocsin-project/tocsin").Output()
	if err != nil {
		return fmt.Errorf("find tocsin's module (run this in its own folder): %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", to, "./cmd/tocsin")
	cmd.Dir, cmd.Env = string(root[:len(root)-1]), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build tocsin: %w\n%s", err, out)
	}
	return nil
}

// with runs a measurement on a contender in a folder of its own. It first waits until
// nothing of earlier contenders is still being written to disk or deleted.
func (b *bench) with(ctx context.Context, c *contender, measure func(*site) error) error {
	dir, err := os.MkdirTemp(b.dir, c.name)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	syscall.Sync()
	s, err := begin(ctx, c, dir)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	if err := measure(s); err != nil {
		return fmt.Errorf("%s: %w", c.name, errors.Join(err, s.end()))
	}
	return s.end()
}

func (b *bench) newLoad(prefix string, events int) load {
	return load{prefix: prefix, events: events, at: machine.Now().Add(-5 * time.Minute).UTC().Truncate(time.Second)}
}

// sampleRecords is how many records of tocsin's ledger the engine writes again.
const sampleRecords = 20_000

// compare gives every contender the whole load, then the engine the records that tocsin
// stored of it, and all of them again for each further round. Where a budget is set, it
// fixes the length of those rounds, which is the same for every contender.
func (b *bench) compare(ctx context.Context) error {
	var sample []stored
	var each time.Duration
	for n := range b.plan.rounds {
		for i, c := range b.all {
			events := b.events
			if n > 0 && b.budget > 0 {
				events = whole(b.Of[i].Rounds[0].perSecond()*each.Seconds(), 1000, b.events)
			}
			err := b.with(ctx, c, func(s *site) (err error) {
				if err = b.round(ctx, s, b.Of[i], events); err == nil && sample == nil && c.name == tocsinName {
					sample, err = s.sample(ctx, sampleRecords)
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		if sample == nil {
			sample = b.unsampled()
		}
		if b.wants(engineName) {
			if err := b.limits(ctx, sample); err != nil {
				return err
			}
		}
		if n == 0 {
			each = b.roundTime()
		}
	}
	return nil
}

// unsampled is the engine's input where tocsin is not measured: the reports.
func (b *bench) unsampled() (out []stored) {
	l := b.newLoad("raw", b.events)
	for i := range min(b.events, sampleRecords) {
		m := l.message(i)
		out = append(out, stored{"incident.accepted." + l.incident(i), m.Header, m.Data})
	}
	return out
}

// Within the budget: the time that a contender needs besides the measurement, and the
// minimum length of a round.
const (
	startTime  = time.Second
	killTime   = killLoad + ackWait + 3*time.Second
	leastRound = 2 * time.Second
)

// roundTime returns how long each contender's rounds after the first may last.
func (b *bench) roundTime() time.Duration {
	if len(b.all) == 0 || b.plan.rounds == 1 {
		return 0
	}
	left := b.budget - machine.Now().Sub(b.began)
	left -= time.Duration(len(b.all)+1) * (b.plan.latency + time.Duration(b.latencyTurns())*(startTime+warmUp))
	if b.kill {
		left -= time.Duration(len(b.all)) * killTime
	}
	if b.wants(engineName) {
		left -= time.Duration(b.plan.rounds-1) * (3*engineTime + startTime)
	}
	return max(leastRound, left/time.Duration((b.plan.rounds-1)*len(b.all))-startTime)
}

// whole rounds n down to whole hundreds, between two bounds.
func whole(n float64, least, most int) int { return min(most, max(least, int(n)/hundred*hundred)) }

func (b *bench) round(ctx context.Context, s *site, to *result, events int) error {
	r, err := s.throughput(ctx, b.newLoad("t", events))
	if err != nil {
		return err
	}
	to.Rounds = append(to.Rounds, r)
	b.say("%-10s round %d: %d reports, %.0f a second, %.0f records a second", s.name, len(to.Rounds), r.Events, r.perSecond(), r.recordsPerSecond())
	return nil
}

func (b *bench) limits(ctx context.Context, sample []stored) error {
	dir, err := os.MkdirTemp(b.dir, engineName)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := writeSample(dir, sample); err != nil {
		return err
	}
	p, err := start(ctx, self(engineName, dir, ""), "")
	if err != nil {
		return err
	}
	<-p.ended
	if p.err != nil {
		return fmt.Errorf("%s: %w\n%s", engineName, p.err, p.lines())
	}
	var l engineLimits
	if err := json.Unmarshal(p.out.Bytes(), &l); err != nil {
		return fmt.Errorf("%s: %w", engineName, err)
	}
	b.Engine = append(b.Engine, l)
	b.say("%-10s round %d: %.0f records a second one by one, %.0f async, %.0f in batches, of %d bytes", engineName, len(b.Engine), l.OneByOne, l.Async, l.Batch, l.Bytes)
	return nil
}

// latencyTurn is how long latency is measured before the next contender's turn: a
// temporary disturbance of the machine should not affect only one of them.
const latencyTurn = 8 * time.Second

func (b *bench) latencies(ctx context.Context) error {
	if b.plan.latency <= 0 {
		return nil
	}
	var all []*contender
	var to []*latency
	if b.wants(engineName) { // first: the disk may still be busy with the results of the rounds
		b.Floor = &latency{}
		all, to = append(all, peer("relay", "floor")), append(to, b.Floor)
	}
	for i, c := range b.all {
		b.Of[i].Latency = &latency{}
		all, to = append(all, c), append(to, b.Of[i].Latency)
	}
	turns := b.latencyTurns()
	for turn := range turns {
		for i, c := range all {
			if err := b.with(ctx, c, func(s *site) error { return s.latency(ctx, b.newLoad("l", b.paced(turns)), to[i]) }); err != nil {
				return err
			}
			b.say("%-10s publish to desk at %d/s, %d of %d: p50 %.1f ms, p99 %.1f ms", c.name, latencyRate, turn+1, turns, to[i].P50, to[i].P99)
		}
	}
	return nil
}

func (b *bench) latencyTurns() int { return max(1, int(b.plan.latency/latencyTurn)) }

// paced returns how many reports are sent in one of so many turns of measuring latency.
func (b *bench) paced(turns int) int {
	return warmReports + whole(b.plan.latency.Seconds()*latencyRate/float64(turns), hundred, 1<<30)
}

// killLoad is the length of the load during which a contender is killed.
const killLoad = 6 * time.Second

func (b *bench) deaths(ctx context.Context) error {
	if !b.kill {
		return nil
	}
	for i, c := range b.all {
		to := b.Of[i]
		events := whole(to.perSecond()*killLoad.Seconds(), min(b.events, 2*window), min(b.events, 10*window))
		err := b.with(ctx, c, func(s *site) error {
			d, err := s.killed(ctx, b.newLoad("k", events))
			if err == nil {
				to.Killed = &d
				b.say("%-10s kill -9 in %d reports: %+v", c.name, events, d)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// load offers tocsin twice the rate that it accepts, in the same time, without overload.
// A ledger that grows by half a million records accepts fewer at its end than at its
// beginning, which growth shows.
func (b *bench) load(ctx context.Context) error {
	if b.overload <= 0 || !b.wants(tocsinName) {
		return nil
	}
	var alone round
	err := b.with(ctx, b.all[0], func(s *site) (err error) {
		alone, err = s.throughput(ctx, b.newLoad("a", whole(b.Of[0].perSecond()*b.plan.overload.Seconds(), hundred, 1<<30)))
		if err == nil {
			b.say("before overload: %d reports, %.0f a second", alone.Events, alone.perSecond())
		}
		return err
	})
	if err != nil {
		return err
	}
	rate := 2 * alone.perSecond()
	return b.with(ctx, b.all[0], func(s *site) error {
		o, err := s.overloaded(ctx, b.newLoad("o", whole(rate*b.plan.overload.Seconds(), hundred, 1<<30)), rate)
		if err == nil {
			o.Alone = alone.perSecond()
			b.results.Overload = &o
			b.say("overload: %+v", o)
		}
		return err
	})
}

// growth measures tocsin on a ledger that has so many records.
func (b *bench) growth(ctx context.Context) error {
	if len(b.grow) == 0 || !b.wants(tocsinName) {
		return nil
	}
	return b.with(ctx, b.all[0], func(s *site) error {
		for _, records := range b.grow {
			if err := b.fill(ctx, s, records); err != nil {
				return err
			}
			s.kill()
			if err := s.restart(ctx); err != nil {
				return err
			}
			g := grown{Restart: s.took.Seconds()}
			now, err := s.state(ctx)
			if err != nil {
				return err
			}
			g.Records = now.Head
			if g.Round, err = s.throughput(ctx, b.newLoad(fmt.Sprintf("gt%d", records), b.events)); err != nil {
				return err
			}
			if b.plan.latency > 0 {
				g.Latency = &latency{}
				if err := s.latency(ctx, b.newLoad(fmt.Sprintf("gl%d", records), b.paced(1)), g.Latency); err != nil {
					return err
				}
			}
			b.Growth = append(b.Growth, g)
			b.say("growth: %d records, restart %.1f s, %.0f reports a second, %.0f MB", g.Records, g.Restart, g.Round.perSecond(), g.Round.Memory)
		}
		return nil
	})
}

// fillChunk is how many reports are sent between two checks of the ledger's size.
const fillChunk = 50_000

// fill sends reports until the ledger has so many records.
func (b *bench) fill(ctx context.Context, s *site, records int) error {
	for chunk := 0; ; chunk++ {
		now, err := s.state(ctx)
		if err != nil || now.Head >= uint64(records) {
			return err
		}
		events := whole(float64(records-int(now.Head))/2.15, hundred, fillChunk)
		r, err := s.newRun(ctx, b.newLoad(fmt.Sprintf("g%d-%d", records, chunk), events))
		if err != nil {
			return err
		}
		if err = r.watchDesks(ctx); err == nil { // otherwise they would have to read it all during the measurement
			err = r.sendAll(ctx)
		}
		if err == nil {
			err = r.tell(ctx, graves(events))
		}
		if err == nil {
			err = r.grade(ctx, events-invalids(events))
		}
		r.close()
		if err != nil {
			return err
		}
		if _, _, err := s.catchUp(ctx); err != nil {
			return err
		}
		b.say("growth: %d records", now.Head)
	}
}

// fsyncs measures how long the disk under a folder takes to sync a record.
func fsyncs(dir string) (latency, error) {
	f, err := os.CreateTemp(dir, "fsync")
	if err != nil {
		return latency{}, err
	}
	defer func() { _ = f.Close(); _ = os.Remove(f.Name()) }()
	took := make([]time.Duration, 500)
	for i := range took {
		began := machine.Now()
		if _, err := f.Write(make([]byte, 1024)); err != nil {
			return latency{}, err
		}
		if err := f.Sync(); err != nil {
			return latency{}, err
		}
		took[i] = machine.Now().Sub(began)
	}
	return latency{P50: quantile(took, 0.5), P99: quantile(took, 0.99), Samples: len(took)}, nil
}
