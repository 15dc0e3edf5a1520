package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
)

// dueIn is a report of the clinic whose statutory limit ends at the given time,
// and with it the house's target for the desk: four hours after a discovery.
func dueIn(i int, due time.Time) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","type":%q,"source":%q,"id":"r1","subject":"due-%d","data":{
		"facilities":["records"],"discoveredAt":%q,"containsNoStateSecrets":true,"facts":{"personalInformationPersons":1000000}}}`,
		event.TypeInitial, event.SourceOf("city-clinic"), i, due.Add(-4*time.Hour).Format(time.RFC3339Nano))
}

// overdueOf reads every overdue record, with its stamp in the ledger.
func overdueOf(t *testing.T, url string) (out []event.Stored) {
	t.Helper()
	nc, err := nats.Connect(url)
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	cons, err := js.OrderedConsumer(t.Context(), event.StreamLedger, jetstream.OrderedConsumerConfig{FilterSubjects: []string{event.AllOverdue}})
	require.NoError(t, err)
	info, err := cons.Info(t.Context())
	require.NoError(t, err)
	if info.NumPending == 0 {
		return nil
	}
	batch, err := cons.Fetch(int(info.NumPending), jetstream.FetchMaxWait(time.Minute))
	require.NoError(t, err)
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		require.NoError(t, err)
		out = append(out, event.ReadStored(event.Real, m.Subject(), m.Headers(), m.Data(), meta.Sequence.Stream, meta.Timestamp))
	}
	return out
}

// A hundred targets are spread over some seconds (TOCSIN_OVERDUE; the long run takes two
// minutes), every fifth is acknowledged, and the server is killed in the middle: each of
// the others has one overdue record, none before its time, and none much later.
func TestOverdue_SurvivesKill(t *testing.T) {
	t.Parallel()
	const n = 100
	spread := time.Duration(number("TOCSIN_OVERDUE", 5)) * time.Second
	s := startServer(t)
	c, err := client.Dial(s.url(), time.Minute)
	require.NoError(t, err)
	defer c.Close()

	begin := time.Now().Add(2 * time.Second)
	due := map[string]time.Time{}
	require.NoError(t, c.Reports(t.Context(), "", 16, func(yield func([]byte) error) error {
		for i := range n {
			at := begin.Add(spread * time.Duration(i) / n).UTC().Round(time.Millisecond)
			if i%5 != 0 {
				due[fmt.Sprintf("js-cyberspace.city-clinic.due-%d.1", i)] = at
			}
			if err := yield(dueIn(i, at)); err != nil {
				return err
			}
		}
		return nil
	}, func(r *event.Receipt) error { require.Equal(t, event.StatusAccepted, r.Status); return nil }))
	tooLate := map[string]bool{} // on a busy machine
	for i := 0; i < n; i += 5 {
		id := fmt.Sprintf("js-cyberspace.city-clinic.due-%d.1", i)
		acknowledged(t, c, "js-cyberspace", id)
		tooLate[id] = time.Now().After(begin.Add(spread * time.Duration(i) / n))
	}
	time.Sleep(time.Until(begin.Add(spread / 2)))
	s.kill()
	time.Sleep(spread / 10)
	s.start()
	up := time.Now()
	time.Sleep(time.Until(begin.Add(spread)))
	left, rows := len(due), 0
	inTime := func() []event.Stored {
		return slices.DeleteFunc(overdueOf(t, s.url()), func(s event.Stored) bool {
			return tooLate[strings.TrimPrefix(s.Subject, "incident.overdue.")]
		})
	}
	require.Eventually(t, func() bool { return len(inTime()) >= left }, time.Minute, 100*time.Millisecond, "each has its record")
	checkOverdue(t, inTime(), due, up)

	_, err = c.Query(t.Context(), api.Query{Overdue: true}, 0, func(r api.EscalationRow) error {
		if r.Act != event.ActNotice && !tooLate[r.Escalation] {
			rows++
			require.Equal(t, api.StateOverdue, r.State)
			require.NotNil(t, r.OverdueAt)
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, left, rows)
}

// acknowledged acknowledges an escalation as soon as the desk has it.
func acknowledged(t *testing.T, c *client.Client, desk, escalation string) {
	t.Helper()
	require.Eventually(t, func() bool {
		a, err := c.Acknowledge(context.Background(), desk, escalation, "duty-officer")
		return err == nil && a.Status == event.StatusAccepted
	}, time.Minute, 10*time.Millisecond)
}

// maxLateness is far above what a busy machine adds to the delay of a clock.
const maxLateness = 30 * time.Second

// checkOverdue requires exactly the due ones, none early, and none late by maxLateness
// after the restart at up.
func checkOverdue(t *testing.T, found []event.Stored, due map[string]time.Time, up time.Time) {
	t.Helper()
	for _, s := range found {
		var o event.Overdue
		require.NoError(t, json.Unmarshal(s.Data, &o))
		want, ok := due[o.Escalation]
		require.True(t, ok, "%s is not overdue", o.Escalation)
		delete(due, o.Escalation) // the stream holds one record a subject: here it is
		require.True(t, o.AcknowledgeBy.Equal(want), "%s: %v, want %v", o.Escalation, o.AcknowledgeBy, want)
		require.False(t, o.At.Before(want), "%s came early", o.Escalation)
		require.Equal(t, "national-cyberspace", o.Next)
		latest := want
		if latest.Before(up) {
			latest = up
		}
		require.WithinRange(t, s.StoredAt, want, latest.Add(maxLateness), o.Escalation)
	}
	require.Empty(t, due, "each has its record")
}
