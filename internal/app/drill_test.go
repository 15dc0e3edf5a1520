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
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// in is the same product seen from one of its realms.
func (w *world) in(realm event.Realm) *world {
	w.t.Helper()
	c, err := client.DialContext(w.t.Context(), realm, w.app.NATSAddr(), 20*time.Second)
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
		s := w.stream(name)
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
	for _, r := range w.query(api.Query{}) {
		line(r)
	}
	_, _, err := w.client.Incidents(ctx, api.IncidentQuery{}, 0, func(r api.IncidentRow) error {
		line(r)
		return w.client.Show(ctx, r.Operator, r.Incident, func(e api.StoryEntry) error { line(e); return nil })
	})
	require.NoError(w.t, err)
	desks, err := w.client.Desks(ctx)
	require.NoError(w.t, err)
	for _, s := range desks.Screens {
		line([]string{s.Desk, s.Client, s.Next})
	}
	return b.String()
}

// atRest returns everything once the services have handled all that is stored: a mark
// comes after it.
func (w *world) atRest() string {
	w.t.Helper()
	w.settled()
	w.mark()
	w.settled()
	return w.everything()
}

// withPast gives a realm a past: one incident that both realms have, and one that
// only it has.
func (w *world) withPast() *world {
	w.report("initial", at, w.sharedIncident(), "r1", onSite+`"title":"调度中断",`+large)
	w.report("initial", at, w.ownIncident(), "r1", onSite+large)
	w.settled()
	return w
}

// sharedIncident is the incident that every request speaks of: a drill may not speak of a
// real one.
func (w *world) sharedIncident() string {
	if w.realm == event.Drill {
		return inc + "-drill"
	}
	return inc
}

func (w *world) ownIncident() string { return "only-" + string(w.realm) }

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

// replyTo sends a request to an endpoint of the realm with a reply subject that names
// what it should not. It returns when a second request, behind it, is answered.
func (w *world) replyTo(reply, endpoint string, data []byte) {
	w.t.Helper()
	require.NoError(w.t, w.nc.PublishRequest(w.realm.Wire(endpoint), reply, data))
	_, err := w.nc.Request(w.realm.Wire(endpoint), data, waitLimit)
	require.NoError(w.t, err)
}

// requests is every kind of request of a realm.
var drillRequests = []drillRequest{
	{"report, structured", func(w *world, n string) {
		w.report("initial", at, "s-"+n, "r1", onSite+grave)
	}},
	{"report, binary", func(w *world, n string) {
		m := nats.NewMsg(w.realm.Wire(api.ReportSubject(at)))
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
		defer sub.Unsubscribe() // the connection goes with it
		require.NoError(w.t, w.nc.Publish(w.realm.Wire(api.ReportSubject(at)), cloudEvent("initial", at, "p-"+n, "r1", onSite+large)))
		m, err := sub.NextMsg(10 * time.Second)
		require.NoError(w.t, err)
		require.Equal(w.t, event.StatusAccepted, w.drillReceipts(m.Data)[0].Status)
	}},
	{"the same again, and a conflict", func(w *world, n string) {
		require.Equal(w.t, event.StatusDuplicate, w.send(at, cloudEvent("initial", at, w.ownIncident(), "r1", onSite+large)).Status)
		require.Equal(w.t, event.StatusConflict, w.send(at, cloudEvent("initial", at, w.ownIncident(), "r1", onSite+grave+`,"title":"`+n+`"`)).Status)
	}},
	{"progress of the incident of both", func(w *world, n string) {
		w.report("progress", at, w.sharedIncident(), "p"+n, `"cause":"`+n+`"`)
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
		batch := slices.Concat([]byte("["), cloudEvent("initial", at, "hb-"+n, "r1", onSite+large), []byte(","), cloudEvent("progress", at, w.sharedIncident(), "hb"+n, `"plan":"x"`), []byte(`,{"id":"bad`+n+`"}]`))
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
		other := event.EscalationID(duty, at, w.in(otherRealm(w.realm)).ownIncident(), "1")
		for _, id := range []string{other, "exercise." + other, "incident.escalated." + other, "exercise.incident.escalated." + other} {
			a, err := w.client.Acknowledge(w.t.Context(), duty, id, "post")
			require.NoError(w.t, err)
			require.Equal(w.t, event.StatusRejected, a.Status, id)
		}
		for _, kind := range []string{event.KindAsked, event.KindDetermined, event.KindTransferred, event.KindConfirmed, event.KindClosed} {
			a := deskActOf(kind, w.sharedIncident(), n)
			a.Incident = w.in(otherRealm(w.realm)).ownIncident()
			w.drillAct(a, event.StatusRejected)
		}
	}},
	{"acts of a desk", func(w *world, n string) {
		for _, kind := range []string{event.KindAsked, event.KindDetermined, event.KindTransferred} {
			w.drillAct(deskActOf(kind, w.sharedIncident(), n), event.StatusAccepted)
		}
		w.drillAct(deskActOf(event.KindConfirmed, w.sharedIncident(), n), event.StatusRejected) // nothing is held here
		for _, r := range w.query(api.Query{Desk: duty, Unacknowledged: true}) {
			w.ack(r.Escalation, "post")
		}
		w.settled()
		for _, r := range w.query(api.Query{Desk: duty, Unacknowledged: true}) {
			w.ack(r.Escalation, "post")
		}
		w.drillAct(deskActOf(event.KindClosed, w.sharedIncident(), n), event.StatusAccepted)
	}},
	{"watch", func(w *world, n string) {
		w.report("initial", at, "v-"+n, "r1", onSite+large)
		w.settled()
		shown := w.watch(w.client, "screen-"+n, 1)
		require.Len(w.t, shown, 1)
	}},
	{"query, show, incidents, desks", func(w *world, n string) {
		for _, r := range w.query(api.Query{}) {
			require.Equal(w.t, w.realm == event.Drill, r.Exercise)
			require.NotEqual(w.t, w.in(otherRealm(w.realm)).ownIncident(), r.Incident)
		}
		_, _, err := w.client.Incidents(w.t.Context(), api.IncidentQuery{}, 0, func(r api.IncidentRow) error {
			require.Equal(w.t, w.realm == event.Drill, r.Exercise)
			return nil
		})
		require.NoError(w.t, err)
		require.Empty(w.t, w.story(at, w.in(otherRealm(w.realm)).ownIncident()))
		require.NotEmpty(w.t, w.story(at, w.ownIncident()))
	}},
	{"replies that would be records", func(w *world, n string) {
		other := otherRealm(w.realm)
		for _, realm := range []event.Realm{w.realm, other} {
			for _, reply := range []string{"incident.accepted.grid-east.x." + n, "incident.escalated.protection-energy.grid-east.x." + n, "incident.acknowledged." + event.EscalationID(duty, at, w.sharedIncident(), "1"), "rules.x" + n, "rejected.grid-east.x" + n, "timer.at.x" + n, "timer.due.x" + n} {
				for _, endpoint := range []string{api.ReportSubject(at), api.AcknowledgeSubject(duty), api.ActSubject(duty), api.WatchSubject(duty), api.EndpointQuery, api.EndpointShow, api.EndpointIncidents, api.EndpointDesks} {
					w.replyTo(realm.Wire(reply), endpoint, []byte("x"))
				}
			}
		}
		for _, reply := range []string{"$JS.API.STREAM.PURGE." + other.Stream(event.StreamTimers), "$JS.API.CONSUMER.CREATE." + other.Stream(event.StreamLedger), "$KV." + other.Stream("POSITIONS") + ".router"} {
			w.replyTo(reply, api.EndpointQuery, []byte("{}"))
		}
	}},
}

// An answer that is sent to an endpoint would be a request there, in the service's name.
func TestReplySubject_ReachesNoEndpointOfTheOtherRealm(t *testing.T) {
	t.Parallel()
	for _, realm := range []event.Realm{event.Drill, event.Real} {
		w := startWorld(t)
		one, other := w.in(realm).withPast(), w.in(otherRealm(realm)).withPast()
		before := other.atRest()
		for _, endpoint := range []string{api.ReportSubject(at), api.AcknowledgeSubject(duty), api.ActSubject(duty), api.WatchSubject(duty), api.EndpointQuery, api.EndpointDesks} {
			for _, asked := range []string{api.ReportSubject(at), api.EndpointQuery} {
				one.replyTo(other.realm.Wire(endpoint), asked, []byte("{}"))
			}
		}
		one.atRest()
		require.Equal(t, before, other.everything(), "an answer of the realm %q was taken by the other", realm)
	}
}

func deskActOf(kind, incident, n string) event.DeskAct {
	a := event.DeskAct{Kind: kind, ID: kind + "-" + n, Desk: duty, Incident: incident}
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
func TestRealms_ShareNothing(t *testing.T) {
	t.Parallel()
	for _, realm := range []event.Realm{event.Drill, event.Real} {
		t.Run("requests of the realm "+string(realm), func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			one, other := w.in(realm).withPast(), w.in(otherRealm(realm)).withPast()
			other.watch(other.client, "wall", 1)
			other.await("the screen is known", func() bool { return strings.Contains(other.everything(), `["protection-energy","wall",`) })
			before := other.atRest()
			random := rand.New(rand.NewPCG(1, uint64(len(realm))))
			mix := slices.Clone(drillRequests)
			random.Shuffle(len(mix), func(i, j int) { mix[i], mix[j] = mix[j], mix[i] })
			for i, r := range mix {
				r.do(one, fmt.Sprint(i))
				one.settled()
				require.Equal(t, before, other.everything(), r.name)
			}
			one.atRest()
			require.Equal(t, before, other.everything(), "what followed from them")
			one.checkExerciseMarks()
			other.checkExerciseMarks()
		})
	}
}

// checkExerciseMarks wants every record of the realm to show it.
func (w *world) checkExerciseMarks() {
	w.t.Helper()
	drill := w.realm == event.Drill
	source, prefix := "urn:tocsin:ledger", ""
	if drill {
		source, prefix = "urn:tocsin:exercise", "exercise."
	}
	for _, name := range []string{event.StreamLedger, event.StreamRejected, event.StreamTimers} {
		s := w.stream(name)
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
func TestTimers_ComeDueInTheirOwnRealm(t *testing.T) {
	t.Parallel()
	for _, realm := range []event.Realm{event.Drill, event.Real} {
		w := startWorld(t)
		one, other := w.in(realm).withPast(), w.in(otherRealm(realm)).withPast()
		one.awaitTimers()
		other.awaitTimers()
		w.at("10:00")
		// Given up at this time, it is told to a desk that has been away for an hour.
		one.inject(realm.Wire("incident.accepted.grid-east.poison.x"), "no JSON")
		h := one.fireUntil("all are overdue", func(h *history) bool { return len(h.overdue) >= 4 && len(h.away) > 0 })
		one.checkExerciseMarks()
		o := other.fireUntil("the other's too, by the clock of both", func(h *history) bool { return len(h.overdue) >= 4 })
		for w, h := range map[*world]*history{one: h, other: o} {
			for _, e := range h.escalated {
				require.Equal(t, w.realm == event.Drill, e.Exercise)
			}
			for id := range h.overdue {
				require.Contains(t, h.escalated, id)
			}
		}
	}
}

// Poison and a flood in a drill do not stop the real path, and a drill that has
// lost its record is no reason to end.
func TestDrill_CannotStopTheRealPath(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	drill := w.in(event.Drill)
	for _, subject := range []string{"incident.accepted.grid-east.x.y", "incident.graded.grid-east.x.1", "incident.escalated.protection-energy.grid-east.x.1", "incident.acknowledged.protection-energy.grid-east.x.1", "incident.overdue.protection-energy.grid-east.x.1", "incident.away.protection-energy.1", "incident.reminded.grid-east.x.1", "incident.elapsed.grid-east.x.1", "incident.asked.protection-energy.grid-east.x.1", "rules.x", "timer.due.nonsense", "timer.due.escalation.x"} {
		drill.inject(event.Drill.Wire(subject), "no JSON")
	}
	const flood = 200
	for i := range flood {
		require.NoError(t, w.nc.Publish("exercise.report.grid-east", cloudEvent("initial", at, fmt.Sprint("f", i), "r1", onSite+grave)))
	}
	for i := range 20 {
		w.report("initial", at, fmt.Sprint("real-", i), "r1", onSite+large)
	}
	h := w.settled()
	require.Len(t, h.accepted, 20)
	require.Empty(t, h.unhandled)
	require.Len(t, w.query(api.Query{Desk: duty}), 20)
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
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
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
func TestDrillClock_StartsWithTheFirstReport(t *testing.T) {
	t.Parallel()
	const scale = 3600
	initial := func(w *world, incident string) *event.Receipt {
		now := time.Now().UTC().Format(time.RFC3339Nano)
		return w.report("initial", at, incident, "r1", fmt.Sprintf(`"discoveredAt":%q,%s%s`, now, onSite, large))
	}
	isMachine := func(w *world, what string) {
		t.Helper()
		began := time.Now()
		requireBetween(t, began, w.drillNow(), what)
	}
	drill := drilled(t, t.TempDir(), scaled(scale))
	real := drill.in(event.Real)
	isMachine(drill, "before the first report it is the machine's")
	began := time.Now()
	r := initial(drill, "one")
	requireBetween(t, began, *r.ReceivedAt, "the first report")
	require.True(t, r.Exercise)
	require.False(t, initial(real, "one").Exercise)
	drill.await("an hour has passed", func() bool { return time.Until(drill.drillNow()) > time.Hour })
	isMachine(real, "the real clock is the machine's")
	later := initial(drill, "two")
	require.Greater(t, time.Until(*later.ReceivedAt), 50*time.Minute)
	began = time.Now()
	requireBetween(t, began, *initial(real, "two").ReceivedAt, "a real report")

	// Nobody acknowledges the first two: overdue, not early, by the drill's clock. By the
	// machine's it would take half an hour.
	drill.await("they are overdue", func() bool { drill.read(); return len(drill.past.overdue) >= 4 })
	for _, o := range drill.past.overdue {
		require.False(t, o.At.Before(o.AcknowledgeBy))
	}
	real.settled()
	require.Empty(t, real.past.overdue)
	for _, s := range real.past.records {
		require.False(t, s.Time.After(s.StoredAt), "%s carries the machine's time", s.Subject)
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
		for _, r := range w.query(api.Query{Unacknowledged: true}) {
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
}

// drilled is the product with a clock of drills, and its drill.
func drilled(t *testing.T, dir string, change func(*app.Config)) *world {
	t.Helper()
	return startWorldIn(t, dir, func(c *app.Config) {
		c.Clock = clock.System{}
		change(c)
	}).in(event.Drill)
}

func scaled(n int) func(*app.Config) { return func(c *app.Config) { c.TimeScale = n } }

// initialNow reports an incident that was discovered now, by the drill's clock.
func (w *world) initialNow(incident string) *event.Receipt {
	w.t.Helper()
	return w.report("initial", at, incident, "r1", fmt.Sprintf(`"discoveredAt":%q,%s%s`, w.drillNow().Format(time.RFC3339Nano), onSite, large))
}

// drillNow is what the clocks of the process with deadline say, ledgerNow that
// with the ledger.
func (w *world) drillNow() time.Time {
	w.t.Helper()
	a, err := w.client.Desks(w.t.Context())
	require.NoError(w.t, err)
	return a.Now
}

func (w *world) ledgerNow() time.Time {
	w.t.Helper()
	reply, err := w.nc.Request(w.realm.Wire(api.EndpointIncidents), []byte("{}"), waitLimit)
	require.NoError(w.t, err)
	var a api.IncidentAnswer
	require.NoError(w.t, json.Unmarshal(reply.Data, &a))
	require.Empty(w.t, a.Errors)
	return a.Now
}

// latest is the latest stamp of the first n records.
func (h *history) latest(n int) (latest time.Time) {
	for _, s := range h.records[:n] {
		if s.Time.After(latest) {
			latest = s.Time
		}
	}
	return latest
}

// lastBefore is the last record of an incident that was stored before a time: an
// alarm may have come after all that a test waited for.
func (w *world) lastBefore(at time.Time) (last event.Stored) {
	w.t.Helper()
	w.read()
	for _, s := range w.past.records {
		if strings.HasPrefix(s.Subject, "incident.") && s.StoredAt.Before(at) {
			last = s
		}
	}
	require.NotZero(w.t, last.Sequence)
	return last
}

// requireRunsFrom fails unless a clock that is asked now has run at the pace since the anchor
// was stored.
func requireRunsFrom(t testing.TB, anchor event.Stored, pace int, now func() time.Time, what string) (told time.Time) {
	t.Helper()
	shows := func() time.Time {
		return anchor.Time.Add(clock.System{}.Now().Sub(anchor.StoredAt) * time.Duration(pace))
	}
	least := shows()
	told = now()
	most := shows()
	require.False(t, told.Before(least), "%s: %v is before %v", what, told, least)
	require.False(t, told.After(most), "%s: %v is after %v", what, told, most)
	return told
}

// awaitOverdue waits until the targets of an incident have passed, and wants none to be
// noticed early.
func (w *world) awaitOverdue(incident string) {
	w.t.Helper()
	w.await(incident+" is overdue", func() bool {
		w.read()
		for _, desk := range regional {
			if w.past.overdue[event.EscalationID(desk, at, incident, "1")] == nil {
				return false
			}
		}
		return true
	})
	for _, desk := range regional {
		o := w.past.overdue[event.EscalationID(desk, at, incident, "1")]
		require.False(w.t, o.At.Before(o.AcknowledgeBy), "not early")
	}
}

// A fast drill goes on over restarts, and over changes of its pace: nothing is stamped
// before what was stored before, and timers come at their time. One that was left as it
// was set at the pace before would come early, or after half an hour.
func TestDrill_ResumesAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := drilled(t, dir, scaled(3600))
	began := time.Now()
	requireBetween(t, began, *w.initialNow("0").ReceivedAt, "the first report")
	told := w.settled().told(w.past.last(t, at, "0"), duty).ReportedAt
	for i, pace := range []int{3600, 900, 1, 3600} {
		name := fmt.Sprint(i + 1)
		w.initialNow(name)
		w.settled()
		stopped, before := w.past, len(w.past.records)
		w.app.Stop() // its clients are still there
		ended := time.Now()
		w = drilled(t, dir, scaled(pace))
		last := w.lastBefore(ended)
		there := requireRunsFrom(t, last, pace, w.drillNow, "the time away has passed, at the new pace")
		require.True(t, there.After(stopped.latest(before)), "it goes on")
		for _, desk := range regional {
			id := event.EscalationID(desk, at, fmt.Sprint(i), "1")
			require.Equal(t, event.StatusAccepted, w.ack(id, "post").Status)
		}
		w.settled()
		ack := w.past.acked[event.EscalationID(duty, at, fmt.Sprint(i), "1")]
		require.True(t, ack.At.After(told), "told %v, acknowledged %v", told, ack.At)
		if pace > 1 {
			w.awaitOverdue(name)
		}
		told = w.settled().told(w.past.last(t, at, name), duty).ReportedAt
		for _, s := range w.past.records[before:] {
			require.True(t, s.Time.After(stopped.latest(before)), "%s is stamped before what was stored before the restart", s.Subject)
		}
	}
	for id, a := range w.past.acked {
		require.True(t, a.At.After(w.past.escalated[id].ReportedAt), id)
	}
}

// A new drill begins at the machine's time though one was running, and goes on
// over a restart in its turn. What the old one left open comes when the new one
// gets there.
func TestDrill_NewDrillStartsAtTheMachinesTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := drilled(t, dir, scaled(3600))
	w.initialNow("0")
	w.await("it is two hours on", func() bool { return time.Until(w.drillNow()) > 2*time.Hour })
	w.initialNow("old")
	old := w.settled().told(w.past.last(t, at, "old"), duty)
	w.shutdown()
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "exercise-index"))) // it is made again from both drills
	logged, seen := observer.New(zap.ErrorLevel)
	w = drilled(t, dir, func(c *app.Config) { c.TimeScale, c.NewDrill, c.Log = 3600, true, zap.New(logged) })
	for range 3 {
		began := time.Now()
		requireBetween(t, began, w.drillNow(), "it waits for its first report")
		requireBetween(t, began, w.ledgerNow(), "it waits for its first report")
	}
	require.Eventually(t, func() bool {
		w.read() // the old drill may have come to the target before it ended
		return w.past.overdue[old.ID] != nil || w.isSet("escalation."+old.ID)
	}, 30*time.Second, 10*time.Millisecond)
	began := time.Now()
	requireBetween(t, began, *w.initialNow("new").ReceivedAt, "the first report of the new one")
	w.awaitOverdue("new")
	w.awaitOverdue("old")
	w.settled()
	require.Empty(t, loggedSkews(seen, time.Minute))
	w.app.Stop()
	ended := time.Now()
	w = drilled(t, dir, scaled(3600))
	requireRunsFrom(t, w.lastBefore(ended), 3600, w.drillNow, "the new one goes on")
}

// Two processes have one clock, whichever of them begins again.
func TestDrillClock_IsTheSameInTwoProcesses(t *testing.T) {
	t.Parallel()
	const pace = 3600
	url, monitor := startOutsideNATS(t, true)
	logged, seen := observer.New(zap.InfoLevel)
	part := func(roles ...string) *world {
		return drilled(t, t.TempDir(), func(c *app.Config) {
			c.NATS, c.Monitor, c.Roles, c.TimeScale, c.Log = url, monitor, roles, pace, zap.New(logged)
		})
	}
	clocks := func() *world { return part("deadline", "router") }
	others := func() *world { return part("intake", "classifier", "desk", "ledger") }
	a, b := clocks(), others()
	anchor := func() event.Stored { // of the process that began last
		t.Helper()
		b.read()
		all := seen.FilterMessageSnippet("drill resumed").All()
		last := all[len(all)-1].ContextMap()["lastRecord"].(time.Time)
		for _, s := range slices.Backward(b.past.records) { // several may have one stamp
			if s.Time.Equal(last) {
				return s
			}
		}
		require.Fail(t, "the anchor is no record")
		return event.Stored{}
	}
	rise := func(incident string) {
		t.Helper()
		since := b.drillNow().Add(-5 * time.Minute)
		stamp := since.Format(time.RFC3339Nano)
		b.report("initial", at, incident, "r1", fmt.Sprintf(`"discoveredAt":%q,%s"facts":{"outage":[{"scope":"overall","since":%q}]}`, stamp, onSite, stamp))
		b.await("it is major", func() bool {
			b.read()
			revisions := b.past.graded[at+"/"+incident]
			return len(revisions) > 0 && revisions[len(revisions)-1].Grade >= event.Major
		})
	}
	rise("0")
	first := b.past.records[slices.IndexFunc(b.past.records, func(s event.Stored) bool {
		return event.ParseSubject(s.Subject).Kind == event.KindAccepted
	})]
	requireRunsFrom(t, first, pace, a.drillNow, "the clocks began with the first report")
	requireRunsFrom(t, first, pace, b.ledgerNow, "the others began with the first report")
	a.shutdown()
	a = clocks()
	requireRunsFrom(t, anchor(), pace, a.drillNow, "the clocks began again")
	requireRunsFrom(t, first, pace, b.ledgerNow, "the others went on")
	rise("1")
	b.shutdown()
	past := b.past
	b = others()
	b.past = past
	requireRunsFrom(t, anchor(), pace, b.ledgerNow, "the others began again")
	rise("2")
	require.Empty(t, loggedSkews(seen, time.Minute))
}

// loggedSkews returns by how much clocks were said to disagree, where it is at least so much.
func loggedSkews(seen *observer.ObservedLogs, least time.Duration) (by []time.Duration) {
	for _, e := range seen.FilterMessage("our clock differs from the engine's").All() {
		if d, ok := e.ContextMap()["by"].(time.Duration); ok && d.Abs() >= least {
			by = append(by, d)
		}
	}
	return by
}

// skewedClock is the clock of a machine whose clock is wrong.
type skewedClock time.Duration

func (by skewedClock) Now() time.Time { return clock.System{}.Now().Add(time.Duration(by)) }

// That a clock is wrong is said, and of a drill's that it is fast is not.
func TestClockSkew_IsLogged(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		clock clock.Clock
		pace  int
		realm event.Realm
		by    time.Duration
	}{
		"right":       {clock.System{}, 1, event.Real, 0},
		"behind":      {skewedClock(-3 * time.Second), 1, event.Real, 3 * time.Second},
		"ahead":       {skewedClock(3 * time.Second), 1, event.Real, -3 * time.Second},
		"fast":        {clock.System{}, 3600, event.Drill, 0},
		"hand-driven": {clock.NewManual(nine), 0, event.Real, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logged, seen := observer.New(zap.ErrorLevel)
			w := startWorldIn(t, t.TempDir(), func(c *app.Config) {
				c.Clock, c.TimeScale, c.Log = row.clock, row.pace, zap.New(logged)
			}).in(row.realm)
			for i := range 3 {
				w.report("initial", at, fmt.Sprint(i), "r1", onSite+large)
			}
			w.settled()
			w.ledgerNow() // what is stored is indexed
			if row.by == 0 {
				require.Empty(t, loggedSkews(seen, time.Minute))
				return
			}
			var said []time.Duration
			w.await("it is said", func() bool { said = loggedSkews(seen, time.Second); return len(said) > 0 })
			require.Equal(t, row.by < 0, said[0] < 0)
			require.LessOrEqual(t, said[0].Abs(), row.by.Abs(), "less by as much as the question took")
		})
	}
}

// A real incident may have the name of a drill's, and each stays what it is; from
// then on a drill may not speak of it.
func TestRealms_SameIncidentName(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	real, drill := w.in(event.Real), w.in(event.Drill)
	for _, one := range []*world{drill, real} {
		for i := range 5 {
			one.report("initial", at, fmt.Sprint("same-", i), "r1", onSite+fmt.Sprintf(`"title":%q,`, "of "+string(one.realm))+large)
		}
	}
	for _, one := range []*world{real, drill} {
		h := one.settled()
		require.Len(t, h.accepted, 5)
		rows := one.query(api.Query{})
		require.Len(t, rows, 10)
		for _, r := range rows {
			require.Equal(t, "of "+string(one.realm), r.Title)
			require.Equal(t, one.realm == event.Drill, r.Exercise)
		}
	}
	r := drill.send(at, cloudEvent("progress", at, "same-0", "r2", `"cause":"x"`))
	require.Equal(t, event.StatusRejected, r.Status)
	require.Equal(t, "$.subject", r.Errors[0].Path)
	r = real.send(at, cloudEvent("progress", at, "same-0", "r2", `"cause":"x"`))
	require.Equal(t, event.StatusAccepted, r.Status)
}
