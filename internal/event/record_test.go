package event_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

// Only the record itself recalls the value that it was encoded from.
func TestARecordIsRecalled(t *testing.T) {
	t.Parallel()
	a := &event.Accepted{
		Operator: "a", Incident: "x", Report: "r", Source: event.SourceOf("a"), Type: event.TypeProgress, ReceivedAt: time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC),
		Event:  []byte(`{"specversion":"1.0","id":"r","source":"urn:tocsin:operator:a","subject":"x","type":"tocsin.report.progress.v1","data":{"containsNoStateSecrets":true,"title":"T"}}`),
		Parsed: &event.Report{Title: "T"},
	}
	r, err := event.NewRecord(event.AcceptedSubject("a", "x", a.Source, "r"), a.ReceivedAt, "", a)
	require.NoError(t, err)
	require.True(t, r.IsRecalled())
	decoded := func(s event.Stored) *event.Accepted {
		got, err := event.Decode[event.Accepted](s)
		require.NoError(t, err)
		require.Equal(t, "x", got.Incident)
		return got
	}
	require.Same(t, a, decoded(r.Written(event.Real, 7)))
	require.Same(t, a, decoded(r.Unwritten(event.Real)))
	delivered := func(subject string, data []byte) event.Stored {
		m := r.Message(event.Real)
		return event.ReadStored(event.Real, subject, m.Header, data, 7, a.ReceivedAt)
	}
	s := delivered(r.Subject, bytes.Clone(r.Data))
	require.NotSame(t, a, decoded(s))
	s.Recall(r)
	require.Same(t, a, decoded(s))
	for _, s := range []event.Stored{
		delivered(r.Subject+"2", r.Data),
		delivered(r.Subject, bytes.Replace(r.Data, []byte(`"T"`), []byte(`"U"`), 1)),
	} {
		s.Recall(r)
		require.NotSame(t, a, decoded(s), s.Subject)
	}

	g, err := event.NewRecord(event.GradedSubject("a", "x", 1), a.ReceivedAt, "", &event.Graded{Operator: "a", Incident: "x"})
	require.NoError(t, err)
	require.False(t, g.IsRecalled(), "nobody decodes it whole but who made it")
	first, err := event.Decode[event.Graded](g.Written(event.Real, 8))
	require.NoError(t, err)
	again, err := event.Decode[event.Graded](g.Written(event.Real, 8))
	require.NoError(t, err)
	require.NotSame(t, first, again)
}
