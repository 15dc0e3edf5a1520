package endpoint_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

func TestServe_InADrill(t *testing.T) {
	t.Parallel()
	env := bustest.StartRealm(t, t.TempDir(), clock.System{}, event.Drill)
	report := endpoint.Endpoint{
		Name: "report", Subject: api.EndpointReport, Limit: 2,
		Answer:  func(_ context.Context, r endpoint.Request) (any, error) { return r.Subject, nil },
		ReplyTo: func(r endpoint.Request) string { return api.ReceiptOf(r.Subject) },
	}
	bustest.Background(t, func(ctx context.Context) error { return env.Endpoints.Serve(ctx, "intake", report) })
	eventually(t, "the service is there under the drill's name", func() bool {
		_, err := env.Conn.Request("$SRV.PING.exercise-intake", nil, time.Second)
		return err == nil
	})
	bustest.Answers(t, env, "exercise.report.op")
	answer, err := env.Conn.Request("exercise.report.op", nil, waitLimit)
	require.NoError(t, err)
	var seen string
	require.NoError(t, json.Unmarshal(answer.Data, &seen))
	assert.Equal(t, "report.op", seen, "the endpoint gets the subject without the prefix of its realm")
	_, err = env.Conn.Request("report.op", nil, waitLimit)
	require.ErrorIs(t, err, nats.ErrNoResponders)

	elsewhere, err := env.Conn.SubscribeSync("exercise.receipt.op")
	require.NoError(t, err)
	require.NoError(t, env.Conn.Publish("exercise.report.op", nil))
	_, err = elsewhere.NextMsg(waitLimit)
	require.NoError(t, err)
}

// An answer must not become a record, in either realm.
func TestServe_ReplyToAReservedSubject(t *testing.T) {
	t.Parallel()
	real := bustest.Start(t)
	drill := bustest.Join(t, real, clock.System{}, event.Drill)
	reserved := []string{"incident.accepted.a.b.c", "exercise.incident.accepted.a.b.c", "timer.due.x", "exercise.timer.due.x"}
	for _, env := range []*bustest.Env{real, drill} {
		var taken atomic.Int64 // requests with a reserved reply subject
		report := endpoint.Endpoint{Name: "report", Subject: api.EndpointReport, Limit: 100, Answer: func(_ context.Context, r endpoint.Request) (any, error) {
			if slices.Contains(reserved, r.Reply) {
				taken.Add(1)
			}
			return "yes", nil
		}}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- env.Endpoints.Serve(ctx, "intake", report) }()
		wire := env.Bus.Realm().Wire
		bustest.Answers(t, env, wire("report.op"))
		for _, reply := range reserved {
			require.NoError(t, env.Conn.PublishRequest(wire("report.op"), reply, nil))
		}
		eventually(t, "every request is taken", func() bool { return taken.Load() == int64(len(reserved)) })
		stop()
		require.ErrorIs(t, <-ended, context.Canceled, "every answer has been sent")
	}
	for _, env := range []*bustest.Env{real, drill} { // what is stored now comes after the answers
		stamp := time.Unix(0, 0)
		timer := event.RawRecord(event.TimerSubject("marker"), stamp, "", []byte("{}"))
		timer.Due = time.Now().Add(time.Hour)
		results, err := env.Bus.Commit(t.Context(), []event.Record{event.RawRecord("rules.marker", stamp, "", []byte("{}")), timer})
		require.NoError(t, err)
		for _, r := range results {
			assert.EqualValues(t, 1, r.Sequence, "an answer was stored")
		}
	}
}

// An endpoint whose handler panics answers that the outcome is unknown, and stays open.
func TestServe_HandlerThatPanics(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- env.Endpoints.Serve(ctx, "panics", endpoint.Endpoint{Name: "log", Subject: api.EndpointLog, Limit: 1, Answer: func(_ context.Context, r endpoint.Request) (any, error) {
			if len(r.Data) == 0 {
				panic("a bug")
			}
			return "yes", nil
		}})
	}()
	for _, want := range []struct{ ask, code string }{{"x", ""}, {"", "503"}, {"", "503"}, {"x", ""}} {
		var m *nats.Msg
		require.Eventually(t, func() (ok bool) {
			var err error
			m, err = env.Conn.Request(api.EndpointLog, []byte(want.ask), time.Second)
			return err == nil
		}, 30*time.Second, 10*time.Millisecond)
		require.Equal(t, want.code, m.Header.Get(endpoint.HeaderErrorCode))
	}
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

// TestServe_RefusesWhileAServiceIsBehind, until it has caught up; a service that has
// never caught up with the ledger does not, nor does one without records to handle.
func TestServe_RefusesWhileAServiceIsBehind(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	const many = 8000 // more than are read ahead, fewer than the feed holds
	flood := func(n int) {
		t.Helper()
		records := make([]event.Record, many)
		for i := range records {
			records[i] = accepted(n*many + i)
		}
		bustest.Store(t, env.Bus, records)
	}
	flood(0)
	follow := func(name string, subjects []string, h handle) {
		bustest.Background(t, func(ctx context.Context) error {
			return env.Bus.Follow(ctx, bus.Follower{Name: name, Subjects: subjects, Handler: h, Key: func(s event.Stored) string { return s.Subject }})
		})
	}
	ended := t.Context()
	hangs := func(ctx context.Context, _ event.Stored) ([]event.Record, error) {
		select {
		case <-ctx.Done():
		case <-ended.Done():
		}
		return nil, ctx.Err()
	}
	follow("idle", []string{event.AllGraded}, hangs)
	follow("old", nil, hangs) // reads the records stored before it began
	var mu sync.Mutex
	var last uint64
	held := make(chan struct{})
	ticks := time.NewTicker(20 * time.Millisecond) // far too slow, but not hanging
	defer ticks.Stop()
	follow("slow", []string{event.AllAccepted}, func(ctx context.Context, in event.Stored) ([]event.Record, error) {
		if in.Sequence > many {
			select {
			case <-ticks.C:
			case <-held:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		mu.Lock()
		defer mu.Unlock()
		last = max(last, in.Sequence) // slow calls end in any order
		return nil, nil
	})
	handled := func(seq uint64) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return last >= seq }
	}
	eventually(t, "the old ones are handled", handled(many))
	turn, err := env.Endpoints.Admit(t.Context(), endpoint.Work{Party: "a", Cost: 1})
	require.NoError(t, err)
	turn.Leave()

	bustest.Background(t, func(ctx context.Context) error {
		return env.Endpoints.Serve(ctx, "intake", endpoint.Endpoint{
			Name: "report", Subject: "report.*", Limit: 10, Backpressure: true,
			Answer: func(context.Context, endpoint.Request) (any, error) { return "taken", nil },
		})
	})
	ask := func() string {
		reply, err := env.Conn.Request("report.op", []byte("{}"), waitLimit)
		if err != nil {
			return err.Error()
		}
		return reply.Header.Get(endpoint.HeaderErrorCode) + string(reply.Data)
	}
	eventually(t, "the endpoint answers", func() bool { return ask() == `"taken"` })
	flood(1)
	eventually(t, "further requests are refused", func() bool { return ask() == "503" })
	close(held)
	eventually(t, "all is handled", handled(2*many))
	eventually(t, "the endpoint answers again", func() bool { return ask() == `"taken"` })
}
