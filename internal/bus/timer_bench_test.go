package bus_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// BenchmarkTimers sets timers that come due within one second, with and without a
// concurrent writer, and reports how late they are handled.
func BenchmarkTimers(b *testing.B) {
	sizes := []int{2000, 10000}
	if testing.Short() {
		sizes = sizes[:1]
	}
	for _, n := range sizes {
		for _, writes := range []bool{true, false} {
			b.Run(fmt.Sprintf("%d/writer=%v", n, writes), func(b *testing.B) {
				for b.Loop() {
					benchmarkTimers(b, n, writes)
				}
			})
		}
	}
}

func benchmarkTimers(b *testing.B, n int, writes bool) {
	env := bustest.Start(b)
	handler := &timerRecorder{clock: clock.System{}}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- env.Bus.FollowTimers(ctx, handler.follower()) }()

	began := time.Now()
	first := began.Add(5 * time.Second)
	var records []event.Record
	for i := range n {
		records = append(records, timer(fmt.Sprintf("t.%d", i), first.Add(time.Second*time.Duration(i)/time.Duration(n))))
	}
	set(b, env.Bus, records...)
	b.ReportMetric(float64(n)/time.Since(began).Seconds(), "set/s")

	written, stopped := writer(ctx, b, env, writes)
	writing := time.Now()
	for len(handler.received()) < n {
		time.Sleep(5 * time.Millisecond)
	}
	drained := time.Since(first)
	count, wrote := written.Load(), time.Since(writing)
	cancel()
	<-stopped
	require.ErrorIs(b, <-ended, context.Canceled)

	var late []time.Duration
	for i, in := range handler.received() {
		late = append(late, handler.at[i].Sub(in.Due))
	}
	slices.Sort(late)
	require.GreaterOrEqual(b, late[0], time.Duration(0), "never early")
	b.ReportMetric(float64(late[n/2].Milliseconds()), "p50-ms-late")
	b.ReportMetric(float64(late[n*99/100].Milliseconds()), "p99-ms-late")
	b.ReportMetric(drained.Seconds(), "drain-s")
	b.ReportMetric(float64(count)/wrote.Seconds(), "others/s")
}

// BenchmarkTimersBesideAFlood has 10,000 timers of one party due within a second, each
// with one output record, and 20 timers of other parties in the same second, set after
// them. It reports how late those of the others were.
func BenchmarkTimersBesideAFlood(b *testing.B) {
	for b.Loop() {
		env := bustest.Start(b)
		const flood, honest = 10_000, 20
		first := time.Now().Add(8 * time.Second)
		var records []event.Record
		for i := range flood {
			records = append(records, timer(fmt.Sprintf("flood.%d", i), first.Add(time.Second*time.Duration(i)/flood)))
		}
		for i := range honest {
			records = append(records, timer(fmt.Sprintf("honest%d.0", i), first.Add(time.Second*time.Duration(i)/honest)))
		}
		set(b, env.Bus, records...)
		handler := &timerRecorder{clock: clock.System{}, out: func(in event.Stored) []event.Record {
			return []event.Record{event.RawRecord("rules."+event.TimerName(in.Subject), stamp, "", []byte("{}"))}
		}}
		f := handler.follower()
		share(&f)
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		go func() { ended <- env.Bus.FollowTimers(ctx, f) }()
		for head := uint64(0); head < flood+honest; time.Sleep(5 * time.Millisecond) {
			head, _ = env.Bus.Head(b.Context())
		}
		drained := time.Since(first)
		var late []time.Duration
		for i := range honest {
			s, err := env.Bus.Last(b.Context(), fmt.Sprintf("rules.honest%d.0", i))
			require.NoError(b, err)
			late = append(late, s.StoredAt.Sub(first.Add(time.Second*time.Duration(i)/honest)))
		}
		cancel()
		<-ended
		slices.Sort(late)
		b.ReportMetric(float64(late[0].Microseconds())/1000, "min-ms-late")
		b.ReportMetric(float64(late[honest/2].Milliseconds()), "p50-ms-late")
		b.ReportMetric(float64(late[honest-1].Milliseconds()), "max-ms-late")
		b.ReportMetric(drained.Seconds(), "drain-s")
	}
}

func share(f *bus.TimerFollower) {
	f.Share = func(in event.Stored) string {
		name, _, _ := strings.Cut(event.TimerName(in.Subject), ".")
		return name
	}
	f.Filters = func(share string) []string { return []string{event.TimerSubject(share + ".>")} }
}

// writer commits records one after another until ctx ends.
func writer(ctx context.Context, b *testing.B, env *bustest.Env, on bool) (*atomic.Int64, <-chan struct{}) {
	var n atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for on && ctx.Err() == nil {
			if _, err := env.Bus.Commit(ctx, []event.Record{accepted(int(n.Load()))}); err == nil {
				n.Add(1)
			}
		}
	}()
	return &n, done
}

// BenchmarkCancel cancels one of 10,000 timers, and all of them at once.
func BenchmarkCancel(b *testing.B) {
	const n = 10000
	env := bustest.Start(b)
	far := time.Now().Add(time.Hour)
	prepare := func() {
		var records []event.Record
		for i := range n {
			records = append(records, timer(fmt.Sprintf("t.%d.%d", i/10, i%10), far))
		}
		set(b, env.Bus, records...)
	}
	prepare()
	i := 0
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, env.Bus.Cancel(b.Context(), event.TimerSubject(fmt.Sprintf("t.%d.%d", (i*7919%n)/10, i*7919%10))))
			i++
		}
	})
	b.Run("ten", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, env.Bus.Cancel(b.Context(), event.TimerSubject(fmt.Sprintf("t.%d.*", i*31%1000))))
			i++
		}
	})
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			prepare()
			began := time.Now()
			require.NoError(b, env.Bus.Cancel(b.Context(), event.TimerSubject(">")))
			b.ReportMetric(float64(time.Since(began).Milliseconds()), "cancel-ms")
			require.Zero(b, inTimers(b, env))
		}
	})
}
