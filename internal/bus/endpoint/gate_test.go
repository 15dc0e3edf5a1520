package endpoint

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus"
)

// fakeServices have a backlog that the test sets.
type fakeServices struct {
	mu    sync.Mutex
	n     uint64
	moved chan struct{}
}

func (f *fakeServices) set(n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n = n
	select {
	case f.moved <- struct{}{}:
	default:
	}
}

func (f *fakeServices) Backlog() (bus.Backlog, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return bus.Backlog{Service: "classifier", Records: f.n}, true
}

func (f *fakeServices) Progress() <-chan struct{} { return f.moved }

// TestAdmit_OnlyWhatServicesKeepUpWith: the rest is admitted once a turn ends or a service
// makes progress; work that waits too long is refused, and so is the work behind it.
func TestAdmit_OnlyWhatServicesKeepUpWith(t *testing.T) {
	t.Parallel()
	f := &fakeServices{moved: make(chan struct{}, 1)}
	s := &Server{gate: newGate(f)}
	s.gate.stored.least, s.gate.taken.least = bus.MaxBacklog, 2
	s.gate.taken.rate = 1 // one report a second, so the minimum applies
	f.set(bus.MaxBacklog - 1)
	enter := func() (*Turn, error) { return s.Admit(t.Context(), Work{Party: "a", Cost: 1}) }
	first, err := enter()
	require.NoError(t, err)
	second, err := enter()
	require.NoError(t, err)
	_, err = enter()
	require.Equal(t, Behind("the disk"), err)

	let := make(chan error)
	go func() { _, err := enter(); let <- err }()
	first.Leave()
	require.NoError(t, <-let)
	f.set(bus.MaxBacklog)
	second.Leave()
	second.Leave()
	_, err = enter()
	require.Equal(t, Behind("classifier"), err)
	go func() { _, err := enter(); let <- err }()
	f.set(1)
	require.NoError(t, <-let)
	require.EqualValues(t, 2, s.gate.inside.Load(), "a turn ends once")

	ended, end := context.WithCancel(t.Context())
	end()
	f.set(2 * bus.MaxBacklog)
	s.gate.room = 0 // as if all admitted reports had arrived
	_, err = s.Admit(ended, Work{Party: "a", Cost: 1})
	require.ErrorIs(t, err, context.Canceled)
	for range 2 {
		go func() { _, err := enter(); let <- err }()
	}
	require.Error(t, <-let)
	require.Error(t, <-let)
}

// TestPace: a slow machine has less in flight, so that waiting takes as long as on a fast
// one.
func TestPace_BacklogFollowsTheSpeed(t *testing.T) {
	t.Parallel()
	p := pace{least: minBacklog}
	now, done := time.Unix(1000, 0), uint64(0)
	run := func(rate int, lasts time.Duration) (backlog uint64) {
		for end := now.Add(lasts); now.Before(end); {
			now = now.Add(10 * time.Millisecond)
			done += uint64(rate / 100)
			backlog = p.backlog(now, done)
		}
		return backlog
	}
	require.EqualValues(t, bus.MaxBacklog, p.backlog(now, done), "nothing is known yet")
	require.EqualValues(t, bus.MaxBacklog, run(100_000, time.Second))
	require.InEpsilon(t, 2000*backlogTime.Seconds(), run(2000, 2*time.Second), 0.1)
	require.EqualValues(t, minBacklog, run(100, 2*time.Second))
	require.EqualValues(t, bus.MaxBacklog, run(100_000, time.Second), "it is fast again")
	now = now.Add(time.Hour)
	require.EqualValues(t, bus.MaxBacklog, p.backlog(now, done), "an hour without reports says nothing")
}
