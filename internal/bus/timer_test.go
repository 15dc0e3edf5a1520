package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

func timer(name string, due time.Time) event.Record {
	r := event.RawRecord(event.TimerSubject(name), stamp, "", fmt.Appendf(nil, `{"name":%q}`, name))
	r.Due = due.UTC().Round(0)
	return r
}

func timers(n int, due time.Time) []event.Record {
	var out []event.Record
	for i := range n {
		out = append(out, timer(fmt.Sprintf("t.%d", i), due))
	}
	return out
}

// timerRecorder is a handler that records the timers it receives, and when.
type timerRecorder struct {
	clock clock.Clock
	fail  func(name string, try int) error
	out   func(in event.Stored) []event.Record

	mu     sync.Mutex
	timers []event.Stored
	at     []time.Time
}

func (b *timerRecorder) Handle(_ context.Context, in event.Stored) ([]event.Record, error) {
	now := b.clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.timers, b.at = append(b.timers, in), append(b.at, now)
	if b.fail != nil {
		if err := b.fail(event.TimerName(in.Subject), len(b.timers)); err != nil {
			return nil, err
		}
	}
	if b.out != nil {
		return b.out(in), nil
	}
	return nil, nil
}

func (b *timerRecorder) received() []event.Stored {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.timers)
}

func (b *timerRecorder) follower() bus.TimerFollower {
	return bus.TimerFollower{Follower: bus.Follower{
		Name: "recorder", Handler: b,
		Key: func(s event.Stored) string { return s.Subject },
		GiveUp: func(in event.Stored, attempts int, err error) (event.Record, error) {
			return event.NewRecord(event.UnhandledSubject("recorder", "op", event.Token(event.TimerName(in.Subject)), in.Sequence), stamp, "", map[string]any{"attempts": attempts})
		},
	}}
}

func followTimers(t testing.TB, b *bus.Bus, handler *timerRecorder) {
	bustest.Background(t, func(ctx context.Context) error { return b.FollowTimers(ctx, handler.follower()) })
}

func set(t testing.TB, b *bus.Bus, records ...event.Record) []bus.Result {
	t.Helper()
	res, err := b.Commit(t.Context(), records)
	require.NoError(t, err)
	return res
}

// inTimers returns the number of messages in the timers' stream.
func inTimers(t testing.TB, e *bustest.Env) int {
	t.Helper()
	n := 0
	for _, messages := range inTimersOf(t, e, "timer.>") {
		n += int(messages)
	}
	return n
}

// inTimersOf returns the number of messages of each subject that matches a filter.
func inTimersOf(t testing.TB, e *bustest.Env, filter string) map[string]uint64 {
	t.Helper()
	realm := e.Bus.Realm()
	s, err := bustest.JetStream(t, e).Stream(t.Context(), realm.Stream(event.StreamTimers))
	require.NoError(t, err)
	info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(realm.Wire(filter)))
	require.NoError(t, err)
	return info.State.Subjects
}

func TestTimers_NeverEarlyAndLeaveNothing(t *testing.T) {
	t.Parallel()
	for _, realm := range []event.Realm{event.Real, event.Drill} {
		for _, n := range []int{1, 300} { // one by one, and in an atomic batch
			t.Run(fmt.Sprint(realm, n), func(t *testing.T) {
				env := bustest.StartRealm(t, t.TempDir(), clock.System{}, realm)
				handler := &timerRecorder{clock: clock.System{}}
				followTimers(t, env.Bus, handler)
				due := time.Now().Add(700*time.Millisecond + 123456*time.Nanosecond)
				records := timers(n, due)
				set(t, env.Bus, records...)
				eventually(t, "all come due", func() bool { return len(handler.received()) == n })
				byName := map[string]event.Record{}
				for _, r := range records {
					byName[event.TimerName(r.Subject)] = r
				}
				for i, in := range handler.received() {
					require.False(t, handler.at[i].Before(in.Due), "never early")
					want := byName[event.TimerName(in.Subject)]
					want.Subject = event.DueSubject(want.Subject)
					require.Equal(t, want, in.Record, "the body and the Due are those that were set")
				}
				eventually(t, "nothing is left", func() bool { return inTimers(t, env) == 0 })
			})
		}
	}
}

func TestTimers_DueInThePast(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	handler := &timerRecorder{clock: clock.System{}}
	followTimers(t, env.Bus, handler)
	set(t, env.Bus, timer("past", stamp))
	eventually(t, "comes due", func() bool { return len(handler.received()) == 1 })
}

func TestTimers_SurviveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var due time.Time
	t.Run("before", func(t *testing.T) {
		due = time.Now().Add(1500 * time.Millisecond) // still set when the server ends
		b := bustest.StartIn(t, dir, clock.System{}).Bus
		set(t, b, append(timers(30, due), timer("alone", due), timer("cancelled", due))...)
		require.NoError(t, b.Cancel(t.Context(), event.TimerSubject("cancelled")))
	})
	t.Run("after", func(t *testing.T) {
		env := bustest.StartIn(t, dir, clock.System{})
		handler := &timerRecorder{clock: clock.System{}}
		followTimers(t, env.Bus, handler)
		eventually(t, "all come due", func() bool { return len(handler.received()) >= 31 })
		eventually(t, "nothing is left", func() bool { return inTimers(t, env) == 0 })
		require.Len(t, handler.received(), 31)
		for i := range handler.received() {
			require.False(t, handler.at[i].Before(due))
		}
	})
}

func TestTimers_SetTwice(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 50} {
		b := bustest.Start(t).Bus
		far := time.Now().Add(time.Hour)
		first := timers(n, far)
		for _, r := range set(t, b, first...) {
			require.Nil(t, r.Existing)
		}
		for i, r := range set(t, b, timers(n, far.Add(time.Hour))...) {
			require.NotNil(t, r.Existing)
			require.Equal(t, first[i], r.Existing.Record)
		}
	}
}

func TestCancel_TimersNeverComeDue(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(stamp)
	env := bustest.StartIn(t, t.TempDir(), manual)
	handler := &timerRecorder{clock: manual}
	followTimers(t, env.Bus, handler)
	due := stamp.Add(time.Minute)
	set(t, env.Bus, append(timers(40, due), timer("x.one", due), timer("x.two.deep", due))...)
	require.NoError(t, env.Bus.Cancel(t.Context(), event.TimerSubject("t.*"), event.TimerSubject("x.one"), event.TimerSubject("x.two.>"), event.TimerSubject("never")))
	require.Zero(t, inTimers(t, env))
	set(t, env.Bus, timer("x.one", due.Add(time.Minute))) // a cancelled one can be set again
	manual.Advance(time.Hour)
	eventually(t, "what was set after them comes due", func() bool { return len(handler.received()) > 0 })
	require.Len(t, handler.received(), 1)
	require.Equal(t, due.Add(time.Minute), handler.received()[0].Due)
	eventually(t, "nothing is left", func() bool { return inTimers(t, env) == 0 })
	require.Equal(t, fault.Reject, fault.KindOf(env.Bus.Cancel(t.Context(), "timer.>")))
}

// scheduled stores a timer as earlier versions did, which had the engine move it to its
// due subject some time before it was due.
func scheduled(t *testing.T, e *bustest.Env, r event.Record, moves time.Time) {
	t.Helper()
	m := r.Message(e.Bus.Realm())
	m.Header.Set("Nats-Schedule", "@at "+moves.UTC().Format(time.RFC3339Nano))
	m.Header.Set("Nats-Schedule-Target", e.Bus.Realm().Wire(event.DueSubject(r.Subject)))
	_, err := bustest.JetStream(t, e).PublishMsg(t.Context(), m)
	require.NoError(t, err)
}

// TestTimers_OfAnEarlierVersion fire at their time, whether the engine has moved them
// already or does so while they are followed; cancelled ones do not.
func TestTimers_OfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	due := time.Now().Add(1500 * time.Millisecond)
	scheduled(t, env, timer("moved", due), time.Now())
	scheduled(t, env, timer("cancelled", due.Add(time.Hour)), time.Now())
	eventually(t, "the engine has moved them", func() bool { return len(inTimersOf(t, env, event.AllDue)) == 2 })
	handler := &timerRecorder{clock: clock.System{}}
	followTimers(t, env.Bus, handler)
	scheduled(t, env, timer("meanwhile", due.Add(time.Second)), due)
	require.NoError(t, env.Bus.Cancel(t.Context(), event.TimerSubject("cancelled")))
	eventually(t, "they come", func() bool { return len(handler.received()) >= 2 })
	eventually(t, "nothing is left", func() bool { return inTimers(t, env) == 0 })
	names := map[string]bool{}
	for i, in := range handler.received() {
		require.False(t, handler.at[i].Before(in.Due), "never early")
		names[event.TimerName(in.Subject)] = true
	}
	require.Equal(t, map[string]bool{"moved": true, "meanwhile": true}, names)
}

func TestTimers_RejectsInvalidTimers(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t).Bus
	withDue := accepted(1)
	withDue.Due = stamp
	due := timer("x", stamp)
	due.Subject = event.DueSubject(due.Subject)
	for _, r := range []event.Record{withDue, due, event.RawRecord(event.TimerSubject("x"), stamp, "", nil), event.RawRecord(event.DueSubject("x"), stamp, "", nil), timer("a.*", stamp)} {
		_, err := b.Commit(t.Context(), []event.Record{r})
		require.Error(t, err, r.Subject)
		require.Equal(t, fault.Reject, fault.KindOf(err), r.Subject)
	}
}

func TestFollowTimers_HandlerFails(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	passing := 0
	handler := &timerRecorder{clock: clock.System{}, fail: func(name string, _ int) error {
		switch name {
		case "failing":
			return errors.New("always fails")
		case "never":
			return fault.New(fault.Reject, "recorder", "can never be handled")
		case "passing":
			if passing++; passing < 3 {
				return errors.New("fails at first")
			}
		}
		return nil
	}}
	set(t, env.Bus, append(timers(30, stamp), timer("failing", stamp), timer("never", stamp), timer("passing", stamp))...)
	followTimers(t, env.Bus, handler)
	for name, tries := range map[string]int{"failing": 3, "never": 1} {
		eventually(t, name+" given up", func() bool {
			s, err := env.Bus.Last(t.Context(), "incident.unhandled.recorder.op."+name+".*")
			return err == nil && assert.Contains(t, string(s.Data), fmt.Sprintf(`"attempts":%d`, tries))
		})
	}
	eventually(t, "nothing is left", func() bool { return inTimers(t, env) == 0 })
	assert.Len(t, handler.received(), 30+3+1+3)
}

// The first follower loses its connection and ends after storing the output of half of
// the timers, before it could remove one.
func TestFollowTimers_CrashBeforeRemoval(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	far := time.Now().Add(time.Hour)
	out := func(in event.Stored) []event.Record {
		name := event.TimerName(in.Subject)
		return []event.Record{event.RawRecord("rules."+name, stamp, "", []byte("{}")), timer("next."+name, far)}
	}
	set(t, env.Bus, timers(30, stamp)...)
	ctx, crash := context.WithCancel(t.Context())
	dying := bustest.Join(t, env, clock.System{}, event.Real)
	handled := 0
	first := &timerRecorder{clock: clock.System{}, out: func(in event.Stored) []event.Record {
		if handled++; handled == 16 {
			dying.Conn.Close()
			crash()
		}
		return out(in)
	}}
	f := first.follower()
	f.Key = func(event.Stored) string { return "one after another" }
	require.ErrorIs(t, dying.Bus.FollowTimers(ctx, f), context.Canceled)
	head, err := env.Bus.Head(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, head, uint64(14))

	second := &timerRecorder{clock: clock.System{}, out: out}
	followTimers(t, env.Bus, second)
	eventually(t, "only what was set anew is left", func() bool {
		return inTimers(t, env) == 30 && len(inTimersOf(t, env, "timer.at.next.>")) == 30
	})
	require.NotEmpty(t, second.received())
	head, err = env.Bus.Head(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 30, head)
}

func TestFollowTimers_WaitsForItsClock(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(stamp)
	env := bustest.StartIn(t, t.TempDir(), manual)
	handler := &timerRecorder{clock: manual}
	followTimers(t, env.Bus, handler)
	near, far := stamp.Add(5*time.Second), stamp.Add(time.Hour)
	set(t, env.Bus, timer("near", near), timer("far", far))
	set(t, env.Bus, timer("marker", stamp))
	eventually(t, "the marker, which is due, is delivered", func() bool { return len(handler.received()) > 0 })
	require.Len(t, handler.received(), 1, "a timer was delivered before its time")
	manual.Advance(5 * time.Second)
	eventually(t, "the near one is delivered", func() bool { return len(handler.received()) == 2 })
	manual.Advance(time.Hour)
	eventually(t, "the far one is delivered", func() bool { return len(handler.received()) == 3 })
	eventually(t, "nothing is left", func() bool { return inTimers(t, env) == 0 })
}

func TestFollowTimers_ScaledClock(t *testing.T) {
	t.Parallel()
	scaled := clock.NewScaled(3600)
	scaled.Start()
	env := bustest.StartIn(t, t.TempDir(), scaled)
	handler := &timerRecorder{clock: scaled}
	followTimers(t, env.Bus, handler)
	due := scaled.Now().Add(time.Hour)
	set(t, env.Bus, timer("hour", due))
	eventually(t, "an hour passes in a second, not in an hour", func() bool { return len(handler.received()) == 1 })
	require.False(t, handler.at[0].Before(due))
}

// TestCommit_ReplacesTimersBesideTakenOnes: a timer that replaces another is stored, also
// in a batch that the engine refuses because other timers in it are set already.
func TestCommit_ReplacesTimersBesideTakenOnes(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	far := time.Now().Add(time.Hour)
	first := set(t, env.Bus, timers(100, far)...)
	again := timers(100, far.Add(time.Hour))
	for i := range again {
		if i%2 == 0 {
			again[i].Replaces = first[i].Sequence
		}
	}
	for i, res := range set(t, env.Bus, again...) {
		require.Equal(t, i%2 == 0, res.Existing == nil, "%s", again[i].Subject)
	}
}

// TestCommit_ReplacesATimerThatIsGone: if the timer to replace was removed meanwhile, the
// new one is still set, and timers behind it are not delayed.
func TestCommit_ReplacesATimerThatIsGone(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 50} {
		env := bustest.Start(t)
		far := time.Now().Add(time.Hour)
		first := set(t, env.Bus, timers(n, far)...)
		require.NoError(t, env.Bus.Cancel(t.Context(), event.TimerSubject("t.*")))
		again := timers(n, far)
		for i := range again {
			again[i].Replaces = first[i].Sequence
		}
		for _, res := range set(t, env.Bus, again...) {
			require.Nil(t, res.Existing)
		}
		require.Equal(t, n, inTimers(t, env))
	}
}
