package main

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

	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
)

// BenchmarkIdentities is what it costs to know who asks, and to sign receipts: reports
// a second with 1,000 under way, of which one of twenty is grave, until all have their
// receipts and the desk has all that are grave; and at 200 a second, all grave, from
// publishing one to the desk's screen having it. By a server without identities and by
// one with them. Rounds
// of one and the other take turns, since machines are noisy. Of -benchtime such rounds
// the figures are medians, and so are the ratios, each of two that were measured one
// after the other; but a p99 is of all rounds together, because it is a matter of few
// reports in each.
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
		slices.Reverse(sides) // what the one leaves to be done is done while the other is measured
		for _, s := range sides {
			s.rate = append(s.rate, s.throughput(b))
			time.Sleep(time.Second) // until the index has it
			told := s.toldAt200(b)
			s.p50, s.told = append(s.p50, told[len(told)/2]), append(s.told, told...)
		}
	}
	b.ReportMetric(0, "ns/op")
	slices.SortFunc(sides, func(x, y *side) int { return strings.Compare(x.name, y.name) })
	b.ReportMetric(median(ratios(sides[0].rate, sides[1].rate)), "with/without-reports")
	b.ReportMetric(median(ratios(sides[0].p50, sides[1].p50)), "with/without-p50")
	b.ReportMetric(sides[0].p99()/sides[1].p99(), "with/without-p99")
	for _, s := range sides {
		b.ReportMetric(median(s.rate), s.name+"-reports/s")
		b.ReportMetric(median(s.p50), s.name+"-told-p50-ms")
		b.ReportMetric(s.p99(), s.name+"-told-p99-ms")
	}
}

// side is a server with identities, or without, and what was measured of it.
type side struct {
	name           string
	operator, desk *client.Client
	n              int // reports so far
	rate, p50      []float64
	told           []float64 // all that p50 is of
}

func (s *side) p99() float64 {
	slices.Sort(s.told)
	return s.told[len(s.told)*99/100]
}

// ratios are of what was measured in the same round.
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

func (s *side) throughput(b *testing.B) float64 {
	const reports, oneOf = 20_000, 20
	began := time.Now()
	shown := s.watch(b.Context(), reports/oneOf, func(string) {})
	require.NoError(b, s.operator.Reports(b.Context(), "grid-east", 1000, func(yield func([]byte) error) error {
		for i := range reports {
			says := `"title":"nothing grave"`
			if i%oneOf == 0 {
				says = grave
			}
			if err := yield(initialReport(s.next("fast"), says)); err != nil {
				return err
			}
		}
		return nil
	}, func(r *event.Receipt) error { require.Equal(b, event.StatusAccepted, r.Status); return nil }))
	require.NoError(b, <-shown)
	return reports / time.Since(began).Seconds()
}

// watch hands over the incidents that come to the desk's screen, until there were so many.
func (s *side) watch(ctx context.Context, count int, each func(incident string)) (ended chan error) {
	ended = make(chan error, 1)
	go func() {
		ended <- s.desk.Watch(ctx, "protection-energy", "wall", count, time.Now, func(e *event.Escalated, _ event.EscalationRow) error {
			each(e.Incident)
			return nil
		})
	}()
	return ended
}

// next names another incident.
func (s *side) next(prefix string) string {
	s.n++
	return fmt.Sprint(prefix, "-", s.n)
}

// toldAt200 returns in order what it took, in milliseconds, for each report to reach
// the desk.
func (s *side) toldAt200(b *testing.B) (took []float64) {
	const reports, settling = 1200, 200 // the first find the index still busy with what was taken before
	var mu sync.Mutex
	sent := map[string]time.Time{}
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	shown := s.watch(ctx, reports, func(incident string) {
		mu.Lock()
		defer mu.Unlock()
		took = append(took, float64(time.Since(sent[incident]).Microseconds())/1000)
	})
	var under sync.WaitGroup
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range reports {
		<-tick.C
		name := s.next("told")
		raw := initialReport(name, grave)
		under.Go(func() {
			mu.Lock()
			sent[name] = time.Now()
			mu.Unlock()
			if _, err := s.operator.Report(ctx, "grid-east", raw); err != nil {
				b.Error(err)
				stop() // nobody will be shown it
			}
		})
	}
	under.Wait()
	require.NoError(b, <-shown)
	took = took[settling:]
	slices.Sort(took)
	return took
}

const grave = `"facts":{"outage":[{"scope":"overall","duration":"PT20M"}]}`

// initialReport is a CloudEvent of grid-east with some of its data.
func initialReport(incident, data string) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":"r1","source":"urn:tocsin:operator:grid-east","type":"tocsin.report.initial.v1","subject":%q,
		"data":{"containsNoStateSecrets":true,"facilities":["dispatch"],"discoveredAt":%q,%s}}`, incident, time.Now().Format(time.RFC3339), data)
}
