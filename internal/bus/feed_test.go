package bus_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// TestTail_EveryRecordOnce, wherever it begins and however slow it is, while so
// many records are stored that the feed drops records several times.
func TestTail_EveryRecordOnce(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	const rounds, each = 25, 1000
	round := func(n int) {
		records := make([]event.Record, each)
		for i := range records {
			kind := []string{"accepted", "graded", "elapsed"}[i%3]
			records[i] = event.RawRecord(fmt.Sprintf("incident.%s.o%d.i%d", kind, i%7, n*each+i), stamp, "", []byte(`{}`))
		}
		bustest.Store(t, env.Bus, records)
	}
	for n := range 5 {
		round(n) // stored before anybody reads
	}
	readers := []struct {
		from     uint64
		subjects []string
		pause    time.Duration // after each batch
		kind     int           // kind to read; -1: all
	}{
		{from: 1, kind: -1},
		{from: 1, kind: -1, pause: 30 * time.Millisecond},
		{from: 3 * each, kind: 1, subjects: []string{"incident.graded.>"}},
		{from: 1, kind: 0, subjects: []string{"incident.accepted.*.*"}, pause: 50 * time.Millisecond},
		{from: 5*each + 1, kind: -1, subjects: []string{"incident.accepted.>", "incident.graded.*.>", "incident.elapsed.>"}},
		{from: 7 * each, kind: -1}, // beyond the end
	}
	done := errors.New("all are read")
	var g sync.WaitGroup
	for i, r := range readers {
		g.Go(func() {
			var got []uint64
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			err := env.Bus.Tail(ctx, r.from, r.subjects, func(_ context.Context, batch []event.Stored) error {
				for _, s := range batch {
					got = append(got, s.Sequence)
					if strings.HasSuffix(s.Subject, ".last.last") {
						return done
					}
				}
				time.Sleep(r.pause)
				return nil
			})
			if !errors.Is(err, done) {
				t.Errorf("reader %d: %v after %d records", i, err, len(got))
				return
			}
			require.True(t, slices.IsSorted(got))
			require.Len(t, slices.Compact(slices.Clone(got)), len(got), "reader %d got one twice", i)
			want := 1 // plus the last of all, or of its kind
			for seq := r.from; seq <= rounds*each; seq++ {
				if kind := (seq - 1) % each % 3; r.kind < 0 || kind == uint64(r.kind) {
					want++
				}
			}
			require.Len(t, got, want, "reader %d", i)
		})
	}
	for n := 5; n < rounds; n++ {
		round(n)
	}
	for _, kind := range []string{"accepted", "graded"} {
		_, err := env.Bus.Commit(t.Context(), []event.Record{event.RawRecord("incident."+kind+".last.last", stamp, "", nil)})
		require.NoError(t, err)
	}
	g.Wait()
}

// TestTail_PassesRemovedRecords: a reader passes records that were removed between its
// position and the start of the feed.
func TestTail_PassesRemovedRecords(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	commit(t, env.Bus, 0, 10)
	for seq := uint64(6); seq <= 10; seq++ {
		require.NoError(t, env.Bus.Remove(t.Context(), seq))
	}
	got := make(chan string, 100)
	bustest.Background(t, func(ctx context.Context) error {
		return env.Bus.Tail(ctx, 3, nil, func(_ context.Context, batch []event.Stored) error {
			for _, s := range batch {
				got <- s.Subject[strings.LastIndex(s.Subject, ".")+1:]
			}
			return nil
		})
	})
	for range 3 {
		<-got
	}
	commit(t, env.Bus, 20, 21)
	select {
	case <-got:
	case <-time.After(waitLimit):
		t.Fatal("the record after the gap did not come")
	}
}

// handle is a handler for tests without records of other writers.
type handle func(context.Context, event.Stored) ([]event.Record, error)

func (h handle) Handle(ctx context.Context, in event.Stored) ([]event.Record, error) {
	return h(ctx, in)
}

// TestFollow_TwoProcessesWrite: each follower gets what both wrote, each record once, in
// order and as stored in the stream.
func TestFollow_TwoProcessesWrite(t *testing.T) {
	t.Parallel()
	one := bustest.Start(t)
	two := bustest.Join(t, one, clock.System{}, event.Real)
	const each = 3000
	var handed [2][]event.Stored
	var followers sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for i, b := range []*bus.Bus{one.Bus, two.Bus} {
		followers.Go(func() {
			ctx, done := context.WithCancel(ctx)
			_ = b.Follow(ctx, bus.Follower{
				Name: fmt.Sprint("follower", i), Subjects: []string{event.AllAccepted},
				Key: func(event.Stored) string { return "" }, // in order
				Handler: handle(func(_ context.Context, in event.Stored) ([]event.Record, error) {
					if handed[i] = append(handed[i], in); len(handed[i]) == 2*each {
						done()
					}
					return nil, nil
				}),
			})
		})
	}
	var writers sync.WaitGroup
	for i, b := range []*bus.Bus{one.Bus, two.Bus} {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for n := 0; n < each; {
				size := min(each-n, 1+r.IntN([]int{3, 60}[r.IntN(2)])) // one by one, and in batches
				records := make([]event.Record, size)
				for k := range records {
					records[k] = accepted(i*each + n + k)
					records[k].Time = time.Now() // with a monotonic reading, which no stream stores
				}
				_, err := b.Commit(ctx, records)
				assert.NoError(t, err)
				n += size
			}
		})
	}
	writers.Wait()
	followers.Wait()
	var stored []event.Stored
	for len(stored) < 2*each {
		page, err := one.Bus.Page(t.Context(), uint64(len(stored))+1, 2*each, nil, 2*each, 64<<20)
		require.NoError(t, err)
		require.NotEmpty(t, page)
		stored = append(stored, page...)
	}
	for i := range handed {
		require.Len(t, handed[i], len(stored))
		for k, s := range stored {
			require.Equal(t, s.Entry(), handed[i][k].Entry(), "record %d", s.Sequence)
			require.Equal(t, s.Record, handed[i][k].Record)
			require.Equal(t, s.StoredAt, handed[i][k].StoredAt)
		}
	}
}

// A reader whose stream is gone gets ErrUnavailable and continues once it is restored:
// reporting the loss is up to the ledger, which must be running for that.
func TestTail_StreamDeleted(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	js := bustest.JetStream(t, env)
	require.NoError(t, js.DeleteStream(t.Context(), event.StreamLedger))
	for _, subjects := range [][]string{nil, {"incident.accepted.>"}} {
		err := env.Bus.Tail(t.Context(), 1, subjects, func(context.Context, []event.Stored) error { return nil })
		require.ErrorIs(t, err, bus.ErrUnavailable)
	}
}
