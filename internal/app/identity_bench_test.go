package app_test

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// BenchmarkIdentities is what it costs to know who asks, and to sign receipts: reports
// taken a second with 256 under way, and at 200 a second from publishing one to the
// desk's screen having it, without identities and with them. Rounds of one and the
// other take turns, since machines are noisy; the figures are medians of -benchtime
// such rounds, and so are the ratios, each of two that were measured one after the
// other.
func BenchmarkIdentities(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as the program has it (cmd/tocsin/memory.go)
	var sides []*side
	for _, guard := range []bool{false, true} {
		var dial func(role identity.Role, id string) *client.Client
		if guard {
			dial = beginGuarded(b, nil).as
		} else {
			a, err := app.Start(b.Context(), configIn(b, b.TempDir(), nil))
			require.NoError(b, err)
			b.Cleanup(a.Stop)
			dial = func(identity.Role, string) *client.Client {
				c, err := client.Dial(a.NATSAddr(), 5*time.Second, nats.Name("bench"))
				require.NoError(b, err)
				b.Cleanup(c.Close)
				return c
			}
		}
		name := map[bool]string{false: "without", true: "with"}[guard]
		sides = append(sides, &side{name: name, operator: dial(identity.Operator, at), desk: dial(identity.Desk, "protection-energy")})
	}
	for b.Loop() {
		slices.Reverse(sides) // what the one leaves to be done is done while the other is measured
		for _, s := range sides {
			s.rate = append(s.rate, throughput(b, s.operator, &s.n))
			time.Sleep(3 * time.Second) // until what was taken is graded
			told := toldAt200(b, s.operator, s.desk, &s.n)
			s.p50, s.p99 = append(s.p50, told[len(told)/2]), append(s.p99, told[len(told)*99/100])
		}
	}
	b.ReportMetric(0, "ns/op")
	slices.SortFunc(sides, func(x, y *side) int { return strings.Compare(x.name, y.name) })
	b.ReportMetric(median(ratios(sides[0].rate, sides[1].rate)), "with/without-reports")
	b.ReportMetric(median(ratios(sides[0].p50, sides[1].p50)), "with/without-p50")
	b.ReportMetric(median(ratios(sides[0].p99, sides[1].p99)), "with/without-p99")
	for _, s := range sides {
		b.ReportMetric(median(s.rate), s.name+"-reports/s")
		b.ReportMetric(median(s.p50), s.name+"-told-p50-ms")
		b.ReportMetric(median(s.p99), s.name+"-told-p99-ms")
	}
}

// side is a server with identities, or without, and what was measured of it.
type side struct {
	name           string
	operator, desk *client.Client
	n              int // reports so far
	rate, p50, p99 []float64
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

func throughput(b *testing.B, operator *client.Client, n *int) float64 {
	const reports = 10_000
	began := time.Now()
	require.NoError(b, operator.Reports(b.Context(), at, 256, func(yield func([]byte) error) error {
		for range reports {
			*n++
			if err := yield(cloudEvent("initial", at, fmt.Sprint("fast-", *n), "r1", onSite+`"title":"nothing grave"`)); err != nil {
				return err
			}
		}
		return nil
	}, func(r *event.Receipt) error { require.Equal(b, event.StatusAccepted, r.Status); return nil }))
	return reports / time.Since(began).Seconds()
}

// toldAt200 returns in order what it took, in milliseconds, for each report to reach
// the desk.
func toldAt200(b *testing.B, operator, desk *client.Client, n *int) (took []float64) {
	const reports, settling = 1200, 200 // the first find the index still busy with what was taken before
	var mu sync.Mutex
	sent := map[string]time.Time{}
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	shown := make(chan error, 1)
	go func() {
		shown <- desk.Watch(ctx, "protection-energy", "wall", reports, time.Now, func(e *event.Escalated, _ event.EscalationRow) error {
			mu.Lock()
			defer mu.Unlock()
			took = append(took, float64(time.Since(sent[e.Incident]).Microseconds())/1000)
			return nil
		})
	}()
	var under sync.WaitGroup
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range reports {
		<-tick.C
		*n++
		name := fmt.Sprint("told-", *n)
		raw := cloudEvent("initial", at, name, "r1", onSite+large)
		under.Go(func() {
			mu.Lock()
			sent[name] = time.Now()
			mu.Unlock()
			_, err := operator.Report(ctx, at, raw)
			require.NoError(b, err)
		})
	}
	under.Wait()
	require.NoError(b, <-shown)
	took = took[settling:]
	slices.Sort(took)
	return took
}
