package deadline

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
)

func TestMain(m *testing.M) {
	presenceEvery = 100 * time.Millisecond
	os.Exit(m.Run())
}

// tower is a server with running clocks, on a clock that the test moves.
type tower struct {
	t     testing.TB
	env   *bustest.Env
	clock *clock.Manual
	stop  func() // the clocks only
	// incidents are those of the operator mill that have records.
	incidents []string
}

// raise starts the clocks in a folder that may have earlier data.
func raise(t testing.TB, dir string, now time.Time) *tower {
	c := clock.NewManual(now)
	w := &tower{t: t, env: bustest.StartIn(t, dir, c), clock: c}
	w.run()
	return w
}

func (w *tower) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, depsOf(w.t, w.env, w.clock)) }()
	var once atomic.Bool
	w.stop = func() {
		if once.CompareAndSwap(false, true) {
			cancel()
			require.ErrorIs(w.t, <-ended, context.Canceled)
		}
	}
	w.t.Cleanup(w.stop)
	w.until("the desks are known", func() bool { _, ok := w.ask(); return ok })
}

func depsOf(t testing.TB, env *bustest.Env, c clock.Clock) Deps {
	reg, err := register.Decode([]byte(houses))
	require.NoError(t, err)
	return Deps{Bus: env.Bus, Endpoints: env.Endpoints, Clock: c, Log: env.Log, Register: reg}
}

func (w *tower) until(what string, done func() bool) {
	w.t.Helper()
	require.Eventually(w.t, done, 30*time.Second, 5*time.Millisecond, what)
}

// ask sends a request to the desks endpoint.
func (w *tower) ask() (a api.DesksAnswer, ok bool) {
	m, err := w.env.Conn.Request(api.EndpointDesks, nil, time.Second)
	if err != nil {
		return a, false
	}
	require.NoError(w.t, json.Unmarshal(m.Data, &a))
	return a, true
}

func (w *tower) screens(desk string) (out []api.Screen) {
	a, ok := w.ask()
	require.True(w.t, ok)
	for _, s := range a.Screens {
		if s.Desk == desk {
			out = append(out, s)
		}
	}
	return out
}

// seen returns when the first screen of a desk was last connected.
func (w *tower) seen(desk string) time.Time {
	if s := w.screens(desk)[0]; s.SeenAt != nil {
		return *s.SeenAt
	}
	return time.Time{}
}

// at returns a moment, in minutes after nine.
func at(minutes float64) time.Time { return nine.Add(time.Duration(minutes * float64(time.Minute))) }

func (w *tower) move(minutes float64) {
	w.clock.Advance(at(minutes).Sub(w.clock.Now()))
}

// put commits a record on behalf of another service.
func (w *tower) put(subject string, v any) uint64 {
	w.t.Helper()
	r, err := event.NewRecord(subject, w.clock.Now(), "", v)
	require.NoError(w.t, err)
	res, err := w.env.Bus.Commit(w.t.Context(), []event.Record{r})
	require.NoError(w.t, err)
	if a := event.ParseSubject(subject); a.Operator == "mill" && !slices.Contains(w.incidents, a.Incident) {
		w.incidents = append(w.incidents, a.Incident)
	}
	return res[0].Sequence
}

// tell escalates an incident to a desk that has some minutes to acknowledge, and waits
// until its timer is set or has come due.
func (w *tower) tell(desk, incident string, minutes float64) string {
	w.t.Helper()
	id := event.EscalationID(desk, "mill", incident, "1")
	now := w.clock.Now()
	by := now.Add(time.Duration(minutes * float64(time.Minute)))
	w.put("incident.escalated."+id, event.Escalated{
		ID: id, Desk: desk, Operator: "mill", Incident: incident, Revision: 1, ReportedAt: now, AcknowledgeBy: &by, Duties: []event.Duty{},
	})
	w.caughtUp()
	return id
}

// caughtUp returns when the clocks have handled all records: in each incident, the timer
// of a final mark is set. Incidents may overtake one another.
func (w *tower) caughtUp() {
	w.t.Helper()
	incidents := w.incidents
	if len(incidents) == 0 {
		incidents = []string{"none"}
	}
	for _, incident := range incidents {
		id := event.EscalationID("nobody", "mill", incident, fmt.Sprint(marks.Add(1)))
		by := w.clock.Now().Add(1000 * time.Hour)
		w.put("incident.escalated."+id, event.Escalated{ID: id, Desk: "nobody", ReportedAt: w.clock.Now(), AcknowledgeBy: &by})
		w.until("the mark is set", func() bool { return w.isSet(escalationTimer(id)) })
	}
}

// isSet reports whether a timer is set, by its name.
func (w *tower) isSet(name string) bool {
	w.t.Helper()
	s, err := bustest.JetStream(w.t, w.env).Stream(w.t.Context(), event.StreamTimers)
	require.NoError(w.t, err)
	_, err = s.GetLastMsgForSubject(w.t.Context(), event.TimerSubject(name))
	return err == nil
}

var marks atomic.Int64

// timers returns the timers that are set, by name, with their moments.
func (w *tower) timers() map[string]time.Time {
	w.t.Helper()
	s, err := bustest.JetStream(w.t, w.env).Stream(w.t.Context(), event.StreamTimers)
	require.NoError(w.t, err)
	info, err := s.Info(w.t.Context(), jetstream.WithSubjectFilter(event.TimerSubject(">")))
	require.NoError(w.t, err)
	out := map[string]time.Time{}
	for subject := range info.State.Subjects {
		if m, err := s.GetLastMsgForSubject(w.t.Context(), subject); err == nil { // else it has gone
			out[event.TimerName(subject)] = event.ReadStored(event.Real, subject, m.Header, m.Data, m.Sequence, m.Time).Due
		}
	}
	return out
}

// settles fires due timers until no more records follow.
func (w *tower) settles() {
	w.t.Helper()
	for fired := 1; fired > 0; {
		fired = bustest.Fire(w.t, w.env, w.clock)
		// A timer due before a mark has been handled once one due after it has: timers
		// are delivered in order, and in batches.
		for range 2 {
			incident := fmt.Sprint("m", marks.Add(1))
			moment := event.Elapsed{Operator: "mark", Incident: incident, At: w.clock.Now()}
			r, err := event.NewRecord(event.TimerSubject("elapsed.mark."+incident), w.clock.Now(), "", moment)
			require.NoError(w.t, err)
			r.Due = w.clock.Now()
			_, err = w.env.Bus.Commit(w.t.Context(), []event.Record{r})
			require.NoError(w.t, err)
			fired += max(0, bustest.Fire(w.t, w.env, w.clock)-1)
			w.until("the mark has come due", func() bool {
				_, err := w.env.Bus.Last(w.t.Context(), event.ElapsedSubject("mark", incident, moment.At))
				return err == nil
			})
		}
	}
}

// aways returns the alarms raised so far, in order.
func (w *tower) aways() []event.Away {
	w.t.Helper()
	return records[event.Away](w.t, w.env, event.AllAway)
}

// records reads the ledger's records that match a filter.
func records[T any](t testing.TB, env *bustest.Env, filter string) (out []T) {
	t.Helper()
	subjects, err := env.Bus.Subjects(t.Context(), filter)
	require.NoError(t, err)
	for _, s := range subjects {
		stored, err := env.Bus.Last(t.Context(), s)
		require.NoError(t, err)
		v, err := event.Decode[T](stored)
		require.NoError(t, err)
		out = append(out, *v)
	}
	return out
}

// screen opens a screen that waits for escalations until it is closed.
func (w *tower) screen(desk, client string) (closed func()) {
	w.t.Helper()
	head, err := w.env.Bus.Head(w.t.Context())
	require.NoError(w.t, err)
	name, err := w.env.Bus.Consumer(w.t.Context(), desk, client, head+1)
	require.NoError(w.t, err)
	cons, err := bustest.JetStream(w.t, w.env).Consumer(w.t.Context(), event.StreamLedger, name)
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			batch, err := cons.Fetch(1, jetstream.FetchContext(ctx))
			if err != nil {
				return
			}
			for m := range batch.Messages() {
				_ = m.Ack()
			}
		}
	}()
	waits := func() bool {
		info, err := cons.Info(w.t.Context())
		require.NoError(w.t, err)
		return info.NumWaiting > 0
	}
	w.until("the screen waits", waits)
	return func() {
		cancel()
		<-ended
		w.until("the screen has gone", func() bool { return !waits() })
		w.until("that is seen", func() bool { s := w.screens(desk); return len(s) > 0 && !s[0].Connected })
	}
}

const houses = `
acknowledge: PT30M
fallback: hall
operators:
  - {id: mill, name: {zh: 厂, en: Mill}, level: county, facilities: [{id: wheel, name: {zh: 轮, en: Wheel}, sector: water, region: "110101"}]}
desks:
  - {id: hall, name: {zh: 厅, en: Hall}, role: cyberspace, level: national, grades: true}
  - {id: gate, name: {zh: 门, en: Gate}, role: cyberspace, level: province, region: "110000", next: hall}
  - {id: wall, name: {zh: 墙, en: Wall}, role: public-security, level: province, region: "110000", next: gate}
`

var nine = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)

// A desk that never had a screen counts from the first start of the system.
func TestPresence_DeskWithoutAScreenIsAwaySinceTheFirstStart(t *testing.T) {
	t.Parallel()
	w := raise(t, t.TempDir(), nine)
	w.move(5)
	id := w.tell("gate", "flood", 30)
	require.Equal(t, at(15), w.timers()[escalationTimer(id)], "half of its half hour, from the start on")
	w.move(15)
	w.clock.Advance(-time.Millisecond)
	w.settles()
	require.Empty(t, w.aways(), "not one millisecond early")
	w.clock.Advance(time.Millisecond)
	w.settles()
	require.Equal(t, []event.Away{{
		Desk: "gate", Since: nine, Escalation: id, Operator: "mill", Incident: "flood",
		AcknowledgeBy: at(35), At: at(15), Next: "hall",
	}}, w.aways())
	w.move(35)
	w.settles()
	require.Len(t, records[event.Overdue](t, w.env, event.AllOverdue), 1, "the target is not forgotten for it")
	require.Len(t, w.aways(), 1, "one for the absence")
	require.NotContains(t, w.timers(), escalationTimer(id))
}

func TestPresence_OneAlarmForEachAbsence(t *testing.T) {
	t.Parallel()
	w := raise(t, t.TempDir(), nine)
	closed := w.screen("gate", "front")
	require.Len(t, w.screens("gate"), 1)
	w.move(40)
	id := w.tell("gate", "flood", 20)
	w.move(52)
	w.settles()
	require.Empty(t, w.aways(), "somebody is there")
	s := w.screens("gate")[0]
	require.True(t, s.Connected)
	require.Equal(t, at(52), *s.SeenAt)
	require.Equal(t, "hall", s.Next)

	closed()
	gone := *w.screens("gate")[0].SeenAt
	require.Equal(t, at(52), gone)
	w.move(60)
	w.settles()
	require.Len(t, records[event.Overdue](t, w.env, event.AllOverdue), 1, "overdue, though it was there")
	require.Equal(t, gone, *w.screens("gate")[0].SeenAt, "gone is gone, since when it is known")

	// Two escalations in one absence are one alarm; the shorter clock raises it.
	w.tell("gate", "fire", 60)
	short := w.tell("gate", "storm", 20)
	w.move(62)
	w.settles()
	require.Len(t, w.aways(), 1, "ten minutes have passed")
	require.Equal(t, short, w.aways()[0].Escalation)
	require.Equal(t, gone, w.aways()[0].Since)
	w.move(79)
	w.settles()
	w.tell("gate", "later", 10)
	w.settles()
	w.move(85)
	w.settles()
	require.Len(t, w.aways(), 1)

	// It comes back and goes again: within the clock of the same escalation.
	long := w.tell("gate", "war", 60)
	w.settles()
	closed = w.screen("gate", "front")
	w.until("it is seen", func() bool { return w.screens("gate")[0].Connected })
	w.move(90)
	w.until("it is seen again", func() bool { return w.seen("gate").Equal(at(90)) })
	closed()
	w.move(119)
	w.settles()
	require.Len(t, w.aways(), 1)
	w.move(120)
	w.settles()
	aways := w.aways()
	require.Len(t, aways, 2, "a new absence is a new alarm")
	require.Equal(t, at(90), aways[1].Since)
	require.Equal(t, long, aways[1].Escalation)
	require.NotEqual(t, id, long)
}

// A desk without a screen when it is told is known to be away at once.
func TestPresence_DeskIsAwayWhenItIsTold(t *testing.T) {
	t.Parallel()
	w := raise(t, t.TempDir(), nine)
	w.move(600)
	w.tell("hall", "flood", 30)
	w.tell("wall", "flood", 30)
	w.settles()
	require.Len(t, w.aways(), 2)
	for _, a := range w.aways() {
		require.Equal(t, at(600), a.At)
		require.Equal(t, nine, a.Since)
		require.Equal(t, map[string]string{"hall": "", "wall": "gate"}[a.Desk], a.Next, "of the hall there is nobody to tell")
	}
	require.Len(t, w.timers(), 2+2, "two marks, two targets")
}

func TestPresence_AcknowledgementCounts(t *testing.T) {
	t.Parallel()
	w := raise(t, t.TempDir(), nine)
	taken := w.tell("wall", "flood", 60)
	open := w.tell("wall", "fire", 60)
	w.move(20)
	by := at(60)
	w.put(event.AcknowledgedSubject(taken), event.Acknowledgement{Escalation: taken, Officer: "duty", At: at(20), AcknowledgeBy: &by})
	w.caughtUp()
	require.NotContains(t, w.timers(), escalationTimer(taken))
	w.move(49)
	w.settles()
	require.Empty(t, w.aways())
	require.Equal(t, at(50), w.timers()[escalationTimer(open)])
	w.move(50)
	w.settles()
	require.Equal(t, at(20), w.aways()[0].Since)
}

// The times seen are stored; after a restart the screens have a little time to come back,
// and no desk counts as away because the server was down.
func TestPresence_SurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var raised event.Away
	t.Run("before", func(t *testing.T) {
		w := raise(t, dir, nine)
		closed := w.screen("gate", "front")
		w.move(10)
		w.until("seen", func() bool { return w.seen("gate").Equal(at(10)) })
		closed()
		w.tell("wall", "flood", 60)
		w.tell("gate", "flood", 60)
		w.move(40)
		w.settles()
		require.Len(t, w.aways(), 2)
		raised = w.aways()[0]
		require.Equal(t, "gate", raised.Desk)
		require.Equal(t, at(10), raised.Since)
	})
	t.Run("after", func(t *testing.T) {
		w := raise(t, dir, at(60))
		w.until("the clocks have read what they had before", func() bool { w.settles(); return len(w.timers()) >= 2+2 })
		id := w.tell("hall", "flood", 60)
		w.settles()
		require.Len(t, w.aways(), 2, "nobody knows yet who comes back")
		closed := w.screen("wall", "front")
		defer closed()
		w.until("it is seen", func() bool { return w.screens("wall")[0].Connected })
		w.clock.Advance(reconnectTime)
		w.settles()
		w.tell("gate", "again", 30)
		w.tell("wall", "again", 30)
		w.settles()
		aways := w.aways()
		require.Len(t, aways, 3)
		require.Equal(t, raised, aways[0], "the same absence: the same alarm, before the restart")
		require.Equal(t, "hall", aways[1].Desk)
		require.Equal(t, nine, aways[1].Since, "from the first start of all")
		require.Equal(t, id, aways[1].Escalation)
		require.Empty(t, records[event.Overdue](t, w.env, event.AllOverdue))
	})
}

// A drill's clock runs fast, and a connected screen counts as connected, whenever it was
// last checked; a disconnected one does not.
func TestPresence_FastClock(t *testing.T) {
	t.Parallel()
	fast := clock.NewScaled(3600)
	env := bustest.StartRealm(t, t.TempDir(), fast, event.Drill)
	w := &tower{t: t, env: env}
	p, err := newPresence(t.Context(), depsOf(t, env, fast))
	require.NoError(t, err)
	fast.Start()
	name, err := env.Bus.Consumer(t.Context(), "gate", "front", 1)
	require.NoError(t, err)
	cons, err := bustest.JetStream(t, env).Consumer(t.Context(), event.Drill.Stream(event.StreamLedger), name)
	require.NoError(t, err)
	ctx, gone := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		batch, err := cons.Fetch(1, jetstream.FetchContext(ctx)) // it waits until it is gone
		if err != nil {
			return
		}
		for range batch.Messages() {
		}
	}()
	w.until("it waits", func() bool {
		info, err := cons.Info(t.Context())
		require.NoError(t, err)
		return info.NumWaiting > 0
	})
	require.NoError(t, p.check(t.Context()))
	for until := fast.Now().Add(2 * time.Hour); fast.Now().Before(until); {
		// Half an hour is half a second: a check of a moment ago is too old.
		now := fast.Now()
		out, err := p.alarm(t.Context(), event.Overdue{Escalation: "gate.mill.flood.1", Desk: "gate", ReportedAt: now.Add(-25 * time.Minute), AcknowledgeBy: now.Add(5 * time.Minute)}, now)
		require.NoError(t, err)
		require.Len(t, out, 1, "no alarm about one who is there")
	}
	gone()
	<-ended
	require.Eventually(t, func() bool {
		now := fast.Now()
		out, err := p.alarm(t.Context(), event.Overdue{Escalation: "gate.mill.flood.1", Desk: "gate", ReportedAt: now.Add(-25 * time.Minute), AcknowledgeBy: now.Add(5 * time.Minute)}, now)
		require.NoError(t, err)
		return len(out) == 2
	}, 30*time.Second, 50*time.Millisecond)
}

// The engine's times are converted at the pace of the clock, and a screen that does not
// wait for a moment is not gone because of that.
func TestPresence_ConvertsTheTimesOfTheEngine(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	c := clock.NewManual(nine)
	p, err := newPresence(t.Context(), depsOf(t, env, c))
	require.NoError(t, err)
	machine := clock.System{}.Now().Add(time.Hour)
	see := func(after time.Duration, s ...bus.Screen) api.Screen {
		p.note(s, nine.Add(after), machine.Add(after))
		return p.screens[1]
	}
	front := func(seen time.Duration, waiting bool) bus.Screen {
		s := bus.Screen{Desk: "gate", Client: "front", Waiting: waiting}
		if seen > 0 {
			s.SeenAt = machine.Add(seen)
		}
		return s
	}
	require.Equal(t, api.Screen{Desk: "gate", Next: "hall"}, see(time.Second))
	require.Nil(t, see(time.Second, front(0, false)).SeenAt, "asked for, never used")
	require.Equal(t, nine.Add(2*time.Second), *see(2*time.Second, front(0, true)).SeenAt)
	require.Equal(t, nine.Add(2*time.Second), *see(3*time.Second, front(0, false)).SeenAt)
	require.Equal(t, nine.Add(3500*time.Millisecond), *see(4*time.Second, front(3500*time.Millisecond, false)).SeenAt, "it took one and shows it")
	require.Equal(t, nine.Add(3500*time.Millisecond), *see(5*time.Second, front(3500*time.Millisecond, false)).SeenAt, "it still does")
	require.Equal(t, nine.Add(3500*time.Millisecond), *see(6*time.Second, front(0, false)).SeenAt, "the engine forgot, we did not")
	require.Equal(t, nine.Add(7*time.Second), *see(8*time.Second, front(7*time.Second, false), front(7*time.Second, false)).SeenAt)
	require.Len(t, p.screens, 3, "a page that was counted twice")
	require.Equal(t, nine.Add(9*time.Second), *see(9*time.Second, front(20*time.Second, false)).SeenAt, "the engine's clock is ahead")
	require.Len(t, p.screens, 3)
	p.note([]bus.Screen{{Desk: "stranger", Client: "x", Waiting: true}}, nine.Add(9*time.Second), machine.Add(9*time.Second))
	require.Len(t, p.screens, 3)
	at, known := p.lastSeen("stranger")
	require.False(t, known, at)
	at, _ = p.lastSeen("gate")
	require.Equal(t, nine.Add(9*time.Second), at)
	p.notBefore = time.Time{} // of the leap with which this began
	p.note(nil, nine.Add(10*time.Second), machine.Add(10*time.Second))
	require.Zero(t, p.notBefore)
	p.note(nil, nine.Add(time.Minute), machine.Add(time.Minute))
	require.Equal(t, nine.Add(time.Minute+reconnectTime), p.notBefore, "nobody has looked for a while")
}

// The timer of a target is not lost when the screens cannot be checked.
func TestPresence_FailedCheckKeepsTheTimer(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	p, err := newPresence(t.Context(), depsOf(t, env, clock.NewManual(nine)))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := event.Overdue{Escalation: "gate.mill.flood.1", Desk: "gate", ReportedAt: nine, AcknowledgeBy: at(60)}
	out, err := p.alarm(ctx, o, at(40))
	require.NoError(t, err)
	require.Len(t, out, 1)
	require.Equal(t, at(43), out[0].Due)
	out, err = p.alarm(ctx, o, at(59))
	require.NoError(t, err)
	require.Equal(t, at(60), out[0].Due)
}

func BenchmarkScreens(b *testing.B) {
	for _, n := range []int{100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			env := bustest.Start(b)
			p, err := newPresence(b.Context(), depsOf(b, env, clock.System{}))
			require.NoError(b, err)
			for i := range n {
				_, err := env.Bus.Consumer(b.Context(), []string{"hall", "gate", "wall"}[i%3], fmt.Sprint("screen-", i), 1)
				require.NoError(b, err)
			}
			b.Run("look", func(b *testing.B) {
				for range b.N {
					require.NoError(b, p.check(b.Context()))
				}
			})
			found, err := env.Bus.Screens(b.Context())
			require.NoError(b, err)
			require.Len(b, found, n)
			b.Run("note", func(b *testing.B) {
				for range b.N {
					p.note(found, nine, nine)
				}
			})
		})
	}
}
