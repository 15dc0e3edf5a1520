package deadline

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/event"
)

func ptr(t time.Time) *time.Time { return &t }

// revision returns a graded record with the members that the clocks read.
func revision(n int, g event.Graded) event.Graded {
	g.Operator, g.Incident, g.Revision = "mill", "flood", n
	if g.At.IsZero() {
		g.At = nine
	}
	return g
}

// demandsOf writes a graded record and reads from it what sets clocks.
func demandsOf(t *testing.T, g event.Graded) *demands {
	t.Helper()
	r, err := event.NewRecord(event.GradedSubject(g.Operator, g.Incident, g.Revision), g.At, "", g)
	require.NoError(t, err)
	d, err := event.Decode[demands](event.Stored{Record: r})
	require.NoError(t, err)
	return d
}

func (w *tower) grade(g event.Graded) {
	w.t.Helper()
	w.put(event.GradedSubject(g.Operator, g.Incident, g.Revision), g)
	w.caughtUp()
}

func (w *tower) acknowledge(id string, when, by time.Time) {
	w.t.Helper()
	w.put(event.AcknowledgedSubject(id), event.Acknowledgement{Escalation: id, Officer: "duty", At: when, AcknowledgeBy: &by})
	w.caughtUp()
}

// set returns the timers of the incidents, without the marks.
func (w *tower) set() map[string]time.Time {
	out := w.timers()
	maps.DeleteFunc(out, func(name string, _ time.Time) bool { return strings.HasPrefix(name, "escalation.nobody.") })
	return out
}

func TestReminders(t *testing.T) {
	t.Parallel()
	owed := event.Obligation{ID: "s", Listed: nine, Kind: event.OwesItems, Items: []string{"cause"}, DueAt: ptr(at(60)), Remind: []time.Time{at(30), at(54)}, Citation: "art. 1", Desk: "hall"}
	listed := func(minutes float64) []event.Obligation {
		o := owed
		o.Listed = at(minutes)
		return []event.Obligation{o}
	}
	ids := func(g event.Graded) (out []string) {
		for _, r := range reminders(demandsOf(t, revision(1, g))) {
			out = append(out, fmt.Sprint(r.ID, " ", int(r.At.Sub(nine).Minutes()), " ", r.Passed))
		}
		return out
	}
	for name, row := range map[string]struct {
		g    event.Graded
		want []string
	}{
		"nothing":                    {event.Graded{}, nil},
		"no due time":                {event.Graded{Owed: []event.Obligation{{ID: "s", Remind: []time.Time{at(5)}}}}, nil},
		"before, and at the time":    {event.Graded{Owed: []event.Obligation{owed}}, []string{"s-1 30 false", "s-2 54 false", "s-due 60 true"}},
		"half had passed":            {event.Graded{At: at(30), Owed: listed(30)}, []string{"s-2 54 false", "s-due 60 true"}},
		"all had passed":             {event.Graded{At: at(90), Owed: listed(90)}, []string{"s-due 60 true"}},
		"half has passed since":      {event.Graded{At: at(31), Owed: listed(0)}, []string{"s-1 30 false", "s-2 54 false", "s-due 60 true"}},
		"a forward":                  {event.Graded{PendingForwards: []event.PendingForward{{Desk: "gate", To: "hall", Remind: at(5), Until: at(9)}}}, []string{"forward-gate-hall 5 false"}},
		"a forward, its moment past": {event.Graded{At: at(6), PendingForwards: []event.PendingForward{{Desk: "gate", To: "hall", Remind: at(5), Until: at(9)}}}, []string{"forward-gate-hall 5 false"}},
	} {
		require.Equal(t, row.want, ids(row.g), name)
	}
	g := revision(1, event.Graded{Owed: []event.Obligation{owed}, PendingForwards: []event.PendingForward{{Desk: "gate", To: "hall", Remind: at(5), Until: at(9)}}})
	all := reminders(demandsOf(t, g))
	require.Equal(t, event.Reminder{
		ID: "s-1", Operator: "mill", Incident: "flood", To: "mill", Obligation: "s", Items: []string{"cause"},
		DueAt: at(60), At: at(30), Citation: "art. 1", Desk: "hall",
	}, all[0])
	require.Equal(t, event.Reminder{
		ID: "forward-gate-hall", Operator: "mill", Incident: "flood", To: "gate", Forward: "hall", DueAt: at(9), At: at(5),
	}, all[3])
}

// TestDemands_OrderOfMembers: what sets clocks may stand anywhere in a graded record.
func TestDemands_OrderOfMembers(t *testing.T) {
	t.Parallel()
	d, err := event.Decode[demands](event.Stored{Record: event.RawRecord("incident.graded.mill.flood.3", nine, "", []byte(
		`{"escalations":[{"desk":"gate"}],"cause":{"record":7},"next":{"at":"2026-03-02T03:00:00Z","grade":"major"},"grade":"general",`+
			`"owed":[{"id":"s"}],"held":[{"desk":"gate","to":"hall"}],"look":"2026-03-02T03:00:00Z","revision":3,"incident":"flood","operator":"mill"}`))})
	require.NoError(t, err)
	require.Equal(t, "mill.flood", d.incident())
	require.Equal(t, 3, d.Revision)
	require.Equal(t, event.Major, d.highestGrade())
	require.True(t, d.Look.Equal(time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)))
	require.Equal(t, "s", d.Owed[0].ID)
	require.Equal(t, "hall", d.PendingForwards[0].To)
}

// A revision replaces the timers of the previous one; a reminder checks whether the item
// is still owed, and is sent to a listening operator.
func TestRevision_ReplacesEarlierTimers(t *testing.T) {
	t.Parallel()
	w := raise(t, t.TempDir(), nine)
	owed := event.Obligation{ID: "s", DueAt: ptr(at(60)), Remind: []time.Time{at(30)}}
	w.grade(revision(1, event.Graded{RegradeAt: ptr(at(10)), Owed: []event.Obligation{owed}}))
	elapsed := func(minutes float64) string { return fmt.Sprint("elapsed.mill.flood.", at(minutes).UnixNano()) }
	require.Equal(t, map[string]time.Time{elapsed(10): at(10), "reminder.mill.flood.s-1": at(30), "reminder.mill.flood.s-due": at(60)}, w.set())

	owed.DueAt, owed.Remind = ptr(at(50)), []time.Time{at(25)}
	w.grade(revision(2, event.Graded{RegradeAt: ptr(at(20)), Owed: []event.Obligation{owed}}))
	require.Equal(t, map[string]time.Time{elapsed(20): at(20), "reminder.mill.flood.s-1": at(25), "reminder.mill.flood.s-due": at(50)}, w.set())

	heard, err := w.env.Conn.SubscribeSync("reminder.mill")
	require.NoError(t, err)
	w.move(30)
	w.settles()
	require.Equal(t, map[string]time.Time{"reminder.mill.flood.s-due": at(50)}, w.set())
	require.Equal(t, []event.Elapsed{{Operator: "mill", Incident: "flood", Revision: 2, At: at(20)}}, records[event.Elapsed](t, w.env, "incident.elapsed.mill.>"))
	reminded := records[event.Reminder](t, w.env, event.AllReminded)
	require.Len(t, reminded, 1)
	require.Equal(t, at(30), reminded[0].At, "when it was done; DueAt is the law's")
	m, err := heard.NextMsg(time.Minute)
	require.NoError(t, err)
	var said event.Reminder
	require.NoError(t, json.Unmarshal(m.Data, &said))
	require.Equal(t, reminded[0], said)

	// An item given meanwhile causes no reminder, even if the timer was already
	// delivered.
	ring := dueHandler{depsOf(t, w.env, w.clock), nil, newKnownTimers()}
	hand := w.stored("reminder.mill.flood.s-due")
	w.grade(revision(3, event.Graded{}))
	require.Empty(t, w.set())
	out, err := ring.Handle(t.Context(), hand)
	require.NoError(t, err)
	require.Empty(t, out)
}

// stored returns a timer as FollowTimers would deliver it.
func (w *tower) stored(name string) event.Stored {
	w.t.Helper()
	s, err := bustest.JetStream(w.t, w.env).Stream(w.t.Context(), event.StreamTimers)
	require.NoError(w.t, err)
	m, err := s.GetLastMsgForSubject(w.t.Context(), event.TimerSubject(name))
	require.NoError(w.t, err)
	return event.ReadStored(event.Real, event.DueSubject(m.Subject), m.Header, m.Data, m.Sequence, m.Time)
}

// A moment that no revision foresees any more is void, if that is known; if it was
// forgotten, the classifier looks once more than necessary.
func TestElapsed_IgnoresAVoidMoment(t *testing.T) {
	t.Parallel()
	w := raise(t, t.TempDir(), nine)
	w.grade(revision(1, event.Graded{RegradeAt: ptr(at(10))}))
	hand := w.stored(fmt.Sprint("elapsed.mill.flood.", at(10).UnixNano()))
	know := newKnownTimers()
	ring := dueHandler{depsOf(t, w.env, w.clock), nil, know}
	for i, row := range []struct {
		look *time.Time
		n    int
	}{{ptr(at(10)), 1}, {ptr(at(20)), 0}, {nil, 0}, {ptr(at(10)), 1}} {
		know.note("mill.flood", setting{look: row.look, any: row.look != nil})
		out, err := ring.Handle(t.Context(), hand)
		require.NoError(t, err)
		require.Len(t, out, row.n, i)
		require.Equal(t, row.look == nil, know.hasNoTimer("mill.flood"))
	}
	know.note("mill.flood", setting{})
	for i := range maxKnown {
		know.note(fmt.Sprint("mill.", i), setting{})
	}
	require.LessOrEqual(t, len(know.last), maxKnown)
	require.False(t, know.isVoid("mill.flood", at(10)), "forgotten: rather once too often")
	require.False(t, know.hasNoTimer("mill.flood"), "forgotten: rather cancelled once too often")
}

func TestAcknowledgement_CancelsItsTimerOnlyInTime(t *testing.T) {
	t.Parallel()
	w := raise(t, t.TempDir(), nine)
	in, exact, late, none := w.tell("hall", "in", 30), w.tell("hall", "exact", 30), w.tell("hall", "late", 30), w.tell("hall", "none", 30)
	w.acknowledge(in, at(29), at(30))
	w.acknowledge(exact, at(30), at(30))
	w.acknowledge(late, at(30).Add(time.Millisecond), at(30)) // its record is stored before the timer is set
	require.Equal(t, []string{"escalation." + late, "escalation." + none}, slices.Sorted(maps.Keys(w.set())))
	hand := w.stored("escalation." + none)
	w.move(30)
	w.settles()
	var overdue []string
	for _, o := range records[event.Overdue](t, w.env, event.AllOverdue) {
		require.Equal(t, at(30), o.At)
		overdue = append(overdue, o.Escalation)
	}
	require.Equal(t, []string{late, none}, overdue)
	require.Empty(t, w.set())

	// An acknowledgement stored before the moment counts, even if the timer was already
	// delivered.
	ring := dueHandler{depsOf(t, w.env, w.clock), nil, newKnownTimers()}
	body, err := event.Decode[event.Overdue](hand)
	require.NoError(t, err)
	body.Escalation = in
	again, err := event.NewRecord(hand.Subject, nine, "", body)
	require.NoError(t, err)
	hand.Record = again
	out, err := ring.Handle(t.Context(), hand)
	require.NoError(t, err)
	require.Empty(t, out)

	// A timer that comes due by its wait, because the clock was set back, records when it
	// was due.
	back := w.tell("hall", "back", 90)
	hand = w.stored("escalation." + back)
	body, err = event.Decode[event.Overdue](hand)
	require.NoError(t, err)
	hand.Due = body.AcknowledgeBy
	out, err = ring.Handle(t.Context(), hand)
	require.NoError(t, err)
	require.Len(t, out, 1)
	require.Equal(t, event.OverdueSubject(back), out[0].Subject)
	require.Equal(t, body.AcknowledgeBy, out[0].Time)
	w.acknowledge(back, at(31), body.AcknowledgeBy)

	// An escalation that starts no clock sets no timer.
	id := event.EscalationID("hall", "mill", "import", "1")
	w.put("incident.escalated."+id, event.Escalated{ID: id, Desk: "hall"})
	w.put(event.AcknowledgedSubject(id), event.Acknowledgement{Escalation: id, At: nine})
	w.caughtUp()
	require.Empty(t, w.set())
}

// After a crash the ledger may be read again from its beginning: the same timers are set,
// settled ones stay settled, and nothing is recorded twice.
func TestTimers_AreTheSameForTheSameLedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := raise(t, dir, nine)
	for n := 1; n <= 3; n++ {
		w.grade(revision(n, event.Graded{RegradeAt: ptr(at(10 * float64(n))), Owed: []event.Obligation{{ID: "s", DueAt: ptr(at(600)), Remind: []time.Time{at(5), at(300)}}}}))
	}
	open, met, passed := w.tell("hall", "open", 300), w.tell("hall", "met", 300), w.tell("hall", "passed", 3)
	w.acknowledge(met, at(1), at(300))
	w.move(6)
	w.settles()
	require.Contains(t, w.set(), "escalation."+open)
	require.NotContains(t, w.set(), "escalation."+passed)
	before := w.set()
	ledger := func() (out []string) {
		subjects, err := w.env.Bus.Subjects(t.Context(), "incident.>")
		require.NoError(t, err)
		return slices.DeleteFunc(subjects, func(s string) bool {
			return event.ParseSubject(s).Desk == "nobody" || event.ParseSubject(s).Operator == "mark"
		})
	}
	had := ledger()
	w.stop()
	kv, err := bustest.JetStream(t, w.env).KeyValue(t.Context(), "POSITIONS")
	require.NoError(t, err)
	require.NoError(t, kv.Delete(t.Context(), Name))
	w.run()
	w.caughtUp()
	w.settles()
	require.Equal(t, before, w.set())
	require.Equal(t, had, ledger(), "no record is new")
}

// An unreadable timer is sent to a person for review and delays nothing.
func TestTimer_InvalidBody(t *testing.T) {
	t.Parallel()
	w := raise(t, t.TempDir(), nine)
	js := bustest.JetStream(t, w.env)
	poison := map[string]string{
		"timer.due.escalation.gate.mill.flood.1": "no JSON",
		"timer.due.escalation.gate.mill.flood.2": `{"escalation":"nonsense","acknowledgeBy":"2026-03-02T00:00:00Z"}`,
		"timer.due.elapsed.mill.flood.1":         `{"at":5}`,
		"timer.due.reminder.mill.flood.s-1":      `{"operator":"mill","incident":"nobody graded it"}`,
		"timer.due.lunch":                        `{}`,
	}
	for subject, body := range poison {
		_, err := js.Publish(t.Context(), subject, []byte(body))
		require.NoError(t, err)
	}
	id := w.tell("hall", "fire", 1)
	w.move(2)
	w.settles()
	require.Len(t, records[event.Overdue](t, w.env, event.AllOverdue), 1, "what is behind goes on")
	var subjects []string
	w.until("all are given up", func() bool {
		subjects = nil
		for _, u := range records[event.Unhandled](t, w.env, event.AllUnhandled) {
			require.Equal(t, "hall", u.Desk)
			require.Equal(t, NameDue, u.Service)
			require.NotEmpty(t, u.Error)
			subjects = append(subjects, u.Subject)
		}
		return len(subjects) == len(poison)
	})
	require.ElementsMatch(t, slices.Collect(maps.Keys(poison)), subjects)
	w.settles()
	require.NotContains(t, w.set(), "escalation."+id)
	s, err := js.Stream(t.Context(), event.StreamTimers)
	require.NoError(t, err)
	w.until("nothing is left", func() bool {
		info, err := s.Info(t.Context(), jetstream.WithSubjectFilter("timer.due.>"))
		return err == nil && len(info.State.Subjects) == 0
	})
}

// Unreadable records do not stop the clocks either.
func TestLedger_InvalidBodies(t *testing.T) {
	t.Parallel()
	w := raise(t, t.TempDir(), nine)
	for _, kind := range []string{"graded.mill.flood.1", "escalated.gate.mill.flood.1", "acknowledged.gate.mill.flood.1", "reminded.mill.flood.x"} {
		_, err := bustest.JetStream(t, w.env).Publish(t.Context(), "incident."+kind, []byte("no JSON"))
		require.NoError(t, err)
	}
	w.tell("hall", "fire", 30)
	w.until("given up", func() bool {
		return len(records[event.Unhandled](t, w.env, event.AllUnhandled)) == 4
	})
}
