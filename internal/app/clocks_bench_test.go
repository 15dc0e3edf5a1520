package app_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// BenchmarkTargetsInOneSecond lets the house's targets of many escalations pass
// within one second, while other reports keep coming, and shows how late the
// overdue records are, how long all of them take, and what a receipt takes
// meanwhile.
func BenchmarkTargetsInOneSecond(b *testing.B) {
	sizes := []int{2_000, 10_000}
	if testing.Short() {
		sizes = []int{500}
	}
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				targetsInOneSecond(b, n)
			}
		})
	}
}

func targetsInOneSecond(b *testing.B, n int) {
	w := startWorldIn(b, b.TempDir(), func(cfg *app.Config) { cfg.Clock = clock.System{} })
	// Time enough to take all reports before the first target passes.
	first := time.Now().Add(5*time.Second + time.Duration(n)*4*time.Millisecond).UTC().Round(time.Millisecond)
	require.NoError(b, w.client.Reports(b.Context(), "", 64, func(yield func([]byte) error) error {
		for i := range n {
			due := first.Add(time.Second * time.Duration(i) / time.Duration(n))
			raw := cloudEvent("initial", "city-clinic", fmt.Sprintf("due-%d", i), "r1", fmt.Sprintf(
				`"discoveredAt":%q,"facilities":["records"],"facts":{"personalInformationPersons":1000000}`, due.Add(-4*time.Hour).Format(time.RFC3339Nano)))
			if err := yield(raw); err != nil {
				return err
			}
		}
		return nil
	}, func(r *event.Receipt) error { require.Equal(b, event.StatusAccepted, r.Status); return nil }))
	require.True(b, time.Now().Before(first), "the reports were not taken in time")
	time.Sleep(time.Until(first))

	meanwhile := make(chan []time.Duration)
	ctx, stop := context.WithCancel(b.Context())
	go func() { meanwhile <- otherTraffic(ctx, w) }()
	late := overdueRecords(b, w, n)
	stop()
	receipts := <-meanwhile
	slices.Sort(late)
	slices.Sort(receipts)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(late[len(late)/2]), "late-p50-ms")
	b.ReportMetric(ms(late[len(late)*99/100]), "late-p99-ms")
	b.ReportMetric(time.Since(first).Seconds(), "drained-s")
	b.ReportMetric(float64(len(receipts)), "other-reports")
	b.ReportMetric(ms(receipts[len(receipts)*99/100]), "receipt-p99-ms")
}

// otherTraffic reports one after another until ctx ends, and returns what each
// receipt took.
func otherTraffic(ctx context.Context, w *world) (took []time.Duration) {
	for i := 0; ctx.Err() == nil; i++ {
		begin := time.Now()
		_, err := w.client.Report(ctx, "grid-east", cloudEvent("initial", "grid-east", fmt.Sprintf("other-%d", i), "r1", onSite+large))
		if err == nil {
			took = append(took, time.Since(begin))
		}
		time.Sleep(5 * time.Millisecond)
	}
	return took
}

// overdueRecords waits for n overdue records and returns how late each was
// stored, by the engine's stamp.
func overdueRecords(b *testing.B, w *world, n int) (late []time.Duration) {
	cons, err := w.js.OrderedConsumer(b.Context(), event.StreamLedger, jetstream.OrderedConsumerConfig{FilterSubjects: []string{event.AllOverdue}})
	require.NoError(b, err)
	messages, err := cons.Messages()
	require.NoError(b, err)
	defer messages.Stop()
	for len(late) < n {
		m, err := messages.Next()
		require.NoError(b, err)
		meta, err := m.Metadata()
		require.NoError(b, err)
		o, err := event.Decode[event.Overdue](event.ReadStored(event.Real, m.Subject(), m.Headers(), m.Data(), meta.Sequence.Stream, meta.Timestamp))
		require.NoError(b, err)
		require.False(b, meta.Timestamp.Before(o.AcknowledgeBy), "early")
		late = append(late, meta.Timestamp.Sub(o.AcknowledgeBy))
	}
	return late
}
