package app_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// lasting is an outage of all of dispatch since a time of the day.
func lasting(since string) string {
	return onSite + `"facts":{"outage":[{"scope":"overall","since":"2026-03-02T` + since + `:00+08:00"}]}`
}

// fire waits until the timers that are due are handled, and returns how many there were.
func (w *world) fire() int {
	w.t.Helper()
	return bustest.Fire(w.t, w.env(), w.clock)
}

// env is the bus of the server.
func (w *world) env() *bustest.Env {
	w.t.Helper()
	if w.bus == nil {
		var err error
		w.bus, err = bus.Open(w.t.Context(), w.nc, bus.Config{Realm: w.realm, Clock: w.clock, Log: zap.NewNop()})
		require.NoError(w.t, err)
		w.t.Cleanup(w.bus.Close)
	}
	return &bustest.Env{Conn: w.nc, Bus: w.bus}
}

// fireUntil fires again and again, because the timers are set meanwhile, until
// the ledger shows what is wanted.
func (w *world) fireUntil(what string, done func(h *history) bool) *history {
	w.t.Helper()
	w.await(what, func() bool {
		w.fire()
		w.read()
		return done(w.past)
	})
	return w.settled()
}

func (w *world) await(what string, done func() bool) {
	w.t.Helper()
	for began := time.Now(); !done(); pause(began) {
		if time.Since(began) > waitLimit { // the timers are read in this case only
			require.Fail(w.t, "not within "+waitLimit.String()+": "+what, "set are %v", w.timers())
		}
	}
}

// timers lists the names of the timers that are set, but those of the marks,
// each with its moment.
func (w *world) timers() map[string]time.Time {
	w.t.Helper()
	stream := w.stream(event.StreamTimers)
	info, err := stream.Info(w.t.Context(), jetstream.WithSubjectFilter(w.realm.Wire(event.TimerSubject(">"))))
	require.NoError(w.t, err)
	out := map[string]time.Time{}
	for subject := range info.State.Subjects {
		m, err := stream.GetLastMsgForSubject(w.t.Context(), subject)
		if err == nil && !strings.Contains(subject, ".city-clinic.mark-") {
			s := event.ReadStored(w.realm, subject, m.Header, m.Data, m.Sequence, m.Time)
			out[event.TimerName(s.Subject)] = s.Due
		}
	}
	return out
}

// mark sends an incident whose target is half an hour away and waits until its
// timer is set. The clocks read in order, so the timers of what was stored
// before are set then too; twice, because they read in batches.
func (w *world) mark() (escalation string) {
	w.t.Helper()
	for range 2 {
		name := "mark-" + rand.Text() // not that of a life before
		w.report("initial", "city-clinic", name, "r1", `"facilities":["records"],"ownGrade":"relatively-large","discoveredAt":"2026-01-01T00:00:00Z"`)
		escalation = event.EscalationID("js-cyberspace", "city-clinic", name, "1")
		w.await("a mark is set", func() bool { return w.isSet("escalation." + escalation) })
	}
	return escalation
}

func (w *world) isSet(timer string) bool {
	w.t.Helper()
	_, err := w.stream(event.StreamTimers).GetLastMsgForSubject(w.t.Context(), w.realm.Wire(event.TimerSubject(timer)))
	return err == nil
}

// awaitTimers waits until every timer that follows from the ledger is set and those
// that were met are gone, and returns what is left.
func (w *world) awaitTimers() map[string]time.Time {
	w.t.Helper()
	w.settled()
	w.mark()
	return w.timers()
}

// runFor moves the clock on, fires all that is due by then and all that follows
// from it, until nothing more comes.
func (w *world) runFor(d time.Duration) *history {
	w.t.Helper()
	ours := func() (n int) {
		for _, s := range w.settled().records {
			if at := event.ParseSubject(s.Subject); !strings.HasPrefix(at.Incident, "mark-") && at.Kind != event.KindAway {
				n++
			}
		}
		return n
	}
	w.settled()
	for before, now := 0, -1; before != now; d = time.Hour {
		before = now
		last := w.mark()
		w.clock.Advance(d)
		// What came due before this round has been dealt with when the mark has; what
		// comes due with the mark may be handled after it.
		w.fireUntil("the mark is overdue", func(h *history) bool { return h.overdue[last] != nil })
		now = ours()
	}
	return w.settled()
}

// storyWithoutAlarms is the story of an incident without what silence brings about: nobody
// acknowledges in most scenarios, and how soon that is noticed is the engine's.
func (w *world) storyWithoutAlarms(operator, incident string) (types []string) {
	w.t.Helper()
	err := w.client.Show(w.t.Context(), operator, incident, func(e api.StoryEntry) error {
		if !isAlarm(e.Subject, e.Body) {
			types = append(types, e.Type)
		}
		return nil
	})
	require.NoError(w.t, err)
	return types
}

// countWithoutAlarms counts the records that are not of silence.
func (h *history) countWithoutAlarms() (n int) {
	for _, s := range h.records {
		if !isAlarm(s.Subject, s.Data) {
			n++
		}
	}
	return n
}

// isAlarm reports whether a record says no more than that nobody did anything.
func isAlarm(subject string, body []byte) bool {
	switch event.ParseSubject(subject).Kind {
	case event.KindOverdue, event.KindAway:
		return true
	case event.KindEscalated:
		var e event.Escalated
		return json.Unmarshal(body, &e) == nil && e.Act == event.ActNotice
	}
	return false
}

// awaitGrade waits until an incident has the grade, by time alone.
func (w *world) awaitGrade(grade event.Grade) *event.Graded {
	w.t.Helper()
	h := w.fireUntil("it becomes "+grade.String(), func(h *history) bool {
		revisions := h.graded[at+"/"+inc]
		return len(revisions) > 0 && revisions[len(revisions)-1].Grade == grade
	})
	g := h.last(w.t, at, inc)
	require.Equal(w.t, "tocsin.incident.elapsed.v1", g.Cause.Type)
	require.Empty(w.t, g.Cause.Report)
	require.Equal(w.t, event.ChangeRaised, g.Change.Kind)
	require.Equal(w.t, "time has passed", g.Change.Reason)
	return g
}

// steps is the ladder of an outage of all of dispatch: the moments after its
// beginning, the desks, and what each is newly told, from 09:00.
var steps = []struct {
	grade  event.Grade
	at     string // when it gets there
	desks  []string
	duties map[string]map[string]string
	next   event.Grade
	rises  string
}{
	{event.RelativelyLarge, "09:10", regional, map[string]map[string]string{
		"protection-energy":  {"cn-csirm-2025/cii-operator-to-protection": "10:10 strictly 10:01"},
		"sh-public-security": {"cn-csirm-2025/cii-operator-to-public-security": "10:10 strictly 10:01"},
	}, event.Major, "10:00"},
	{event.Major, "10:00", all4, map[string]map[string]string{
		"protection-energy":        {"cn-cii-2021/operator-to-protection": "promptly"},
		"sh-public-security":       {"cn-cii-2021/operator-to-public-security": "promptly"},
		"national-cyberspace":      {"cn-csirm-2025/protection-to-national-cyberspace": "10:30"},
		"national-public-security": {"cn-csirm-2025/protection-to-national-public-security": "10:30"},
	}, event.EspeciallyGrave, "15:00"},
	{event.EspeciallyGrave, "15:00", all4, map[string]map[string]string{
		"protection-energy": {}, "sh-public-security": {},
		"national-cyberspace":      {"cn-cii-2021/protection-to-national-cyberspace": "promptly"},
		"national-public-security": {"cn-cii-2021/protection-to-national-public-security": "promptly"},
	}, event.Ungraded, ""},
}

// ladder wants a revision to be one of the steps.
func (w *world) ladder(i int, g *event.Graded) {
	w.t.Helper()
	step := steps[i]
	require.Equal(w.t, step.grade, g.Grade)
	require.True(w.t, g.At.Equal(clockTime(w.t, step.at)), "%v: the moment that it was crossed, not when it was seen", g.At)
	require.True(w.t, g.Cause.At.Equal(g.At))
	require.Equal(w.t, step.desks, desks(g))
	for desk, duties := range step.duties {
		told := w.past.told(g, desk)
		require.Equal(w.t, duties, dueTimes(told.Duties), desk)
		if strings.HasPrefix(desk, "national-") && len(duties) > 0 {
			require.Equal(w.t, "protection-energy", told.From)
		}
		if step.rises == "" {
			require.Nil(w.t, told.Next)
			continue
		}
		require.Equal(w.t, step.next, told.Next.Grade, "the desk sees in advance")
		require.True(w.t, told.Next.At.Equal(clockTime(w.t, step.rises)))
	}
	rows := slices.DeleteFunc(w.query(api.Query{Operator: at}), func(r api.EscalationRow) bool { return r.Revision != g.Revision })
	require.NotEmpty(w.t, rows)
	for _, r := range rows {
		require.Equal(w.t, g.Next, r.Next)
	}
}

const discovered = `"discoveredAt":"2026-03-02T09:01:00+08:00",`

func TestTimeAlone_RaisesTheGrade(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.at("09:05")
	w.report("initial", at, inc, "r1", discovered+lasting("09:00"))
	g := w.settled().last(t, at, inc)
	require.Equal(t, event.General, g.Grade)
	require.Empty(t, desks(g))
	require.True(t, g.RegradeAt.Equal(clockTime(t, "09:10")))
	for i, step := range steps {
		w.at(step.at)
		w.clock.Advance(-time.Millisecond)
		timers := w.awaitTimers()
		w.fire()
		require.Contains(t, timers, "elapsed.grid-east.2026-17."+fmt.Sprint(clockTime(t, step.at).UnixNano()))
		require.Equal(t, i+1, len(w.settled().graded[at+"/"+inc]), "not one millisecond early")
		w.clock.Advance(time.Millisecond)
		g := w.awaitGrade(step.grade)
		w.ladder(i, g)
		for _, e := range g.Escalations {
			told := w.past.told(g, e.Desk)
			require.True(t, told.ReportedAt.Equal(clockTime(t, step.at)))
			require.False(t, told.Late)
		}
	}
	require.Nil(t, w.past.last(t, at, inc).RegradeAt, "there is no graver grade")
	h := w.runFor(1000 * time.Hour)
	require.Len(t, h.graded[at+"/"+inc], 4, "nothing more comes of it")
	require.Equal(t, 3, len(h.elapsed))
}

func TestOutage_EndedInTimeNeverRises(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.at("09:05")
	w.report("initial", at, inc, "r1", discovered+lasting("09:00"))
	w.settled()
	w.at("09:10")
	w.awaitGrade(event.RelativelyLarge)
	w.at("09:59")
	w.report("progress", at, inc, "r2", `"facts":{"outage":[{"scope":"overall","since":"2026-03-02T09:00:00+08:00","until":"2026-03-02T09:59:00+08:00"}]}`)
	g := w.settled().last(t, at, inc)
	require.Equal(t, event.RelativelyLarge, g.Grade)
	require.Nil(t, g.RegradeAt)
	for name := range w.awaitTimers() {
		require.False(t, strings.HasPrefix(name, "elapsed."), name)
	}
	h := w.runFor(100 * time.Hour)
	g = h.last(t, at, inc)
	require.Equal(t, event.RelativelyLarge, g.Peak, "it never became major")
	require.Equal(t, regional, desks(g))
	require.Len(t, h.elapsed, 1)
}

// The moment and the report that ends the outage come together: what is stored
// first counts, and the timer that is already under way changes nothing.
func TestOutage_EndStoredBeforeTheMomentCounts(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.at("09:11")
	w.report("initial", at, inc, "r1", discovered+lasting("09:00"))
	w.settled()
	w.awaitTimers()
	w.at("09:59")
	ended := cloudEvent("progress", at, inc, "r2", `"facts":{"outage":[{"scope":"overall","since":"2026-03-02T09:00:00+08:00","until":"2026-03-02T09:58:00+08:00"}]}`)
	require.NoError(t, w.nc.Publish("report.grid-east", ended))
	w.at("10:00")
	w.fire() // the timer of 10:00 may not be cancelled yet
	w.await("the end is taken", func() bool { w.read(); return len(w.past.graded[at+"/"+inc]) > 1 })
	h := w.runFor(time.Hour)
	g := h.last(t, at, inc)
	require.Equal(t, event.RelativelyLarge, g.Grade)
	require.Equal(t, "r2", reportOf(h, g.State.Fields["facts.outage"]))
}

// An end that is told late, of a time before the threshold, corrects the grade.
func TestOutage_EarlierEndLowersTheGrade(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.at("09:15")
	w.report("initial", at, inc, "r1", discovered+lasting("09:00"))
	w.settled()
	w.at("10:00")
	w.awaitGrade(event.Major)
	w.at("10:20")
	w.report("progress", at, inc, "r2", `"facts":{"outage":[{"scope":"overall","since":"2026-03-02T09:00:00+08:00","until":"2026-03-02T09:30:00+08:00"}]}`)
	h := w.settled()
	g := h.last(t, at, inc)
	require.Equal(t, event.RelativelyLarge, g.Grade)
	require.Equal(t, event.Major, g.Peak)
	require.Equal(t, event.ChangeLowered, g.Change.Kind)
	require.Equal(t, all4, desks(g), "nothing is recalled in silence")
	require.Nil(t, g.RegradeAt)
}

// The server is away from before the first threshold until after the last: the
// ladder is the same, and so are the due times.
func TestTimeAlone_RaisesTheGradeAfterAStop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := startWorldIn(t, dir, nil)
	w.at("09:05")
	w.report("initial", at, inc, "r1", discovered+lasting("09:00"))
	w.settled()
	w.awaitTimers()
	w.shutdown()
	w = startWorldIn(t, dir, func(c *app.Config) { c.Clock.(*clock.Manual).Advance(7 * time.Hour) })
	w.awaitGrade(event.EspeciallyGrave)
	revisions := w.past.graded[at+"/"+inc]
	require.Len(t, revisions, 4, "every step, though none was seen in time")
	for i, g := range revisions[1:] {
		w.ladder(i, g)
		for _, e := range g.Escalations {
			told := w.past.told(g, e.Desk)
			require.True(t, told.ReportedAt.Equal(clockTime(t, "16:00")), "what is durable now was not durable before")
			require.Equal(t, told.DueAt != nil, told.Late)
			if told.Late {
				require.Equal(t, event.Duration(clockTime(t, "16:00").Sub(*told.DueAt)), *told.Duties[0].LateBy)
			}
		}
	}
}

// The ladder of six hours on the machine's own clock, two hours a second.
func TestTimeAlone_RaisesTheGradeOnAScaledClock(t *testing.T) {
	t.Parallel()
	real := startWorldIn(t, t.TempDir(), func(c *app.Config) { c.Clock, c.TimeScale = clock.System{}, 7200 })
	c, err := client.DialContext(t.Context(), event.Drill, real.app.NATSAddr(), waitLimit)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	w := &world{t: t, app: real.app, client: c, nc: real.nc, js: real.js, realm: event.Drill, past: newHistory(), timed: true}

	since := time.Now().UTC().Add(-5 * time.Minute).Truncate(time.Millisecond)
	stamp := since.Format(time.RFC3339Nano)
	started := time.Now()
	r := w.report("initial", at, inc, "r1", fmt.Sprintf(`"discoveredAt":%q,%s"facts":{"outage":[{"scope":"overall","since":%q}]}`, stamp, onSite, stamp))
	require.True(t, r.Exercise)
	requireBetween(t, started, *r.ReceivedAt, "the first report comes at the machine's time")
	w.await("it is especially grave", func() bool {
		w.read()
		revisions := w.past.graded[at+"/"+inc]
		return len(revisions) == 4
	})
	// A clock or a timer at the machine's pace would need hours.
	final := since.Add(clockTime(t, steps[2].at).Sub(nine))
	require.False(t, r.ReceivedAt.Add(time.Since(started)*7200).Before(final), "six hours but five minutes")
	h := w.settled()
	for i, g := range h.graded[at+"/"+inc][1:] {
		step := steps[i]
		moment := since.Add(clockTime(t, step.at).Sub(nine))
		require.Equal(t, step.grade, g.Grade)
		require.Equal(t, step.desks, desks(g))
		require.True(t, g.At.Equal(moment))
		record := h.records[slices.IndexFunc(h.records, func(s event.Stored) bool {
			return s.Subject == event.GradedSubject(at, inc, g.Revision)
		})]
		require.False(t, record.Time.Before(moment), "never before its moment")
		for _, e := range g.Escalations {
			told := h.told(g, e.Desk)
			require.True(t, told.Exercise)
			require.False(t, told.ReportedAt.Before(moment))
		}
	}
	real.read()
	for _, s := range real.past.records {
		require.True(t, strings.HasPrefix(s.Subject, "rules."), "no drill reaches the real ledger: %s", s.Subject)
	}
	require.Empty(t, slices.Collect(maps.Keys(real.timers())))
}

// reportOf is the report that a field comes from.
func reportOf(h *history, f event.Field) string {
	if a := h.accepted[f.Record]; a != nil {
		return a.Report
	}
	return ""
}
