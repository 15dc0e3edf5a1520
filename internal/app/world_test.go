package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/classifier"
)

// nine is when the scenarios begin.
var nine = time.Date(2026, 3, 2, 9, 0, 0, 0, time.FixedZone("CST", 8*3600))

func TestMain(m *testing.M) {
	bus.DefaultPauses = []time.Duration{10 * time.Millisecond, 30 * time.Millisecond}
	os.Exit(m.Run())
}

// world is the whole product at work, on a clock that a scenario moves.
type world struct {
	t      testing.TB
	app    *app.App
	clock  *clock.Manual
	client *client.Client
	nc     *nats.Conn
	js     jetstream.JetStream
	past   *history
}

// begin starts everything in a folder of its own, with the example register
// and the embedded packs.
func begin(t testing.TB) *world { return beginIn(t, t.TempDir(), nil) }

// beginIn starts everything in a folder that may hold a past; change may alter
// the configuration.
func beginIn(t testing.TB, dir string, change func(*app.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: clock.NewManual(nine), past: newHistory()}
	cfg := app.Config{
		Data: dir, NATSListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0",
		Rulebook: rules(t, "", ""), Clock: w.clock, Log: zap.NewNop(),
	}
	if change != nil {
		change(&cfg)
	}
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
	c, err := client.Dial(w.app.NATSAddr(), 20*time.Second)
	require.NoError(w.t, err)
	w.t.Cleanup(c.Close)
	return c
}

// end stops everything, as a restart would.
func (w *world) end() {
	w.client.Close()
	w.nc.Close()
	w.app.Stop()
}

func rules(t testing.TB, statutes, registerFile string) classifier.Rulebook {
	t.Helper()
	rb, err := app.LoadRules(statutes, registerFile)
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

// report sends a report and wants it taken.
func (w *world) report(kind, operator, incident, id, fields string) *event.Receipt {
	w.t.Helper()
	r := w.send(operator, cloudEvent(kind, operator, incident, id, fields))
	require.Equal(w.t, event.StatusAccepted, r.Status, "%+v", r.Errors)
	return r
}

func (w *world) send(operator string, raw []byte) *event.Receipt {
	w.t.Helper()
	r, err := w.client.Report(w.t.Context(), operator, raw)
	require.NoError(w.t, err)
	return r
}

// query returns every escalation that q asks for.
func (w *world) query(q event.Query) (rows []event.EscalationRow) {
	w.t.Helper()
	_, err := w.client.Query(w.t.Context(), q, 0, func(r event.EscalationRow) error {
		rows = append(rows, r)
		return nil
	})
	require.NoError(w.t, err)
	return rows
}

// story returns the types of an incident's records, in order, as "log show"
// has them.
func (w *world) story(operator, incident string) (types []string) {
	w.t.Helper()
	err := w.client.Show(w.t.Context(), operator, incident, func(e event.StoryEntry) error {
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
}

func newHistory() *history {
	return &history{
		accepted: map[uint64]*event.Accepted{}, broken: map[uint64]event.Stored{}, graded: map[string][]*event.Graded{},
		causes: map[uint64]int{}, escalated: map[string]*event.Escalated{}, unhandled: map[uint64]*event.Unhandled{},
		rules: map[string]*event.RulesBody{},
	}
}

func (h *history) add(t testing.TB, s event.Stored) {
	h.through = s.Sequence
	h.records = append(h.records, s)
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

// open says what the services have not done yet, or nothing.
func (h *history) open() string {
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

func (h *history) told(g *event.Graded, desk string) *event.Escalated {
	return h.escalated[event.EscalationID(desk, g.Operator, g.Incident, fmt.Sprint(g.Revision))]
}

// review returns the escalation that puts a record before a person.
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

// settled waits until everything that follows from what is stored is stored
// too, and returns the whole ledger, whose invariants hold.
func (w *world) settled() *history {
	w.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		w.read()
		open := w.past.open()
		if open == "" {
			break
		}
		require.True(w.t, time.Now().Before(deadline), open)
		time.Sleep(2 * time.Millisecond)
	}
	w.past.sound(w.t)
	return w.past
}

// read adds what is new in the ledger.
func (w *world) read() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	stream, err := w.js.Stream(ctx, event.StreamLedger)
	require.NoError(w.t, err)
	info, err := stream.Info(ctx)
	require.NoError(w.t, err)
	if info.State.LastSeq <= w.past.through {
		return
	}
	cons, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: w.past.through + 1})
	require.NoError(w.t, err)
	messages, err := cons.Messages()
	require.NoError(w.t, err)
	defer messages.Stop()
	for w.past.through < info.State.LastSeq {
		m, err := messages.Next()
		require.NoError(w.t, err)
		meta, err := m.Metadata()
		require.NoError(w.t, err)
		require.Equal(w.t, w.past.through+1, meta.Sequence.Stream, "no gap")
		w.past.add(w.t, event.ReadStored(m.Subject(), m.Headers(), m.Data(), meta.Sequence.Stream, meta.Timestamp))
	}
}

// sound holds the ledger to what is true of every history.
func (h *history) sound(t testing.TB) {
	t.Helper()
	for seq := range h.accepted {
		require.LessOrEqual(t, h.causes[seq], 1, "record %d makes one revision", seq)
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
					require.Equal(t, e.Duties, onTime(told.Duties))
					require.Equal(t, e.Act, told.Act)
				}
			}
			require.Len(t, slices.Compact(slices.Sorted(slices.Values(desks))), len(desks), "each desk once")
			for _, desk := range before {
				require.Contains(t, desks, desk, "%s revision %d: whoever was told is told again", incident, g.Revision)
			}
			before = desks
		}
	}
	require.Equal(t, decided+len(h.unhandled), len(h.escalated), "nothing is escalated that was not decided")
}

// onTime leaves out how late duties were carried out, which nobody can decide
// before it is done.
func onTime(duties []event.Duty) []event.Duty {
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

// desks lists whom a revision tells.
func desks(g *event.Graded) []string {
	names := map[string]bool{}
	for _, e := range g.Escalations {
		names[e.Desk] = true
	}
	return slices.Sorted(maps.Keys(names))
}
