package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/grading"
)

// nine is when the scenarios begin.
var nine = time.Date(2026, 3, 2, 9, 0, 0, 0, time.FixedZone("CST", 8*3600))

func TestMain(m *testing.M) {
	bus.DefaultPauses = []time.Duration{10 * time.Millisecond, 30 * time.Millisecond}
	client.AttemptTimeout = waitLimit / 2
	debug.SetGCPercent(200) // many servers start and stop: an eighth less processor time
	os.Exit(m.Run())
}

// waitLimit is how long a test waits for something that must happen. It is not a bound on
// speed: other tests may be using the processors and the disk.
const waitLimit = 60 * time.Second

// pause waits before a test looks again for what must happen: briefly at first, and then a
// quarter of the time that it has waited, so that long waits cost little.
func pause(began time.Time) {
	time.Sleep(min(2*time.Millisecond+time.Since(began)/4, 100*time.Millisecond))
}

// requireBetween fails unless at is a time of the machine between begin and now.
func requireBetween(t testing.TB, begin, at time.Time, what string) {
	t.Helper()
	end := clock.System{}.Now()
	require.False(t, at.Before(begin.Round(0)), "%s: %v is before %v", what, at, begin)
	require.False(t, at.After(end), "%s: %v is after %v", what, at, end)
}

// world is the whole product, on a clock that a scenario moves.
type world struct {
	t      testing.TB
	app    *app.App
	clock  *clock.Manual
	client *client.Client
	nc     *nats.Conn
	js     jetstream.JetStream
	realm  event.Realm // whose records it reads
	past   *history
	bus    *bus.Bus // to fire timers with; opened when first needed
	timed  bool     // its clocks run, so that what is settled has its timers

	streams map[string]jetstream.Stream // by name, as far as they were needed
}

// startWorld starts everything in a folder of its own, with the example register
// and the embedded packs.
func startWorld(t testing.TB) *world { return startWorldIn(t, t.TempDir(), nil) }

// startWorldIn starts everything in a folder that may have earlier data; change may alter the
// configuration.
func startWorldIn(t testing.TB, dir string, change func(*app.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: clock.NewManual(nine), past: newHistory()}
	cfg := app.Config{
		Data: dir, NATSListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0",
		Rulebook: rules(t, "", ""), Clock: w.clock, Log: zap.NewNop(),
	}
	if change != nil {
		change(&cfg)
	}
	w.timed = len(cfg.Roles) == 0 || slices.Contains(cfg.Roles, "deadline")
	var err error
	w.app, err = app.Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(w.app.Stop)
	w.client = w.dial()
	w.nc, err = nats.Connect(w.app.NATSAddr())
	require.NoError(t, err)
	t.Cleanup(w.nc.Close)
	w.js, err = jetstream.New(w.nc)
	require.NoError(t, err)
	return w
}

func (w *world) dial() *client.Client {
	w.t.Helper()
	c, err := client.Dial(w.app.NATSAddr(), waitLimit)
	require.NoError(w.t, err)
	w.t.Cleanup(c.Close)
	return c
}

// shutdown stops everything, as a restart would.
func (w *world) shutdown() {
	w.client.Close()
	w.nc.Close()
	w.app.Stop()
}

// embedded are the embedded packs and the example register, decoded once: most tests
// use them, and no code changes them.
var embedded = sync.OnceValues(func() (grading.Rulebook, error) { return app.LoadRules("", "") })

func rules(t testing.TB, statutes, registerFile string) grading.Rulebook {
	t.Helper()
	load := embedded
	if statutes != "" || registerFile != "" {
		load = func() (grading.Rulebook, error) { return app.LoadRules(statutes, registerFile) }
	}
	rb, err := load()
	require.NoError(t, err)
	return rb
}

// at moves the clock to a time of the day, such as "10:30".
func (w *world) at(hhmm string) {
	w.t.Helper()
	w.clock.Advance(clockTime(w.t, hhmm).Sub(w.clock.Now()))
}

func clockTime(t testing.TB, hhmm string) time.Time {
	t.Helper()
	of, err := time.Parse("15:04", hhmm)
	require.NoError(t, err)
	return nine.Add(time.Duration(of.Hour()-9)*time.Hour + time.Duration(of.Minute())*time.Minute)
}

// cloudEvent renders a report; fields are the members of its data that matter.
func cloudEvent(kind, operator, incident, id, fields string) []byte {
	must := `"containsNoStateSecrets":true`
	if kind == "initial" && !strings.Contains(fields, `"discoveredAt"`) {
		must += `,"discoveredAt":"2026-03-02T08:40:00+08:00"`
	}
	if fields != "" {
		must += ","
	}
	extra := ""
	if at, rest, timed := strings.Cut(fields, "|"); timed { // "10:00|fields": the event's own time
		extra, fields = fmt.Sprintf(`"time":"2026-03-02T%s:00+08:00",`, at), rest
	}
	return fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"urn:tocsin:operator:%s","type":"tocsin.report.%s.v1","subject":%q,%s"data":{%s%s}}`,
		id, operator, kind, incident, extra, must, fields)
}

// report sends a report and requires it to be accepted.
func (w *world) report(kind, operator, incident, id, fields string) *event.Receipt {
	w.t.Helper()
	r := w.send(operator, cloudEvent(kind, operator, incident, id, fields))
	require.Equal(w.t, event.StatusAccepted, r.Status, "%+v", r.Errors)
	return r
}

// send sends a report once, and again only if the server says so: the client repeats it
// if a busy machine takes long, and the receipt then says that it is a duplicate.
func (w *world) send(operator string, raw []byte) *event.Receipt {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	for {
		reply, err := w.nc.RequestMsgWithContext(ctx, &nats.Msg{
			Subject: w.realm.Wire(api.ReportSubject(operator)), Header: nats.Header{"Content-Type": {"application/cloudevents+json"}}, Data: raw,
		})
		if !errors.Is(err, nats.ErrNoResponders) {
			require.NoError(w.t, err)
		}
		if err == nil && reply.Header.Get(endpoint.HeaderErrorCode) != "503" {
			require.Empty(w.t, reply.Header.Get(endpoint.HeaderError))
			r := new(event.Receipt)
			require.NoError(w.t, json.Unmarshal(reply.Data, r))
			return r
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// query returns every escalation that q asks for.
func (w *world) query(q api.Query) (rows []api.EscalationRow) {
	w.t.Helper()
	_, err := w.client.Query(w.t.Context(), q, 0, func(r api.EscalationRow) error {
		rows = append(rows, r)
		return nil
	})
	require.NoError(w.t, err)
	return rows
}

// story returns the types of an incident's records, in order, as in "log show".
func (w *world) story(operator, incident string) (types []string) {
	w.t.Helper()
	err := w.client.Show(w.t.Context(), operator, incident, func(e api.StoryEntry) error {
		require.True(w.t, json.Valid(e.Body))
		types = append(types, e.Type)
		return nil
	})
	require.NoError(w.t, err)
	return types
}

// history is the ledger as read.
type history struct {
	through   uint64
	records   []event.Stored
	accepted  map[uint64]*event.Accepted
	broken    map[uint64]event.Stored    // accepted and graded records that cannot be read
	graded    map[string][]*event.Graded // by operator/incident, in ledger order
	causes    map[uint64]int             // revisions by the record that caused them
	escalated map[string]*event.Escalated
	unhandled map[uint64]*event.Unhandled
	rules     map[string]*event.RulesBody
	acts      map[uint64]*event.DeskAct // those that make a revision
	closed    []*event.DeskAct
	elapsed   map[uint64]*event.Elapsed
	overdue   map[string]*event.Overdue // by escalation
	away      []*event.Away
	reminded  []*event.Reminder
	acked     map[string]*event.Acknowledgement
	notices   map[uint64]string // to whom silence is due to be told, by the record of it
}

func newHistory() *history {
	return &history{
		accepted: map[uint64]*event.Accepted{}, broken: map[uint64]event.Stored{}, graded: map[string][]*event.Graded{},
		causes: map[uint64]int{}, escalated: map[string]*event.Escalated{}, unhandled: map[uint64]*event.Unhandled{},
		rules: map[string]*event.RulesBody{}, acts: map[uint64]*event.DeskAct{}, elapsed: map[uint64]*event.Elapsed{},
		overdue: map[string]*event.Overdue{}, acked: map[string]*event.Acknowledgement{}, notices: map[uint64]string{},
	}
}

func (h *history) add(t testing.TB, s event.Stored) {
	h.through = s.Sequence
	h.records = append(h.records, s)
	h.addTime(t, s)
	switch event.ParseSubject(s.Subject).Kind {
	case event.KindAccepted:
		if a, err := event.Decode[event.Accepted](s); err != nil {
			h.broken[s.Sequence] = s
		} else {
			h.accepted[s.Sequence] = a
		}
	case event.KindGraded:
		if g, err := event.Decode[event.Graded](s); err != nil {
			h.broken[s.Sequence] = s
		} else {
			h.graded[g.Operator+"/"+g.Incident] = append(h.graded[g.Operator+"/"+g.Incident], g)
			h.causes[g.Cause.Record]++
		}
	case event.KindEscalated:
		e, err := event.Decode[event.Escalated](s)
		if err != nil {
			return // no service of ours wrote it
		}
		require.NotContains(t, h.escalated, e.ID)
		require.Equal(t, "incident.escalated."+e.ID, s.Subject)
		h.escalated[e.ID] = e
	case event.KindUnhandled:
		u, err := event.Decode[event.Unhandled](s)
		require.NoError(t, err)
		h.unhandled[u.Record] = u
	case event.KindRules:
		r, err := event.Decode[event.RulesBody](s)
		require.NoError(t, err)
		h.rules[r.SHA256] = r
	}
}

// addTime adds a record of the clocks or desks, and checks it alone.
func (h *history) addTime(t testing.TB, s event.Stored) {
	switch kind := event.ParseSubject(s.Subject).Kind; kind {
	case event.KindAsked, event.KindDetermined, event.KindTransferred, event.KindConfirmed, event.KindClosed:
		a, err := event.Decode[event.DeskAct](s)
		require.NoError(t, err)
		require.True(t, a.At.Equal(s.Time))
		if kind == event.KindClosed {
			h.closed = append(h.closed, a) // it decides nothing
			return
		}
		h.acts[s.Sequence] = a
	case event.KindAcknowledged:
		a, err := event.Decode[event.Acknowledgement](s)
		require.NoError(t, err)
		h.acked[a.Escalation] = a
	case event.KindElapsed:
		e, err := event.Decode[event.Elapsed](s)
		require.NoError(t, err)
		require.False(t, s.Time.Before(e.At), "a moment is never early")
		h.elapsed[s.Sequence] = e
	case event.KindOverdue:
		o, err := event.Decode[event.Overdue](s)
		require.NoError(t, err)
		require.True(t, o.At.Equal(s.Time))
		require.False(t, o.At.Before(o.AcknowledgeBy), "an overdue record is never early")
		require.NotContains(t, h.overdue, o.Escalation)
		if a := h.acked[o.Escalation]; a != nil { // stored before
			require.True(t, a.At.After(o.AcknowledgeBy), "%s was acknowledged in time", o.Escalation)
		}
		h.overdue[o.Escalation] = o
		h.notices[s.Sequence] = o.Next
	case event.KindAway:
		a, err := event.Decode[event.Away](s)
		require.NoError(t, err)
		require.True(t, a.At.Before(a.AcknowledgeBy), "then it is overdue")
		h.away = append(h.away, a)
		h.notices[s.Sequence] = a.Next
	case event.KindReminded:
		r, err := event.Decode[event.Reminder](s)
		require.NoError(t, err)
		require.False(t, r.Passed && r.At.Before(r.DueAt), "a due time has passed before it has come")
		h.reminded = append(h.reminded, r)
		if r.Forward != "" {
			h.notices[s.Sequence] = r.To
		}
	}
}

// open returns what the services have not done yet, or "".
func (h *history) open() string {
	if open := h.openTime(); open != "" {
		return open
	}
	for seq, a := range h.accepted {
		if h.causes[seq] == 0 && h.unhandled[seq] == nil {
			return fmt.Sprintf("report %s (record %d) is neither graded nor before a person", a.Report, seq)
		}
	}
	for seq, s := range h.broken {
		if h.unhandled[seq] == nil {
			return fmt.Sprintf("%s (record %d) is not before a person", s.Subject, seq)
		}
	}
	for _, revisions := range h.graded {
		for _, g := range revisions {
			for _, e := range g.Escalations {
				if h.told(g, e.Desk) == nil {
					return fmt.Sprintf("%s is not told of %s revision %d", e.Desk, g.Incident, g.Revision)
				}
			}
		}
	}
	for seq, u := range h.unhandled {
		if h.review(u) == nil {
			return fmt.Sprintf("record %d is not before %s", seq, u.Desk)
		}
	}
	return ""
}

// openTime is open for the records of clocks and desks.
func (h *history) openTime() string {
	for seq, a := range h.acts {
		if h.causes[seq] == 0 && h.unhandled[seq] == nil {
			return fmt.Sprintf("%s by %s (record %d) makes no revision", a.Kind, a.Desk, seq)
		}
	}
	for seq, e := range h.elapsed {
		// Look promises that something changes then.
		revisions := h.graded[e.Operator+"/"+e.Incident]
		if last := revisions[max(0, len(revisions)-1):]; len(last) == 1 && last[0].RegradeAt != nil && last[0].RegradeAt.Equal(e.At) && h.unhandled[seq] == nil {
			return fmt.Sprintf("the moment of record %d was foreseen and changes nothing", seq)
		}
	}
	for seq, to := range h.notices {
		if to != "" && h.notice(seq) == nil {
			return fmt.Sprintf("%s is not told of the silence in record %d", to, seq)
		}
	}
	return ""
}

// notice returns the notice that follows from a record.
func (h *history) notice(seq uint64) *event.Escalated {
	for _, e := range h.escalated {
		if e.Notice != nil && e.Notice.Record == seq {
			return e
		}
	}
	return nil
}

func (h *history) told(g *event.Graded, desk string) *event.Escalated {
	return h.escalated[event.EscalationID(desk, g.Operator, g.Incident, fmt.Sprint(g.Revision))]
}

// review returns the escalation that sends a record to a person for review.
func (h *history) review(u *event.Unhandled) *event.Escalated {
	at := event.ParseSubject(u.Subject)
	for _, e := range h.escalated {
		if e.Unhandled != nil && e.Unhandled.Record == u.Record && e.Desk == u.Desk {
			if at.Kind == "" || strings.HasSuffix(e.ID, fmt.Sprintf(".%s.%s.u%d", at.Operator, at.Incident, u.Record)) {
				return e
			}
		}
	}
	return nil
}

// settled waits until all records and timers that follow from the stored records are
// stored too, and returns the whole ledger, after checking its invariants.
func (w *world) settled() *history {
	w.t.Helper()
	for began := time.Now(); ; pause(began) {
		w.read()
		open := w.past.open()
		if open == "" && w.timed {
			open = w.past.missingTimer(w.timerNames())
		}
		if open == "" {
			break
		}
		require.Less(w.t, time.Since(began), waitLimit, open)
	}
	w.past.checkInvariants(w.t)
	return w.past
}

// stream returns a stream of the realm.
func (w *world) stream(name string) jetstream.Stream {
	w.t.Helper()
	if s := w.streams[name]; s != nil {
		return s
	}
	s, err := w.js.Stream(w.t.Context(), w.realm.Stream(name))
	require.NoError(w.t, err)
	if w.streams == nil {
		w.streams = map[string]jetstream.Stream{}
	}
	w.streams[name] = s
	return s
}

// timerNames returns the timers that are set, and those that have come due and are not
// cleared away yet.
func (w *world) timerNames() map[string]bool {
	w.t.Helper()
	info, err := w.stream(event.StreamTimers).Info(w.t.Context(), jetstream.WithSubjectFilter(">"))
	require.NoError(w.t, err)
	names := map[string]bool{}
	for subject := range info.State.Subjects {
		names[event.TimerName(w.realm.Plain(subject))] = true
	}
	return names
}

// missingTimer names a timer that should be set and is not, or returns "". If a test moved its
// clock before it is set, the timer would fire at once.
func (h *history) missingTimer(timers map[string]bool) string {
	for id, e := range h.escalated {
		if e.AcknowledgeBy != nil && h.acked[id] == nil && h.overdue[id] == nil && !timers["escalation."+id] {
			return id + " has no timer"
		}
	}
	for _, revisions := range h.graded {
		g := revisions[len(revisions)-1]
		at := event.ParseSubject(event.GradedSubject(g.Operator, g.Incident, g.Revision))
		if g.RegradeAt != nil && !timers[fmt.Sprintf("elapsed.%s.%s.%d", at.Operator, at.Incident, g.RegradeAt.UnixNano())] {
			return fmt.Sprintf("%s/%s has no timer to look again", g.Operator, g.Incident)
		}
	}
	return ""
}

// read adds what is new in the ledger.
func (w *world) read() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), waitLimit)
	defer cancel()
	w.past.read(ctx, w.t, w.stream(event.StreamLedger), w.realm)
}

// read adds what is new in a stream.
func (h *history) read(ctx context.Context, t testing.TB, stream jetstream.Stream, realm event.Realm) {
	t.Helper()
	info, err := stream.Info(ctx)
	require.NoError(t, err)
	if info.State.LastSeq <= h.through {
		return
	}
	cons, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: h.through + 1})
	require.NoError(t, err)
	messages, err := cons.Messages()
	require.NoError(t, err)
	defer messages.Stop()
	for h.through < info.State.LastSeq {
		m, err := messages.Next(jetstream.NextContext(ctx))
		require.NoError(t, err)
		meta, err := m.Metadata()
		require.NoError(t, err)
		require.Equal(t, h.through+1, meta.Sequence.Stream, "no gap")
		h.add(t, event.ReadStored(realm, m.Subject(), m.Headers(), m.Data(), meta.Sequence.Stream, meta.Timestamp))
	}
}

// checkInvariants checks that the ledger satisfies the invariants of every history.
func (h *history) checkInvariants(t testing.TB) {
	t.Helper()
	for seq, n := range h.causes {
		require.Equal(t, 1, n, "record %d makes one revision", seq)
	}
	decided := 0
	for incident, revisions := range h.graded {
		under := map[string]bool{} // duties already told, by desk
		var before []string
		through := uint64(0)
		for i, g := range revisions {
			require.Equal(t, i+1, g.Revision, "%s: revisions without a gap", incident)
			require.GreaterOrEqual(t, g.Through, through)
			through = g.Through
			require.GreaterOrEqual(t, g.Peak, g.Grade)
			if i > 0 {
				require.GreaterOrEqual(t, g.Peak, revisions[i-1].Peak)
			}
			var desks []string
			for _, e := range g.Escalations {
				decided++
				desks = append(desks, e.Desk)
				for _, d := range e.Duties {
					for _, f := range d.Facilities {
						key := strings.Join([]string{e.Desk, d.Statute, d.Duty, d.From, f}, " ")
						require.False(t, under[key], "%s: %s is told twice", incident, key)
						under[key] = true
					}
				}
				if told := h.told(g, e.Desk); told != nil {
					require.Equal(t, e.Duties, withoutLateness(told.Duties))
					require.Equal(t, e.Act, told.Act)
				}
			}
			require.Len(t, slices.Compact(slices.Sorted(slices.Values(desks))), len(desks), "each desk once")
			for _, desk := range before {
				// A quiet revision is not sent to the desks told before.
				if (i == 0 || !quiet(revisions[i-1], g)) && !slices.Contains(desks, desk) {
					require.Contains(t, desks, desk, "%s revision %d: whoever was told is told again", incident, g.Revision)
				}
				if !slices.ContainsFunc(g.Told, func(told event.ToldDesk) bool { return told.Desk == desk }) {
					require.Contains(t, g.Told, desk, "nor is it forgotten")
				}
			}
			for _, desk := range desks {
				if !slices.Contains(before, desk) {
					before = append(before, desk)
				}
			}
			h.checkClockInvariants(t, revisions[:i+1])
		}
	}
	noticed := 0
	for seq, to := range h.notices {
		if e := h.notice(seq); e != nil {
			require.Equal(t, to, e.Desk)
			noticed++
		}
	}
	require.Equal(t, decided+len(h.unhandled)+noticed, len(h.escalated), "nothing is escalated that was not decided")
	for _, e := range h.escalated {
		if e.Act == event.ActNotice { // ids and times only, and it starts no clock
			require.NotNil(t, e.Notice)
			require.Equal(t, event.Ungraded, e.Grade)
			require.Equal(t, event.Ungraded, e.Peak)
			require.Empty(t, e.Report)
			require.Empty(t, e.Duties)
			require.Empty(t, e.Facilities)
			require.Nil(t, e.AcknowledgeBy)
			require.Nil(t, e.DueAt)
		}
	}
}

// quiet reports whether a revision is news only to the desks that it newly concerns: a
// question to the operator, a forward that was confirmed or that goes without a person, a
// transfer. It is not quiet if a grade moves too, or if a report that had failed is
// folded with it.
func quiet(prev, g *event.Graded) bool {
	switch strings.Split(g.Cause.Type, ".")[2] {
	case event.KindAsked, event.KindConfirmed, event.KindTransferred, event.KindElapsed:
		mended := slices.ContainsFunc(prev.Aside, func(seq uint64) bool { return seq != g.Cause.Record && !slices.Contains(g.Aside, seq) })
		return !mended && prev.Grade == g.Grade && slices.EqualFunc(prev.Statutes, g.Statutes, func(a, b event.StatuteGrade) bool {
			return a.Statute == b.Statute && a.Grade == b.Grade
		})
	}
	return false
}

// checkClockInvariants checks the invariants of the clocks in the last of the revisions.
func (h *history) checkClockInvariants(t testing.TB, revisions []*event.Graded) {
	t.Helper()
	g := revisions[len(revisions)-1]
	require.True(t, g.RegradeAt == nil || g.RegradeAt.After(g.At), "the next look lies ahead")
	require.False(t, g.Next != nil && g.RegradeAt == nil && !g.State.IsImported(), "a rise that is foreseen is looked for")
	if g.State.IsImported() {
		require.Nil(t, g.RegradeAt, "an import starts no clock")
		require.Empty(t, g.PendingForwards)
		for _, o := range g.Owed {
			require.Equal(t, event.OwesAnswer, o.Kind)
		}
		for _, e := range g.Escalations {
			require.Nil(t, e.AcknowledgeDefault)
			require.Nil(t, e.AcknowledgeWithin)
		}
	}
	for _, held := range g.PendingForwards {
		require.True(t, held.Until.After(g.At), "what has come to its end goes")
		require.False(t, held.Until.Before(*g.RegradeAt))
	}
	if len(revisions) == 1 {
		return
	}
	prev := revisions[len(revisions)-2]
	require.False(t, g.At.Before(prev.At), "time does not turn back")
	if e := h.elapsed[g.Cause.Record]; e != nil {
		require.Equal(t, "tocsin.incident.elapsed.v1", g.Cause.Type)
		require.True(t, g.Cause.At.Equal(e.At))
		require.True(t, prev.RegradeAt != nil && !prev.RegradeAt.After(e.At), "it was foreseen")
		require.GreaterOrEqual(t, g.Grade, prev.Grade, "time only raises")
	}
	// Nothing moves a due time later.
	for _, d := range g.Duties {
		for _, before := range prev.Duties {
			if d.Statute == before.Statute && d.Duty == before.Duty && d.From == before.From && d.Desk == before.Desk && slices.Equal(d.Facilities, before.Facilities) {
				if before.DueAt == nil || d.DueAt == nil || d.DueAt.After(*before.DueAt) {
					require.Equal(t, before.DueAt, d.DueAt, "%s %s", d.Duty, d.Desk)
				}
			}
		}
	}
	for _, o := range g.Owed {
		for _, before := range prev.Owed {
			if o.ID == before.ID && before.DueAt != nil {
				require.NotNil(t, o.DueAt)
				require.False(t, o.DueAt.After(*before.DueAt))
			}
		}
	}
}

// withoutLateness drops how late duties were carried out, which cannot be decided before they are.
func withoutLateness(duties []event.Duty) []event.Duty {
	out := slices.Clone(duties)
	for i := range out {
		out[i].LateBy = nil
	}
	return out
}

// last returns the last revision of an incident.
func (h *history) last(t testing.TB, operator, incident string) *event.Graded {
	t.Helper()
	revisions := h.graded[operator+"/"+incident]
	require.NotEmpty(t, revisions)
	return revisions[len(revisions)-1]
}

// desks lists the desks that a revision tells.
func desks(g *event.Graded) []string {
	names := map[string]bool{}
	for _, e := range g.Escalations {
		names[e.Desk] = true
	}
	return slices.Sorted(maps.Keys(names))
}
