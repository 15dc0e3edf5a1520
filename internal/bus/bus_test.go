package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

var stamp = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func accepted(i int) event.Record {
	return event.RawRecord(event.AcceptedSubject("op", fmt.Sprintf("inc-%d", i), event.SourceOf("op"), "r"), stamp, fmt.Sprint(i), fmt.Appendf(nil, `{"n":%d}`, i))
}

func TestCommit_StoresEachSubjectOnce(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 5, 19, 20, 300, 2500} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			b := bustest.Start(t).Bus
			var records []event.Record
			for i := range n {
				records = append(records, accepted(i))
			}
			first, err := b.Commit(t.Context(), records)
			require.NoError(t, err)
			for i, r := range first {
				require.Nil(t, r.Existing)
				got, err := b.Get(t.Context(), r.Sequence)
				require.NoError(t, err)
				require.Equal(t, records[i].Subject, got.Subject, "the sequence is that of this record")
				require.Equal(t, records[i], got.Record)
			}
			head, err := b.Head(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, n, head)

			var repeats []event.Record
			for i := range n + 3 { // three are new
				repeats = append(repeats, accepted(i))
			}
			second, err := b.Commit(t.Context(), repeats)
			require.NoError(t, err)
			for i := range n {
				require.Equal(t, first[i].Sequence, second[i].Sequence)
				require.NotNil(t, second[i].Existing)
				require.Equal(t, records[i].Salt, second[i].Existing.Salt)
			}
			for i := n; i < n+3; i++ {
				require.Nil(t, second[i].Existing)
			}
		})
	}
}

func TestCommit_RecognizesItsOwnRecord(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t).Bus
	r := accepted(1)
	first, err := b.Commit(t.Context(), []event.Record{r})
	require.NoError(t, err)
	again, err := b.Commit(t.Context(), []event.Record{r}) // the same salt: our own try
	require.NoError(t, err)
	require.Len(t, again, 1)
	assert.Equal(t, first[0].Sequence, again[0].Sequence)
	assert.Nil(t, again[0].Existing)
	assert.Equal(t, b.Entry(r, first[0]), b.Entry(r, again[0]))
}

func TestCommit_ConcurrentWritersOfOneSubject(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t).Bus
	var wg sync.WaitGroup
	var mu sync.Mutex
	ours := 0
	for range 200 {
		wg.Go(func() {
			res, err := b.Commit(context.Background(), []event.Record{accepted(7), accepted(8)})
			assert.NoError(t, err)
			mu.Lock()
			defer mu.Unlock()
			if res[0].Existing == nil {
				ours++
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 1, ours)
	head, err := b.Head(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 2, head)
}

func TestCommit_RejectsInvalidRecords(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t).Bus
	_, err := b.Commit(t.Context(), []event.Record{event.RawRecord("report.op", stamp, "", nil)})
	require.Error(t, err)
	assert.Equal(t, fault.Reject, fault.KindOf(err))

	records := []event.Record{event.RawRecord("incident.accepted.op.big.r", stamp, "", make([]byte, 5<<20))}
	for i := range 30 {
		records = append(records, accepted(i))
	}
	_, err = b.Commit(t.Context(), records)
	require.Error(t, err)
	assert.Equal(t, fault.Reject, fault.KindOf(err))
	head, err := b.Head(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 30, head, "one record too large does not hold up the others")
}

func TestOpen_RejectsAStreamThatDiffers(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	js := bustest.JetStream(t, env)
	s, err := js.Stream(t.Context(), event.StreamLedger)
	require.NoError(t, err)
	cfg := s.CachedInfo().Config
	cfg.MaxMsgs = 1000
	_, err = js.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	_, err = bus.Open(t.Context(), env.Conn, bus.Config{Clock: clock.System{}, Log: env.Log})
	require.ErrorContains(t, err, "max messages is 1000, want -1")
}

// echo makes one record "rules.<seq>" of each record and fails as configured.
type echo struct {
	mu     sync.Mutex
	seen   []uint64
	fail   func(seq uint64, try int) error
	tries  map[uint64]int
	refuse bool
	asked  int
}

func (e *echo) Handle(_ context.Context, in event.Stored) ([]event.Record, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.tries == nil {
		e.tries = map[uint64]int{}
	}
	e.tries[in.Sequence]++
	if e.fail != nil {
		if err := e.fail(in.Sequence, e.tries[in.Sequence]); err != nil {
			return nil, err
		}
	}
	e.seen = append(e.seen, in.Sequence)
	return []event.Record{event.RawRecord(fmt.Sprintf("rules.%d", in.Sequence), stamp, "", []byte("{}"))}, nil
}

func (e *echo) conflict(_, _ event.Stored) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked++
	return e.refuse && e.asked < 3
}

func (e *echo) handled() []uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.seen)
}

func follower(e *echo) bus.Follower {
	return bus.Follower{
		Name: "echo", Subjects: []string{event.AllAccepted}, Handler: e, Conflict: e.conflict,
		Key: func(s event.Stored) string { return s.Subject },
		GiveUp: func(in event.Stored, attempts int, err error) (event.Record, error) {
			return event.NewRecord(event.UnhandledSubject("echo", "op", "inc", in.Sequence), stamp, "", map[string]any{"attempts": attempts, "error": err.Error()})
		},
	}
}

func commit(t *testing.T, b *bus.Bus, from, to int) {
	t.Helper()
	var records []event.Record
	for i := from; i < to; i++ {
		records = append(records, accepted(i))
	}
	bustest.Store(t, b, records)
}

// waitLimit is how long tests wait for something that must happen, even on a busy machine.
const waitLimit = 60 * time.Second

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, waitLimit, 5*time.Millisecond, what)
}

func TestFollow_InOrderPastARecordThatFails(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t).Bus
	e := &echo{fail: func(seq uint64, try int) error {
		switch seq {
		case 3:
			return errors.New("always fails")
		case 5:
			if try < 3 {
				return errors.New("fails at first")
			}
		case 6:
			return fault.New(fault.Reject, "echo", "can never be handled")
		case 7:
			panic("a bug")
		}
		return nil
	}}
	commit(t, b, 0, 20)
	bustest.Background(t, func(ctx context.Context) error { return b.Follow(ctx, follower(e)) })
	eventually(t, "all but three handled", func() bool { return len(e.handled()) == 17 })
	got := e.handled()
	at := slices.Index(got, 5)
	require.GreaterOrEqual(t, at, 0, "a passing fault is handled later")
	assert.Equal(t, []uint64{1, 2, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}, slices.Delete(got, at, at+1), "records after a failing one are still handled")
	for seq, tries := range map[uint64]int{3: 3, 6: 1, 7: 3} {
		eventually(t, "given up", func() bool {
			s, err := b.Last(t.Context(), event.UnhandledSubject("echo", "op", "inc", seq))
			return err == nil && assert.Contains(t, string(s.Data), fmt.Sprintf(`"attempts":%d`, tries))
		})
	}
}

// If the engine does not answer, the record is not at fault: it is not given up, and no
// other record of its key overtakes it.
func TestFollow_WaitsForTheEngine(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t).Bus
	asked := 0
	e := &echo{fail: func(seq uint64, _ int) error {
		if seq == 2 && asked < 2 {
			asked++
			return fmt.Errorf("read: %w", bus.ErrUnavailable)
		}
		return nil
	}}
	commit(t, b, 0, 4)
	bustest.Background(t, func(ctx context.Context) error {
		f := follower(e)
		f.Key = func(event.Stored) string { return "one" }
		return b.Follow(ctx, f)
	})
	eventually(t, "all are handled", func() bool { return len(e.handled()) == 4 })
	assert.Equal(t, []uint64{1, 2, 3, 4}, e.handled())
	_, err := b.Last(t.Context(), "incident.unhandled.>")
	assert.ErrorIs(t, err, bus.ErrNotFound)
}

func TestFollow_ResumesAtItsPosition(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	t.Run("before", func(t *testing.T) {
		b := bustest.StartIn(t, dir, clock.System{}).Bus
		commit(t, b, 0, 50)
		e := &echo{fail: func(seq uint64, _ int) error {
			if seq == 40 {
				return errors.New("still open when the service ends")
			}
			return nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		f := follower(e)
		f.Handler = stopAfter{e, cancel, 50}
		go func() { ended <- b.Follow(ctx, f) }()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	t.Run("after", func(t *testing.T) {
		b := bustest.StartIn(t, dir, clock.System{}).Bus
		e := &echo{}
		commit(t, b, 50, 60)
		bustest.Background(t, func(ctx context.Context) error { return b.Follow(ctx, follower(e)) })
		eventually(t, "reads on", func() bool { s := e.handled(); return len(s) > 0 && slices.Contains(s, 40) && len(s) >= 11 })
	})
}

// stopAfter cancels when the last record was handled.
type stopAfter struct {
	*echo
	cancel context.CancelFunc
	last   uint64
}

func (s stopAfter) Handle(ctx context.Context, in event.Stored) ([]event.Record, error) {
	out, err := s.echo.Handle(ctx, in)
	if in.Sequence == s.last {
		s.cancel()
	}
	return out, err
}

func TestFollow_HandlesAgainAfterAConflict(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t).Bus
	_, err := b.Commit(t.Context(), []event.Record{event.RawRecord("rules.2", stamp, "", []byte(`{"first":true}`))})
	require.NoError(t, err) // becomes record 1; the first accepted one is 2
	e := &echo{refuse: true}
	commit(t, b, 0, 1)
	bustest.Background(t, func(ctx context.Context) error { return b.Follow(ctx, follower(e)) })
	eventually(t, "handled until the handler lets the first stand", func() bool { return len(e.handled()) == 3 })
}

func TestFollow_StopsAtAFork(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t).Bus
	commit(t, b, 0, 1)
	e := &echo{fail: func(uint64, int) error { return fault.New(fault.Stop, "echo", "fork") }}
	err := b.Follow(t.Context(), follower(e))
	require.ErrorContains(t, err, "fork")
}

func TestFollow_TwoInstancesOfOneService(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t).Bus
	one, two := &echo{}, &echo{}
	bustest.Background(t, func(ctx context.Context) error { return b.Follow(ctx, follower(one)) })
	bustest.Background(t, func(ctx context.Context) error { return b.Follow(ctx, follower(two)) })
	commit(t, b, 0, 100)
	eventually(t, "both handled all", func() bool { return len(one.handled()) == 100 && len(two.handled()) == 100 })
	eventually(t, "each record once", func() bool {
		head, err := b.Head(t.Context())
		return err == nil && head == 200
	})
}

func BenchmarkCommitAlone(b *testing.B) {
	bb := bustest.Start(b).Bus
	for i := 0; b.Loop(); i++ {
		if _, err := bb.Commit(b.Context(), []event.Record{accepted(i)}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCommit1000(b *testing.B) {
	bb := bustest.Start(b).Bus
	n := 0
	for b.Loop() {
		records := make([]event.Record, 1000)
		for i := range records {
			records[i] = accepted(n)
			n++
		}
		if _, err := bb.Commit(b.Context(), records); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}
