package client_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

func inRealm(t *testing.T, addr string, realm event.Realm) *client.Client {
	t.Helper()
	c, err := client.DialContext(t.Context(), realm, addr, waitLimit)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// A message sent in one realm cannot be received in the other.
func TestRealm_UsesOnlyItsSubjects(t *testing.T) {
	t.Parallel()
	nc, addr := startServer(t)
	real, drill := inRealm(t, addr, event.Real), inRealm(t, addr, event.Drill)
	for _, realm := range []event.Realm{event.Real, event.Drill} {
		name := string(realm)
		play(t, nc, realm.Wire("report.*"), func(*nats.Msg) any { return event.Receipt{Report: name} })
		play(t, nc, realm.Wire(api.EndpointQuery), func(*nats.Msg) any { return api.QueryAnswer{Rows: []api.EscalationRow{{Desk: name}}} })
		play(t, nc, realm.Wire(api.EndpointAct), func(*nats.Msg) any { return api.DeskActAnswer{Desk: name} })
		play(t, nc, realm.Wire(api.EndpointDesks), func(*nats.Msg) any { return api.DesksAnswer{Screens: []api.Screen{{Desk: name}}} })
	}
	for realm, c := range map[event.Realm]*client.Client{event.Real: real, event.Drill: drill} {
		want := string(realm)
		r, err := c.Report(t.Context(), "", raw("a"))
		require.NoError(t, err)
		require.Equal(t, want, r.Report)
		_, err = c.Query(t.Context(), api.Query{}, 0, func(r api.EscalationRow) error { require.Equal(t, want, r.Desk); return nil })
		require.NoError(t, err)
		a, err := c.Act(t.Context(), event.DeskAct{Desk: "hall"})
		require.NoError(t, err)
		require.Equal(t, want, a.Desk)
		d, err := c.Desks(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, d.Screens[0].Desk)
	}
}

// A retry is a repeat; a second call is a second act.
func TestAct_KeepsIDOverRetries(t *testing.T) {
	t.Parallel()
	nc, c := connect(t, waitLimit)
	var ids []string
	play(t, nc, api.ActSubject("hall"), func(m *nats.Msg) any {
		var a event.DeskAct
		_ = json.Unmarshal(m.Data, &a)
		ids = append(ids, a.ID)
		if len(ids) == 1 {
			return nil
		}
		return api.DeskActAnswer{Status: event.StatusAccepted, ID: a.ID}
	})
	for range 2 {
		_, err := c.Act(t.Context(), event.DeskAct{Kind: event.KindClosed, Desk: "hall"})
		require.NoError(t, err)
	}
	_, err := c.Act(t.Context(), event.DeskAct{Kind: event.KindClosed, Desk: "hall", ID: "mine"})
	require.NoError(t, err)
	heard()
	require.Len(t, ids, 4)
	require.Equal(t, ids[0], ids[1])
	require.NotEqual(t, ids[1], ids[2])
	require.True(t, event.IsToken(ids[0]), ids[0])
	require.Equal(t, "mine", ids[3])
}

func TestIncidents_ReadsAllPages(t *testing.T) {
	t.Parallel()
	nc, c := connect(t, waitLimit)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	play(t, nc, api.EndpointIncidents, func(m *nats.Msg) any {
		var q api.IncidentQuery
		_ = json.Unmarshal(m.Data, &q)
		switch {
		case q.Operator == "nobody":
			return api.IncidentAnswer{Errors: []fault.Detail{{Path: "$.operator", Message: "unknown"}}}
		case q.Cursor == "":
			return api.IncidentAnswer{Rows: []api.IncidentRow{{Incident: "a"}}, Next: "1", Now: now}
		}
		return api.IncidentAnswer{Rows: []api.IncidentRow{{Incident: "b"}}, Now: now.Add(time.Second)}
	})
	var got []string
	_, at, err := c.Incidents(t.Context(), api.IncidentQuery{}, 0, func(r api.IncidentRow) error { got = append(got, r.Incident); return nil })
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, got)
	require.Equal(t, now.Add(time.Second), at)
	cursor, _, err := c.Incidents(t.Context(), api.IncidentQuery{}, 1, func(api.IncidentRow) error { return nil })
	require.NoError(t, err)
	require.Equal(t, "1", cursor)
	_, _, err = c.Incidents(t.Context(), api.IncidentQuery{Operator: "nobody"}, 0, nil)
	require.Equal(t, "$.operator", fault.DetailsOf(err)[0].Path)
}

// The state of a watched row is correct whatever was stored, in either realm.
func TestWatch_ShowsOutcome(t *testing.T) {
	t.Parallel()
	for _, realm := range []event.Realm{event.Real, event.Drill} {
		t.Run(realm.Stream(event.StreamLedger), func(t *testing.T) {
			t.Parallel()
			nc, addr := startServer(t)
			c := inRealm(t, addr, realm)
			told := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			by := told.Add(30 * time.Minute)
			put := ledgerOf(t, nc, realm)
			for _, incident := range []string{"quiet", "taken", "slow", "raced", "passed"} {
				id := event.EscalationID("hall", "grid-east", incident, "1")
				put("incident.escalated."+id, event.Escalated{ID: id, Desk: "hall", Incident: incident, ReportedAt: told, AcknowledgeBy: &by, Duties: []event.Duty{}})
				switch incident {
				case "taken":
					put(event.AcknowledgedSubject(id), event.Acknowledgement{Escalation: id, Officer: "x", At: by})
				case "slow":
					put(event.AcknowledgedSubject(id), event.Acknowledgement{Escalation: id, Officer: "x", At: by.Add(time.Second)})
				case "raced": // stamped in time, stored after the moment had been recorded
					put(event.OverdueSubject(id), event.Overdue{Escalation: id, At: by})
					put(event.AcknowledgedSubject(id), event.Acknowledgement{Escalation: id, Officer: "x", At: by.Add(-time.Millisecond)})
				case "passed":
					put(event.OverdueSubject(id), event.Overdue{Escalation: id, At: by})
				}
			}
			got := map[string]string{}
			early := func() time.Time { return told } // a clock behind the server's: the ledger counts
			err := c.Watch(t.Context(), "hall", "wall", 5, early, func(_ *event.Escalated, r api.EscalationRow) error {
				got[r.Incident] = r.State
				return nil
			})
			require.NoError(t, err)
			require.Equal(t, map[string]string{
				"quiet": api.StateOpen, "taken": api.StateAcknowledged, "slow": api.StateAcknowledgedLate,
				"raced": api.StateAcknowledgedLate, "passed": api.StateOverdue,
			}, got)
		})
	}
}

// A screen shows an escalation that waited for the disk with the lateness with which it
// was stored; in a drill its own stamps count.
func TestWatch_ShowsHowLateAnEscalationWasStored(t *testing.T) {
	t.Parallel()
	for _, realm := range []event.Realm{event.Real, event.Drill} {
		nc, addr := startServer(t)
		c := inRealm(t, addr, realm)
		put := ledgerOf(t, nc, realm)
		told := time.Now().Add(-time.Minute).UTC()
		for incident, due := range map[string]time.Time{"waited": told.Add(time.Second), "in-time": told.Add(time.Hour)} {
			id := event.EscalationID("hall", "grid-east", incident, "1")
			put("incident.escalated."+id, event.Escalated{ID: id, Desk: "hall", Incident: incident, ReportedAt: told, DueAt: &due, Duties: []event.Duty{{DueAt: &due}}})
		}
		require.NoError(t, c.Watch(t.Context(), "hall", "wall", 2, time.Now, func(e *event.Escalated, r api.EscalationRow) error {
			late := realm == event.Real && r.Incident == "waited"
			require.Equal(t, []bool{late, late, late, late}, []bool{e.Late, r.Late, r.Duties[0].LateBy != nil, r.ReportedAt.After(*r.DueAt)}, r.Incident)
			return nil
		}))
	}
}

// ledgerOf creates a realm's stream and plays the endpoints of a watch; it returns a
// function that writes to the stream.
func ledgerOf(t *testing.T, nc *nats.Conn, realm event.Realm) (put func(subject string, v any)) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	name := realm.Stream(event.StreamLedger)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{realm.Wire("incident.>")}, AllowDirect: true})
	require.NoError(t, err)
	play(t, nc, realm.Wire(api.EndpointQuery), func(*nats.Msg) any { return api.QueryAnswer{} })
	play(t, nc, realm.Wire(api.WatchSubject("hall")), func(*nats.Msg) any {
		_, err := js.CreateConsumer(context.Background(), name, jetstream.ConsumerConfig{
			Durable: "wall", FilterSubject: realm.Wire(event.EscalatedTo("hall")), AckPolicy: jetstream.AckExplicitPolicy,
		})
		if err != nil {
			t.Error(err)
		}
		return api.WatchAnswer{Stream: name, Consumer: "wall"}
	})
	play(t, nc, realm.Wire("desk.hall.outcome"), func(m *nats.Msg) any {
		var q api.OutcomeRequest
		_ = json.Unmarshal(m.Data, &q)
		var a api.OutcomeAnswer
		if s, err := stream.GetLastMsgForSubject(context.Background(), realm.Wire(event.AcknowledgedSubject(q.Escalation))); err == nil {
			_ = json.Unmarshal(s.Data, &a.Acknowledged)
		}
		if s, err := stream.GetLastMsgForSubject(context.Background(), realm.Wire(event.OverdueSubject(q.Escalation))); err == nil {
			_ = json.Unmarshal(s.Data, &a.Overdue)
		}
		return a
	})
	return func(subject string, v any) {
		data, err := json.Marshal(v)
		require.NoError(t, err)
		_, err = js.Publish(t.Context(), realm.Wire(subject), data)
		require.NoError(t, err)
	}
}

// A server that confuses the realms is not trusted.
func TestWatch_RefusesOtherRealm(t *testing.T) {
	t.Parallel()
	nc, addr := startServer(t)
	c := inRealm(t, addr, event.Drill)
	play(t, nc, event.Drill.Wire(api.EndpointQuery), func(*nats.Msg) any { return api.QueryAnswer{} })
	play(t, nc, event.Drill.Wire(api.WatchSubject("hall")), func(*nats.Msg) any {
		return api.WatchAnswer{Stream: event.StreamLedger, Consumer: "wall"}
	})
	err := c.Watch(t.Context(), "hall", "wall", 1, time.Now, nil)
	require.ErrorContains(t, err, "named the stream LEDGER, not EXERCISE")
}

// Nothing is missed between the list and the first reminder, and a message that is not a
// reminder does not end the watch.
func TestReminders(t *testing.T) {
	t.Parallel()
	nc, addr := startServer(t)
	c := inRealm(t, addr, event.Drill)
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	subject := event.Drill.Wire(api.ReminderOf("grid-east"))
	var got []string
	err := c.Reminders(ctx, "grid-east", func() error {
		require.NoError(t, nc.Publish(subject, []byte("noise")))
		require.NoError(t, nc.Publish(api.ReminderOf("grid-east"), []byte(`{"id":"of the other realm"}`)))
		return nc.Publish(subject, []byte(`{"id":"first"}`))
	}, func(r event.Reminder) error {
		got = append(got, r.ID)
		cancel()
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []string{"first"}, got)
}
