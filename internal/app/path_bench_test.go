package app_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/event"
)

// BenchmarkOneReport is the whole path of one report, alone: from publishing
// it to the last of its two desks being told.
func BenchmarkOneReport(b *testing.B) {
	w := startWorld(b)
	told, err := w.nc.SubscribeSync(event.AllEscalated)
	require.NoError(b, err)
	require.NoError(b, w.nc.Flush())
	for i := 0; b.Loop(); i++ {
		w.report("initial", at, fmt.Sprint("alone-", i), "r1", onSite+large)
		for range regional {
			_, err := told.NextMsg(10 * time.Second)
			require.NoError(b, err)
		}
	}
}

// BenchmarkManyReports has a thousand reports under way at once; the last desk
// told ends it, or where none is told the last grading.
func BenchmarkManyReports(b *testing.B) {
	for name, facts := range map[string]string{"told": large, "general": `"title":"nothing grave","facts":{"systemLoss":"none"}`} {
		b.Run(name, func(b *testing.B) { benchmarkMany(b, name == "told", facts) })
	}
}

func benchmarkMany(b *testing.B, escalates bool, facts string) {
	w := startWorld(b)
	subject, each := event.AllGraded, 1
	if escalates {
		subject, each = event.AllEscalated, len(regional)
	}
	told := make(chan *nats.Msg, 1<<16)
	_, err := w.nc.ChanSubscribe(subject, told)
	require.NoError(b, err)
	require.NoError(b, w.nc.Flush())
	n := 0
	for b.Loop() {
		err := w.client.Reports(b.Context(), at, 1000, func(yield func([]byte) error) error {
			for range 1000 {
				n++
				if err := yield(cloudEvent("initial", at, fmt.Sprint("many-", n), "r1", onSite+facts)); err != nil {
					return err
				}
			}
			return nil
		}, func(*event.Receipt) error { return nil })
		require.NoError(b, err)
		for len(told) < each*1000 {
			time.Sleep(time.Millisecond)
		}
		for range each * 1000 {
			<-told
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "reports/s")
}

// BenchmarkOneIncident has five hundred reports of one incident under way at
// once: they are folded one after another.
func BenchmarkOneIncident(b *testing.B) {
	w := startWorld(b)
	w.report("initial", at, inc, "r", onSite+large)
	n := 0
	for b.Loop() {
		err := w.client.Reports(b.Context(), at, 500, func(yield func([]byte) error) error {
			for range 500 {
				n++
				if err := yield(cloudEvent("progress", at, inc, fmt.Sprint("p", n), fmt.Sprintf(`"cause":"%d"`, n))); err != nil {
					return err
				}
			}
			return nil
		}, func(*event.Receipt) error { return nil })
		require.NoError(b, err)
		for {
			rows := w.query(api.Query{Desk: "protection-energy", Cursor: "0"})
			if len(rows) == n+1 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "reports/s")
}

// BenchmarkCertified is how long after its receipt a report's record is covered
// by a signed checkpoint: alone, and while others report as fast as they can.
func BenchmarkCertified(b *testing.B) {
	for _, busy := range []bool{false, true} {
		b.Run(map[bool]string{false: "alone", true: "busy"}[busy], func(b *testing.B) {
			w := startWorld(b)
			if busy {
				others := w.dial()
				bustest.Background(b, func(ctx context.Context) error {
					n := 0
					return others.Reports(ctx, at, 100, func(yield func([]byte) error) error {
						for ctx.Err() == nil {
							n++
							if err := yield(cloudEvent("initial", at, fmt.Sprint("other-", n), "r1", onSite+large)); err != nil {
								return err
							}
						}
						return ctx.Err()
					}, func(*event.Receipt) error { return nil })
				})
			}
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				for n := range 50 {
					r := w.report("initial", at, fmt.Sprint("mine-", i, "-", n), "r1", onSite+large)
					began := time.Now()
					for askAt[api.LogState](w, api.EndpointLog, struct{}{}).Size < r.Record {
						time.Sleep(time.Millisecond)
					}
					took = append(took, time.Since(began))
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
