package bus_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

func TestRealms_ShareNothing(t *testing.T) {
	t.Parallel()
	real := bustest.Start(t)
	drill := bustest.Join(t, real, clock.System{}, event.Drill)
	require.Equal(t, event.Drill, drill.Bus.Realm())
	one, two := &echo{}, &echo{}
	bustest.Background(t, func(ctx context.Context) error { return real.Bus.Follow(ctx, follower(one)) })
	bustest.Background(t, func(ctx context.Context) error { return drill.Bus.Follow(ctx, follower(two)) })
	commit(t, real.Bus, 0, 5)
	commit(t, drill.Bus, 0, 50) // the same subjects, and enough for a batch
	eventually(t, "each handles its own", func() bool { return len(one.handled()) == 5 && len(two.handled()) == 50 })

	for _, env := range []*bustest.Env{real, drill} {
		subject := accepted(1).Subject
		last, err := env.Bus.Last(t.Context(), subject)
		require.NoError(t, err)
		assert.Equal(t, subject, last.Subject, "services see plain subjects")
		first, err := env.Bus.First(t.Context(), event.AllAccepted)
		require.NoError(t, err)
		assert.Equal(t, accepted(0).Subject, first.Subject)
		again, err := env.Bus.Commit(t.Context(), []event.Record{accepted(1)})
		require.NoError(t, err)
		require.NotNil(t, again[0].Existing)
		existing := *again[0].Existing
		assert.Equal(t, last.Entry(), existing.Entry())
		existing.Header = last.Header // the engine's own headers depend on how it was read
		assert.Equal(t, last, existing)
		_, err = env.Bus.Commit(t.Context(), []event.Record{event.RawRecord("exercise."+subject, stamp, "", nil)})
		require.Error(t, err, "no bus names a realm")
	}
	_, err := real.Bus.Last(t.Context(), accepted(40).Subject)
	require.ErrorIs(t, err, bus.ErrNotFound)
}

func TestRealms_ShowInTheRecord(t *testing.T) {
	t.Parallel()
	env := bustest.StartRealm(t, t.TempDir(), clock.System{}, event.Drill)
	commit(t, env.Bus, 0, 1)
	s, err := bustest.JetStream(t, env).Stream(t.Context(), "EXERCISE")
	require.NoError(t, err)
	m, err := s.GetMsg(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, "exercise."+accepted(0).Subject, m.Subject)
	assert.Equal(t, m.Subject, m.Header.Get("ce-id"))
	assert.Equal(t, "urn:tocsin:exercise", m.Header.Get("ce-source"))
	assert.Equal(t, "tocsin.exercise.incident.accepted.v1", m.Header.Get("ce-type"))

	h := accepted(0).Message(event.Real).Header
	assert.Equal(t, accepted(0).Subject, h.Get("ce-id"))
	assert.Equal(t, "urn:tocsin:ledger", h.Get("ce-source"))
	assert.Equal(t, "tocsin.incident.accepted.v1", h.Get("ce-type"))
}

func TestScreens_LastSeen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	t.Run("while the server runs", func(t *testing.T) {
		env := bustest.StartIn(t, dir, clock.System{})
		name, err := env.Bus.Consumer(t.Context(), "power", "wall-1", 1)
		require.NoError(t, err)
		_, err = env.Bus.Consumer(t.Context(), "power", "never", 1)
		require.NoError(t, err)
		screen := func(client string) bus.Screen {
			all, err := env.Bus.Screens(t.Context())
			require.NoError(t, err)
			require.Len(t, all, 2)
			return all[slices.IndexFunc(all, func(s bus.Screen) bool { return s.Desk == "power" && s.Client == client })]
		}
		require.Equal(t, bus.Screen{Desk: "power", Client: "never"}, screen("never"))
		client := bustest.Join(t, env, clock.System{}, event.Real)
		cons, err := bustest.JetStream(t, client).Consumer(t.Context(), event.StreamLedger, name)
		require.NoError(t, err)
		batch, err := cons.FetchNoWait(1)
		require.NoError(t, err)
		for range batch.Messages() {
		}
		go func() {
			batch, err := cons.Fetch(1)
			if !assert.NoError(t, err) {
				return
			}
			for m := range batch.Messages() {
				assert.NoError(t, m.Ack())
			}
			_, _ = cons.Fetch(1) // waits until the client disconnects
		}()
		eventually(t, "there", func() bool { return screen("wall-1").Waiting && screen("wall-1").SeenAt.IsZero() })
		began := time.Now()
		r := event.RawRecord("incident.escalated.power.op.inc.1", stamp, "", []byte("{}"))
		set(t, env.Bus, r)
		eventually(t, "was shown one", func() bool { return !screen("wall-1").SeenAt.Before(began) && screen("wall-1").Waiting })
		client.Conn.Close()
		eventually(t, "gone", func() bool { return !screen("wall-1").Waiting })
		require.False(t, screen("wall-1").SeenAt.IsZero())
		require.False(t, screen("never").Waiting)
	})
	t.Run("after a restart", func(t *testing.T) {
		all, err := bustest.StartIn(t, dir, clock.System{}).Bus.Screens(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 2)
		for _, s := range all {
			assert.False(t, s.Waiting, "%+v", s)
		}
	})
}

func TestHeartbeats_StopWhereAHandlerHangs(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	release := make(chan struct{})
	defer close(release)
	e := &echo{fail: func(uint64, int) error { <-release; return nil }}
	handler := &timerRecorder{clock: clock.System{}}
	bustest.Background(t, func(ctx context.Context) error { return env.Bus.Follow(ctx, follower(e)) })
	followTimers(t, env.Bus, handler)
	bustest.Background(t, func(ctx context.Context) error { return env.Endpoints.Serve(ctx, "intake") })
	for _, name := range []string{"echo", "recorder", "intake"} {
		eventually(t, name+" answers", func() bool {
			_, err := env.Conn.Request("$SRV.PING."+name, nil, time.Second)
			return err == nil && !env.Bus.Heartbeats()[name].IsZero()
		})
	}
	commit(t, env.Bus, 0, 20) // the handler of echo hangs with more records than may be slow at once
	eventually(t, "the others beat on, and what hangs does not", func() bool {
		p := env.Bus.Heartbeats()
		last := p["echo"].Add(2500 * time.Millisecond) // each beats once a second
		return p["recorder"].After(last) && p["intake"].After(last)
	})
}
