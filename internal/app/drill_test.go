package app_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// in is the same product seen from one of its realms.
func (w *world) in(realm event.Realm) *world {
	w.t.Helper()
	c, err := client.DialRealm(realm, w.app.NATSAddr(), 20*time.Second)
	require.NoError(w.t, err)
	w.t.Cleanup(c.Close)
	return &world{t: w.t, app: w.app, clock: w.clock, client: c, nc: w.nc, js: w.js, realm: realm, past: newHistory()}
}

func otherRealm(r event.Realm) event.Realm {
	if r == event.Real {
		return event.Drill
	}
	return event.Real
}

func (w *world) httpPath() string {
	if w.realm == event.Drill {
		return w.app.HTTPAddr() + "/v1/exercise/reports"
	}
	return w.app.HTTPAddr() + "/v1/reports"
}

func (w *world) drillPost(url, contentType string, body []byte) (status int, answer []byte) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, url, bytes.NewReader(body))
	require.NoError(w.t, err)
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultTransport.RoundTrip(req) // a redirect is an answer
	require.NoError(w.t, err)
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return resp.StatusCode, answer
}

// everything is all that a request could change of a realm, as text: its streams
// byte for byte, its desks' consumers, and what every query says.
func (w *world) everything() string {
	w.t.Helper()
	var b strings.Builder
	ctx := w.t.Context()
	for _, name := range []string{event.StreamLedger, event.StreamRejected, event.StreamTimers} {
		s, err := w.js.Stream(ctx, w.realm.Stream(name))
		require.NoError(w.t, err)
		info, err := s.Info(ctx, jetstream.WithSubjectFilter(">"))
		require.NoError(w.t, err)
		st := info.State
		fmt.Fprintf(&b, "%s %d messages %d–%d, %d bytes, %d deleted\n", info.Config.Name, st.Msgs, st.FirstSeq, st.LastSeq, st.Bytes, st.NumDeleted)
		for _, subject := range slices.Sorted(maps.Keys(st.Subjects)) {
			m, err := s.GetLastMsgForSubject(ctx, subject)
			require.NoError(w.t, err)
			headers, err := json.Marshal(m.Header)
			require.NoError(w.t, err)
			fmt.Fprintf(&b, "%d %s %x\n", m.Sequence, subject, sha256.Sum256(append(headers, m.Data...)))
		}
		consumers := s.ListConsumers(ctx)
		for c := range consumers.Info() {
			if c.Config.Durable != "" { // those of our services are replaced when a connection stumbles
				fmt.Fprintf(&b, "consumer %s %v %v %d %d\n", c.Name, c.Delivered.Stream, c.AckFloor.Stream, c.NumAckPending, c.NumPending)
			}
		}
		require.NoError(w.t, consumers.Err())
	}
	line := func(v any) {
		text, err := json.Marshal(v)
		require.NoError(w.t, err)
		b.Write(append(text, '\n'))
	}
	for _, r := range w.query(event.Query{}) {
		line(r)
	}
	_, _, err := w.client.Incidents(ctx, event.IncidentQuery{}, 0, func(r event.IncidentRow) error {
		line(r)
		return w.client.Show(ctx, r.Operator, r.Incident, func(e event.StoryEntry) error { line(e); return nil })
	})
	require.NoError(w.t, err)
	desks, err := w.client.Desks(ctx)
	require.NoError(w.t, err)
	for _, s := range desks.Screens {
		line([]string{s.Desk, s.Client, s.Next})
	}
	return b.String()
}

// quiet waits until nothing moves in the realm, and returns everything.
func (w *world) quiet() string {
	w.t.Helper()
	for {
		w.settled()
		before := w.everything()
		time.Sleep(100 * time.Millisecond)
		if w.settled(); w.everything() == before {
			return before
		}
	}
}

// begun gives a realm a past: one incident that both realms have, and one that
// only it has.
func (w *world) begun() *world {
	w.report("initial", at, inc, "r1", onSite+`"title":"调度中断",`+large)
	w.report("initial", at, w.only(), "r1", onSite+large)
	w.settled()
	return w
}

func (w *world) only() string { return "only-" + string(w.realm) }

// request is one thing that somebody may do in a realm.
type drillRequest struct {
	name string
	do   func(w *world, n string) // n is new for every request
}

// accepted wants an HTTP answer to be a receipt of the realm.
func (w *world) drillReceipts(raw []byte) (out []event.Receipt) {
	w.t.Helper()
	if raw[0] != '[' {
		raw = slices.Concat([]byte{'['}, raw, []byte{']'})
	}
	require.NoError(w.t, json.Unmarshal(raw, &out))
	for _, r := range out {
		if r.Status != event.StatusRejected {
			require.Equal(w.t, w.realm == event.Drill, r.Exercise)
		}
	}
	return out
}

func (w *world) drillAct(a event.DeskAct, want string) {
	w.t.Helper()
	a.Operator, a.Officer, a.Reason = at, "duty-officer", "because"
	answer, err := w.client.Act(w.t.Context(), a)
	require.NoError(w.t, err)
	require.Equal(w.t, want, answer.Status, "%+v", answer.Errors)
}

// hostile sends a message to a door of the realm with a reply subject that names
// what it should not, and returns when the door has dealt with it.
func (w *world) hostile(door, reply string, data []byte) {
	w.t.Helper()
	require.NoError(w.t, w.nc.PublishRequest(w.realm.Wire(door), reply, data))
	require.NoError(w.t, w.nc.Flush())
}

// requests is every kind of request of a realm.
var drillRequests = []drillRequest{
	{"report, structured", func(w *world, n string) {
		w.report("initial", at, "s-"+n, "r1", onSite+grave)
	}},
	{"report, binary", func(w *world, n string) {
		m := nats.NewMsg(w.realm.Wire(event.ReportSubject(at)))
		for k, v := range map[string]string{"specversion": "1.0", "id": "b" + n, "source": event.SourceOf(at), "type": event.TypeInitial, "subject": "b-" + n} {
			m.Header.Set("ce-"+k, v)
		}
		m.Data = []byte(`{"containsNoStateSecrets":true,"discoveredAt":"2026-03-02T08:40:00+08:00",` + onSite + large + `}`)
		reply, err := w.nc.RequestMsg(m, 10*time.Second)
		require.NoError(w.t, err)
		require.Equal(w.t, event.StatusAccepted, w.drillReceipts(reply.Data)[0].Status)
	}},
	{"report, plain publish", func(w *world, n string) {
		sub, err := w.nc.SubscribeSync(w.realm.Wire("receipt." + at))
		require.NoError(w.t, err)
		defer sub.Unsubscribe() //nolint:errcheck // the connection goes with it
		require.NoError(w.t, w.nc.Publish(w.realm.Wire(event.ReportSubject(at)), cloudEvent("initial", at, "p-"+n, "r1", onSite+large)))
		m, err := sub.NextMsg(10 * time.Second)
		require.NoError(w.t, err)
		require.Equal(w.t, event.StatusAccepted, w.drillReceipts(m.Data)[0].Status)
	}},
	{"the same again, and a conflict", func(w *world, n string) {
		require.Equal(w.t, event.StatusDuplicate, w.send(at, cloudEvent("initial", at, w.only(), "r1", onSite+large)).Status)
		require.Equal(w.t, event.StatusConflict, w.send(at, cloudEvent("initial", at, w.only(), "r1", onSite+grave+`,"title":"`+n+`"`)).Status)
	}},
	{"progress of the incident of both", func(w *world, n string) {
		w.report("progress", at, inc, "p"+n, `"cause":"`+n+`"`)
	}},
	{"withdrawal", func(w *world, n string) {
		w.report("initial", at, "w-"+n, "r1", onSite+large)
		w.report("withdrawal", at, "w-"+n, "r2", `"reason":"false-alarm"`)
	}},
	{"HTTP, single", func(w *world, n string) {
		status, raw := w.drillPost(w.httpPath(), "application/cloudevents+json", cloudEvent("initial", at, "h-"+n, "r1", onSite+large))
		require.Equal(w.t, http.StatusOK, status, string(raw))
		require.Equal(w.t, event.StatusAccepted, w.drillReceipts(raw)[0].Status)
	}},
	{"HTTP, batch", func(w *world, n string) {
		batch := slices.Concat([]byte("["), cloudEvent("initial", at, "hb-"+n, "r1", onSite+large), []byte(","), cloudEvent("progress", at, inc, "hb"+n, `"plan":"x"`), []byte(`,{"id":"bad`+n+`"}]`))
		status, raw := w.drillPost(w.httpPath(), "application/cloudevents-batch+json", batch)
		require.Equal(w.t, http.StatusOK, status, string(raw))
		receipts := w.drillReceipts(raw)
		require.Equal(w.t, event.StatusAccepted, receipts[0].Status)
		require.Equal(w.t, event.StatusRejected, receipts[2].Status)
	}},
	{"HTTP, paths that lead elsewhere", func(w *world, n string) {
		other := strings.TrimPrefix(w.in(otherRealm(w.realm)).httpPath(), w.app.HTTPAddr())
		for _, path := range []string{"/v1/exercise/..", "/v1/exercise/../", "/v1/../v1/exercise/./..", "//v1", "/v1/exercise%2f.."} {
			status, _ := w.drillPost(w.app.HTTPAddr()+path+strings.TrimPrefix(other, "/v1"), "application/cloudevents+json", cloudEvent("initial", at, "path-"+n, "r1", onSite+large))
			require.GreaterOrEqual(w.t, status, 300, "%s: led on or refused, never taken", path)
		}
	}},
	{"what is refused", func(w *world, n string) {
		require.Equal(w.t, event.StatusRejected, w.send(at, []byte(`{"n":"`+n+`"}`)).Status)
		status, _ := w.drillPost(w.httpPath(), "application/cloudevents+json", []byte(`{"n":"`+n+`"}`))
		require.Equal(w.t, http.StatusBadRequest, status)
		status, _ = w.drillPost(w.httpPath(), "text/plain", []byte(n))
		require.Equal(w.t, http.StatusUnsupportedMediaType, status)
	}},
	{"a mark in the data", func(w *world, n string) {
		for _, mark := range []string{`"exercise":true`, `"exercise":false`, `"drill":true`} {
			r := w.send(at, cloudEvent("initial", at, "mark-"+n, "m", onSite+large+","+mark))
			require.Equal(w.t, event.StatusRejected, r.Status)
			name, _, _ := strings.Cut(strings.Trim(mark, `"`), `"`)
			require.Equal(w.t, "$.data."+name, r.Errors[0].Path)
		}
	}},
	{"names that sound like a realm", func(w *world, n string) {
		for i, incident := range []string{"exercise", "exercise." + inc, "incident.accepted", "EXERCISE", "../" + inc, "exercise.>"} {
			r := w.send(at, cloudEvent("initial", at, incident+"-"+n, fmt.Sprint("exercise.report.", i), onSite+large))
			require.Equal(w.t, event.StatusAccepted, r.Status)
			require.Equal(w.t, w.realm == event.Drill, r.Exercise)
		}
		marked := bytes.Replace(cloudEvent("initial", at, "ext-"+n, "r1", onSite+large), []byte(`"specversion"`), []byte(`"exercise":true,"realm":"exercise","specversion"`), 1)
		require.Equal(w.t, w.realm == event.Drill, w.send(at, marked).Exercise, "an extension moves nothing")
		foreign := bytes.Replace(cloudEvent("initial", at, "src-"+n, "r1", onSite+large), []byte(`"urn:tocsin:operator:grid-east"`), []byte(`"urn:tocsin:exercise:grid-east"`), 1)
		require.Equal(w.t, w.realm == event.Drill, w.send(at, foreign).Exercise)
		for _, operator := range []string{"exercise", "exercise.grid-east", "report.grid-east", "*", ">"} {
			r, err := w.client.Report(w.t.Context(), operator, cloudEvent("initial", operator, "op-"+n, "r1", large))
			require.NoError(w.t, err)
			require.Equal(w.t, event.StatusRejected, r.Status)
		}
	}},
	{"subjects that nobody hears", func(w *world, n string) {
		for _, subject := range []string{"exercise.exercise.report." + at, "report.exercise." + at, "exercise.report.exercise." + at, "EXERCISE.report." + at, "exercise.incident", "exercise"} {
			_, err := w.nc.Request(subject, cloudEvent("initial", at, "nobody-"+n, "r1", onSite+large), 5*time.Second)
			require.ErrorIs(w.t, err, nats.ErrNoResponders, subject)
		}
	}},
	{"acknowledge", func(w *world, n string) {
		w.report("initial", at, "a-"+n, "r1", onSite+large)
		w.settled()
		require.Equal(w.t, event.StatusAccepted, w.ack(event.EscalationID(duty, at, "a-"+n, "1"), "post").Status)
		require.Equal(w.t, event.StatusDuplicate, w.ack(event.EscalationID(duty, at, "a-"+n, "1"), "post").Status)
	}},
	{"acknowledge what is of the other realm", func(w *world, n string) {
		other := event.EscalationID(duty, at, w.in(otherRealm(w.realm)).only(), "1")
		for _, id := range []string{other, "exercise." + other, "incident.escalated." + other, "exercise.incident.escalated." + other} {
			a, err := w.client.Acknowledge(w.t.Context(), duty, id, "post")
			require.NoError(w.t, err)
			require.Equal(w.t, event.StatusRejected, a.Status, id)
		}
		for _, kind := range []string{event.KindAsked, event.KindDetermined, event.KindTransferred, event.KindConfirmed, event.KindClosed} {
			a := deskActOf(kind, n)
			a.Incident = w.in(otherRealm(w.realm)).only()
			w.drillAct(a, event.StatusRejected)
		}
	}},
	{"acts of a desk", func(w *world, n string) {
		for _, kind := range []string{event.KindAsked, event.KindDetermined, event.KindTransferred} {
			w.drillAct(deskActOf(kind, n), event.StatusAccepted)
		}
		w.drillAct(deskActOf(event.KindConfirmed, n), event.StatusRejected) // nothing is held here
		for _, r := range w.query(event.Query{Desk: duty, Unacknowledged: true}) {
			w.ack(r.Escalation, "post")
		}
		w.settled()
		for _, r := range w.query(event.Query{Desk: duty, Unacknowledged: true}) {
			w.ack(r.Escalation, "post")
		}
		w.drillAct(deskActOf(event.KindClosed, n), event.StatusAccepted)
	}},
	{"watch", func(w *world, n string) {
		w.report("initial", at, "v-"+n, "r1", onSite+large)
		w.settled()
		shown := w.watch(w.client, "screen-"+n, 1)
		require.Len(w.t, shown, 1)
	}},
	{"query, show, incidents, desks", func(w *world, n string) {
		for _, r := range w.query(event.Query{}) {
			require.Equal(w.t, w.realm == event.Drill, r.Exercise)
			require.NotEqual(w.t, w.in(otherRealm(w.realm)).only(), r.Incident)
		}
		_, _, err := w.client.Incidents(w.t.Context(), event.IncidentQuery{}, 0, func(r event.IncidentRow) error {
			require.Equal(w.t, w.realm == event.Drill, r.Exercise)
			return nil
		})
		require.NoError(w.t, err)
		require.Empty(w.t, w.story(at, w.in(otherRealm(w.realm)).only()))
		require.NotEmpty(w.t, w.story(at, w.only()))
	}},
	{"replies that would be records", func(w *world, n string) {
		other := otherRealm(w.realm)
		for _, realm := range []event.Realm{w.realm, other} {
			for _, reply := range []string{"incident.accepted.grid-east.x." + n, "incident.escalated.protection-energy.grid-east.x." + n, "incident.acknowledged." + event.EscalationID(duty, at, inc, "1"), "rules.x" + n, "rejected.grid-east.x" + n, "timer.at.x" + n, "timer.due.x" + n} {
				for _, door := range []string{event.ReportSubject(at), event.AcknowledgeSubject(duty), event.ActSubject(duty), event.WatchSubject(duty), event.DoorQuery, event.DoorShow, event.DoorIncidents, event.DoorDesks} {
					w.hostile(door, realm.Wire(reply), []byte("x"))
				}
			}
		}
		for _, reply := range []string{"$JS.API.STREAM.PURGE." + other.Stream(event.StreamTimers), "$JS.API.CONSUMER.CREATE." + other.Stream(event.StreamLedger), "$KV." + other.Stream("POSITIONS") + ".router"} {
			w.hostile(event.DoorQuery, reply, []byte("{}"))
		}
	}},
}

// An answer sent to a door would be a request there, in the service's name.
func TestAnAnswerOpensNoDoorOfTheOtherRealm(t *testing.T) {
	t.Parallel()
	for _, realm := range []event.Realm{event.Drill, event.Real} {
		w := begin(t)
		one, other := w.in(realm).begun(), w.in(otherRealm(realm)).begun()
		before := other.quiet()
		for _, door := range []string{event.ReportSubject(at), event.AcknowledgeSubject(duty), event.ActSubject(duty), event.WatchSubject(duty), event.DoorQuery, event.DoorDesks} {
			one.hostile(event.ReportSubject(at), other.realm.Wire(door), []byte("{}"))
			one.hostile(event.DoorQuery, other.realm.Wire(door), []byte("{}"))
		}
		one.settled()
		require.Equal(t, before, other.quiet(), "an answer of the realm %q was taken by a door of the other", realm)
	}
}

func deskActOf(kind, n string) event.DeskAct {
	a := event.DeskAct{Kind: kind, ID: kind + "-" + n, Desk: duty, Incident: inc}
	switch kind {
	case event.KindAsked:
		due := nine.Add(48 * time.Hour)
		a.Items, a.DueAt = []string{"cause"}, &due
	case event.KindDetermined:
		a.Grade = event.Major
	case event.KindTransferred, event.KindConfirmed:
		a.To = "sh-cyberspace"
	}
	return a
}

// After any mix of requests in one realm the other is, byte for byte, what it
// was.
func TestNothingCrossesFromOneRealmToTheOther(t *testing.T) {
	t.Parallel()
	for _, realm := range []event.Realm{event.Drill, event.Real} {
		t.Run("requests of the realm "+string(realm), func(t *testing.T) {
			t.Parallel()
			w := begin(t)
			one, other := w.in(realm).begun(), w.in(otherRealm(realm)).begun()
			other.watch(other.client, "wall", 1)
			other.await("the screen is known", func() bool { return strings.Contains(other.everything(), `["protection-energy","wall",`) })
			before := other.quiet()
			random := rand.New(rand.NewPCG(1, uint64(len(realm))))
			mix := slices.Clone(drillRequests)
			random.Shuffle(len(mix), func(i, j int) { mix[i], mix[j] = mix[j], mix[i] })
			for i, r := range mix {
				r.do(one, fmt.Sprint(i))
			}
			one.settled()
			require.Equal(t, before, other.quiet(), "not one byte")
			for _, r := range drillRequests { // each for itself, to see which one it is
				r.do(one, "again-"+fmt.Sprintf("%x", sha256.Sum256([]byte(r.name)))[:8])
				one.settled()
				require.Equal(t, before, other.quiet(), r.name)
			}
			one.marked()
			other.marked()
		})
	}
}

// marked wants every record of the realm to show it.
func (w *world) marked() {
	w.t.Helper()
	drill := w.realm == event.Drill
	source, prefix := "urn:tocsin:ledger", ""
	if drill {
		source, prefix = "urn:tocsin:exercise", "exercise."
	}
	for _, name := range []string{event.StreamLedger, event.StreamRejected, event.StreamTimers} {
		s, err := w.js.Stream(w.t.Context(), w.realm.Stream(name))
		require.NoError(w.t, err)
		info, err := s.Info(w.t.Context(), jetstream.WithSubjectFilter(">"))
		require.NoError(w.t, err)
		for subject := range info.State.Subjects {
			m, err := s.GetLastMsgForSubject(w.t.Context(), subject)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				continue // a timer that was met
			}
			require.NoError(w.t, err)
			require.Equal(w.t, drill, strings.HasPrefix(subject, "exercise."), subject)
			if strings.Contains(subject, ".poison.x") {
				continue // none of ours wrote it
			}
			require.Equal(w.t, source, m.Header.Get("ce-source"), subject)
			require.True(w.t, strings.HasPrefix(m.Header.Get("ce-type"), "tocsin."+prefix), m.Header.Get("ce-type"))
			require.Equal(w.t, drill, strings.Contains(m.Header.Get("ce-type"), "exercise"))
			if name != event.StreamTimers { // what comes due keeps the name under which it was set
				require.Equal(w.t, subject, m.Header.Get("ce-id"))
			}
			if target := m.Header.Get("Nats-Schedule-Target"); target != "" {
				require.Equal(w.t, drill, strings.HasPrefix(target, "exercise."), target)
			}
			if strings.HasPrefix(subject, prefix+"incident.escalated.") {
				var e event.Escalated
				require.NoError(w.t, json.Unmarshal(m.Data, &e))
				require.Equal(w.t, drill, e.Exercise, subject)
				require.Contains(w.t, string(m.Data), fmt.Sprintf(`"exercise":%v`, drill))
			}
		}
	}
}

// What comes due in a drill, notices, reviews and reminders with it, stays there,
// and so does what comes due in earnest.
func TestTimersComeDueInTheirOwnRealm(t *testing.T) {
	t.Parallel()
	for _, realm := range []event.Realm{event.Drill, event.Real} {
		w := begin(t)
		one, other := w.in(realm).begun(), w.in(otherRealm(realm)).begun()
		one.set()
		other.set()
		before := other.everything()
		one.inject(realm.Wire("incident.accepted.grid-east.poison.x"), "no JSON")
		w.at("10:00")
		h := one.fireUntil("all are overdue", func(h *history) bool { return len(h.overdue) >= 4 && len(h.away) > 0 })
		for _, e := range h.escalated {
			require.Equal(t, realm == event.Drill, e.Exercise)
		}
		one.marked()
		// By the clock of both the other's targets have passed too, but nobody has
		// fired them: rows say overdue by the time, and no record does.
		other.settled()
		require.Empty(t, other.past.overdue)
		require.Empty(t, other.past.away)
		require.Equal(t, streamLines(before), streamLines(other.everything()))
	}
}

// streamLines leaves out what queries say, which depends on the time.
func streamLines(everything string) string {
	streams, _, _ := strings.Cut(everything, "\n{")
	return streams
}

// Poison and a flood in a drill do not stop the real path, and a drill that has
// lost its record is no reason to end.
func TestADrillCannotHoldUpTheRealPath(t *testing.T) {
	t.Parallel()
	w := begin(t)
	drill := w.in(event.Drill)
	for _, subject := range []string{"incident.accepted.grid-east.x.y", "incident.graded.grid-east.x.1", "incident.escalated.protection-energy.grid-east.x.1", "incident.acknowledged.protection-energy.grid-east.x.1", "incident.overdue.protection-energy.grid-east.x.1", "incident.away.protection-energy.1", "incident.reminded.grid-east.x.1", "incident.elapsed.grid-east.x.1", "incident.asked.protection-energy.grid-east.x.1", "rules.x", "timer.due.nonsense", "timer.due.escalation.x"} {
		drill.inject(event.Drill.Wire(subject), "no JSON")
	}
	const flood = 500
	for i := range flood {
		require.NoError(t, w.nc.Publish("exercise.report.grid-east", cloudEvent("initial", at, fmt.Sprint("f", i), "r1", onSite+grave)))
	}
	slowest := time.Duration(0)
	for i := range 20 {
		began := time.Now()
		w.report("initial", at, fmt.Sprint("real-", i), "r1", onSite+large)
		slowest = max(slowest, time.Since(began))
	}
	h := w.settled()
	require.Len(t, h.accepted, 20)
	require.Empty(t, h.unhandled)
	t.Logf("the slowest of 20 real receipts behind %d of a drill took %v", flood, slowest)
	require.Less(t, slowest, 10*time.Second)
	require.Len(t, w.query(event.Query{Desk: duty}), 20)
	exercise, err := w.js.Stream(t.Context(), "EXERCISE")
	require.NoError(t, err)
	drill.await("the drill is done too", func() bool {
		info, err := exercise.Info(t.Context(), jetstream.WithSubjectFilter("exercise.incident.graded.>"))
		require.NoError(t, err)
		return len(info.State.Subjects) == flood+1
	})

	// Somebody takes the drill's record away.
	require.NoError(t, w.js.DeleteStream(t.Context(), "EXERCISE"))
	require.NoError(t, w.js.DeleteStream(t.Context(), "EXERCISE_TIMERS"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- w.app.Wait(ctx) }()
	for i := range 5 {
		w.report("initial", at, fmt.Sprint("after-", i), "r1", onSite+large)
	}
	require.Len(t, w.settled().accepted, 25)
	cancel()
	require.NoError(t, <-ended, "nothing has ended")
}

// The clock of a drill starts with its first report. Its records carry it, the
// real ones do not; what is acknowledged leaves no timer.
func TestTheClockOfADrill(t *testing.T) {
	t.Parallel()
	const scale = 3600
	dir := t.TempDir()
	start := func() (real, drill *world) {
		w := beginIn(t, dir, func(c *app.Config) { c.Clock, c.TimeScale = clock.System{}, scale })
		return w.in(event.Real), w.in(event.Drill)
	}
	initial := func(w *world, incident string) *event.Receipt {
		now := time.Now().UTC().Format(time.RFC3339Nano)
		return w.report("initial", at, incident, "r1", fmt.Sprintf(`"discoveredAt":%q,%s%s`, now, onSite, large))
	}
	byDesk := func(w *world) time.Duration {
		a, err := w.client.Desks(t.Context())
		require.NoError(t, err)
		return a.Now.Sub(time.Now())
	}
	real, drill := start()
	time.Sleep(200 * time.Millisecond)
	require.InDelta(t, 0, byDesk(drill).Seconds(), 1, "before the first report it is the machine's")
	began := time.Now()
	r := initial(drill, "one")
	require.WithinDuration(t, began, *r.ReceivedAt, 2*time.Second)
	require.True(t, r.Exercise)
	require.False(t, initial(real, "one").Exercise)
	drill.await("an hour has passed", func() bool { return byDesk(drill) > time.Hour })
	require.InDelta(t, 0, byDesk(real).Seconds(), 1, "the real clock is the machine's")
	later := initial(drill, "two")
	require.Greater(t, later.ReceivedAt.Sub(time.Now()), 50*time.Minute)
	require.WithinDuration(t, time.Now(), *initial(real, "two").ReceivedAt, time.Second)

	// Nobody acknowledges the first two: overdue, not early, by the drill's clock.
	drill.await("they are overdue", func() bool { drill.read(); return len(drill.past.overdue) >= 4 })
	for _, o := range drill.past.overdue {
		require.False(t, o.At.Before(o.AcknowledgeBy))
		lateBy := o.At.Sub(o.AcknowledgeBy) / scale
		t.Logf("%s: %v of the machine late", o.Escalation, lateBy)
		require.Less(t, lateBy, 2*time.Second)
	}
	real.settled()
	require.Empty(t, real.past.overdue)
	for _, s := range real.past.records {
		require.WithinDuration(t, s.StoredAt, s.Time, 2*time.Second, s.Subject)
	}
	ahead := 0
	for _, s := range drill.past.records {
		if s.Time.Sub(s.StoredAt) > 30*time.Minute {
			ahead++
		}
	}
	require.Greater(t, ahead, 8, "its records carry its clock")
	for _, w := range []*world{real, drill} {
		w.settled()
		for _, r := range w.query(event.Query{Unacknowledged: true}) {
			require.Equal(t, event.StatusAccepted, w.ack(r.Escalation, "post").Status)
		}
	}
	drill.await("what is acknowledged leaves no timer", func() bool {
		for name := range drill.timers() {
			if strings.HasPrefix(name, "escalation.") {
				return false
			}
		}
		return true
	})
	initial(drill, "three") // its targets run while the server is away
	drill.settled()
	drill.await("its timers are set", func() bool {
		return drill.isSet("escalation."+event.EscalationID(duty, at, "three", "1")) || drill.past.overdue[event.EscalationID(duty, at, "three", "1")] != nil
	})
	before := drill.settled()
	n := len(before.overdue)
	real.end()
	drill.client.Close()

	// A restart sets the clock back. Nothing of the drill comes early by it.
	restarted := time.Now()
	timers := func(w *world) jetstream.Stream {
		s, err := w.js.Stream(t.Context(), w.realm.Stream(event.StreamTimers))
		require.NoError(t, err)
		return s
	}
	real, drill = start()
	require.InDelta(t, 0, byDesk(drill).Seconds(), 1, "a restart sets it back")
	drill.settled()
	require.GreaterOrEqual(t, len(drill.past.overdue), n)
	drill.await("what came early by the clock that was set back is set again", func() bool {
		m, err := timers(drill).GetLastMsgForSubject(t.Context(), "exercise.timer.at.escalation."+event.EscalationID(duty, at, "three", "1"))
		return err == nil && m.Time.After(restarted)
	})
	began = time.Now()
	initial(drill, "four")
	drill.await("the old and the new are overdue", func() bool {
		drill.read()
		for _, incident := range []string{"three", "four"} {
			for _, desk := range regional {
				if drill.past.overdue[event.EscalationID(desk, at, incident, "1")] == nil {
					return false
				}
			}
		}
		return true
	})
	t.Logf("after a restart all were overdue %v after the first report", time.Since(began))
	for _, o := range drill.past.overdue {
		require.False(t, o.At.Before(o.AcknowledgeBy), "none early")
	}
	real.settled()
	require.Empty(t, real.past.overdue)
}

// Drills at once with the real thing, under the same names: each has its own.
func TestBothRealmsAtOnceUnderTheSameNames(t *testing.T) {
	t.Parallel()
	w := begin(t)
	real, drill := w.in(event.Real), w.in(event.Drill)
	var wg sync.WaitGroup
	for _, one := range []*world{real, drill} {
		wg.Go(func() {
			for i := range 20 {
				raw := cloudEvent("initial", at, fmt.Sprint("same-", i), "r1", onSite+fmt.Sprintf(`"title":%q,`, "of "+string(one.realm))+large)
				if r, err := one.client.Report(t.Context(), at, raw); err != nil || r.Status != event.StatusAccepted {
					t.Error(r, err)
				}
			}
		})
	}
	wg.Wait()
	for _, one := range []*world{real, drill} {
		h := one.settled()
		require.Len(t, h.accepted, 20)
		rows := one.query(event.Query{})
		require.Len(t, rows, 40)
		for _, r := range rows {
			require.Equal(t, "of "+string(one.realm), r.Title)
			require.Equal(t, one.realm == event.Drill, r.Exercise)
		}
	}
}
