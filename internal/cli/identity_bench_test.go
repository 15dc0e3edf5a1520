package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
)

// BenchmarkIdentities measures the cost of identifying callers and signing receipts: on a
// server without identities and on one with them, with one grave report in twenty, as in
// make bench. It measures reports per second with 1,000 in flight, until all have their
// receipts and the desk has all grave ones; and at 200 per second, the time from
// publishing a report to its receipt, and to the desk's screen. The two servers take
// turns, since machines are noisy. Over -benchtime rounds the figures are medians, and so
// are the ratios, each of two consecutive measurements; but a p99 covers all rounds
// together, because it depends on few reports in each.
func BenchmarkIdentities(b *testing.B) {
	data := filepath.Join(b.TempDir(), "data")
	for _, args := range [][]string{{"init"}, {"credential", "add", "operator", "grid-east"}, {"credential", "add", "desk", "protection-energy", "--screen", "wall"}} {
		code, _, errOut := tocsin(b, "", append(args, "--data", data)...)
		require.Equal(b, exitOK, code, errOut)
	}
	without, with := startServer(b), startServer(b, "--data", data)
	dial := func(s *server, more ...nats.Option) *client.Client {
		c, err := client.Dial(s.url(), 5*time.Second, append(more, nats.Name("bench"))...)
		require.NoError(b, err)
		b.Cleanup(c.Close)
		return c
	}
	creds := func(name string) nats.Option {
		return nats.UserCredentials(filepath.Join(data, "identity", "creds", name+".creds"))
	}
	sides := []*side{
		{name: "with", operator: dial(with, creds("operator-grid-east")), desk: dial(with, creds("desk-protection-energy"))},
		{name: "without", operator: dial(without), desk: dial(without)},
	}
	for b.Loop() {
		slices.Reverse(sides) // left-over work of one side runs while the other is measured
		for _, s := range sides {
			s.rate = append(s.rate, s.throughput(b))
			time.Sleep(time.Second) // until the index has it
			s.at200(b)
		}
	}
	b.ReportMetric(0, "ns/op")
	slices.SortFunc(sides, func(x, y *side) int { return strings.Compare(x.name, y.name) })
	b.ReportMetric(median(ratios(sides[0].rate, sides[1].rate)), "with/without-reports")
	for i, what := range delays {
		x, y := &sides[0].delays[i], &sides[1].delays[i]
		b.ReportMetric(median(ratios(x.p50, y.p50)), "with/without-"+what+"-p50")
		b.ReportMetric(x.p99()/y.p99(), "with/without-"+what+"-p99")
	}
	for _, s := range sides {
		b.ReportMetric(median(s.rate), s.name+"-reports/s")
		for i, what := range delays {
			b.ReportMetric(median(s.delays[i].p50), s.name+"-"+what+"-p50-ms")
			b.ReportMetric(s.delays[i].p99(), s.name+"-"+what+"-p99-ms")
		}
	}
}

// side is a server with identities, or without, and its measurements.
type side struct {
	name           string
	operator, desk *client.Client
	n              int // reports so far
	rate           []float64
	delays         [2]delay // by delays
}

// delays are the times measured at 200 reports per second, from publishing one.
var delays = [...]string{"receipt", "desk"}

// delay is how long something took, in milliseconds.
type delay struct{ p50, all []float64 } // p50 by round

func (d *delay) add(round []float64) {
	d.p50, d.all = append(d.p50, median(round)), append(d.all, round...)
}

func (d *delay) p99() float64 {
	slices.Sort(d.all)
	return d.all[len(d.all)*99/100]
}

// ratios are of measurements in the same round.
func ratios(with, without []float64) (out []float64) {
	for i := range with {
		out = append(out, with[i]/without[i])
	}
	return out
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

// oneOf is how many reports there are for each grave one.
const oneOf = 20

func (s *side) throughput(b *testing.B) float64 {
	reports := 20_000
	if testing.Short() {
		reports = 2_000
	}
	began := time.Now()
	shown := s.watch(b.Context(), reports/oneOf, func(string) {})
	require.NoError(b, s.operator.Reports(b.Context(), "grid-east", 1000, func(yield func([]byte) error) error {
		for i := range reports {
			if err := yield(ofLoad(s.next("fast"), i)); err != nil {
				return err
			}
		}
		return nil
	}, func(r *event.Receipt) error { require.Equal(b, event.StatusAccepted, r.Status); return nil }))
	require.NoError(b, <-shown)
	return float64(reports) / time.Since(began).Seconds()
}

// watch hands over the incidents that reach the desk's screen, up to count.
func (s *side) watch(ctx context.Context, count int, each func(incident string)) (ended chan error) {
	ended = make(chan error, 1)
	go func() {
		ended <- s.desk.Watch(ctx, "protection-energy", "wall", count, time.Now, func(e *event.Escalated, _ api.EscalationRow) error {
			each(e.Incident)
			return nil
		})
	}()
	return ended
}

// next names a new incident.
func (s *side) next(prefix string) string {
	s.n++
	return fmt.Sprint(prefix, "-", s.n)
}

// at200 measures how long receipts and the desk take at 200 reports per second.
func (s *side) at200(b *testing.B) {
	settling, reports := 200, 2200 // the first find the index still busy with what was taken before
	if testing.Short() {
		reports = 400
	}
	var mu sync.Mutex
	var took [len(delays)][]float64
	sent := map[string]time.Time{} // of those that count
	note := func(what int, incident string) {
		now := time.Now()
		mu.Lock()
		defer mu.Unlock()
		if at, counts := sent[incident]; counts {
			took[what] = append(took[what], float64(now.Sub(at).Microseconds())/1000)
		}
	}
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	shown := s.watch(ctx, reports/oneOf, func(incident string) { note(1, incident) })
	var under sync.WaitGroup
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := range reports {
		<-tick.C
		name := s.next("paced")
		raw := ofLoad(name, i)
		under.Go(func() {
			if i >= settling {
				mu.Lock()
				sent[name] = time.Now()
				mu.Unlock()
			}
			if _, err := s.operator.Report(ctx, "grid-east", raw); err != nil {
				b.Error(err)
				stop() // nobody will be shown it
			}
			note(0, name)
		})
	}
	under.Wait()
	require.NoError(b, <-shown)
	for i := range delays {
		s.delays[i].add(took[i])
	}
}

// ofLoad returns the i-th report of a load.
func ofLoad(incident string, i int) []byte {
	if i%oneOf == 0 {
		return initialReport(incident, grave)
	}
	return initialReport(incident, `"title":"nothing grave"`)
}

const grave = `"facts":{"outage":[{"scope":"overall","duration":"PT20M"}]}`

// initialReport is a CloudEvent of grid-east with some of its data.
func initialReport(incident, data string) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":"r1","source":"urn:tocsin:operator:grid-east","type":"tocsin.report.initial.v1","subject":%q,
		"data":{"containsNoStateSecrets":true,"facilities":["dispatch"],"discoveredAt":%q,%s}}`, incident, time.Now().Format(time.RFC3339), data)
}
