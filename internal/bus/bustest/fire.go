package bustest

import (
	"errors"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// Fire makes every timer of the bus come due that is set and whose Due is not
// after the clock's time, in the order of their Due, and returns how many. It
// does what the engine does at the machine's time, with the engine's own
// headers: the timer is stored under its due subject and removed where it was
// set, in one write. Those that the engine fired first are not counted.
func Fire(t testing.TB, e *Env, c clock.Clock) int {
	t.Helper()
	realm := e.Bus.Realm()
	timers, err := JetStream(t, e).Stream(t.Context(), realm.Stream(event.StreamTimers))
	require.NoError(t, err)
	info, err := timers.Info(t.Context(), jetstream.WithSubjectFilter(realm.Wire(event.TimerSubject(">"))))
	require.NoError(t, err)
	var due []event.Stored
	headers := map[string]nats.Header{}
	for subject := range info.State.Subjects {
		m, err := timers.GetLastMsgForSubject(t.Context(), subject)
		if err != nil {
			require.ErrorIs(t, err, jetstream.ErrMsgNotFound)
			continue
		}
		s := event.ReadStored(realm, subject, m.Header, m.Data, m.Sequence, m.Time)
		if !s.Due.After(c.Now()) {
			due, headers[s.Subject] = append(due, s), m.Header
		}
	}
	slices.SortFunc(due, func(a, b event.Stored) int { return a.Due.Compare(b.Due) })
	fired := 0
	for _, s := range due {
		if fire(t, e, s, headers[s.Subject]) {
			fired++
		}
	}
	return fired
}

// fire reports whether it was here that the timer came due.
func fire(t testing.TB, e *Env, s event.Stored, h nats.Header) bool {
	t.Helper()
	set := e.Bus.Realm().Wire(s.Subject)
	m := nats.NewMsg(e.Bus.Realm().Wire(event.DueSubject(s.Subject)))
	m.Data = s.Data
	for k, v := range h {
		if !slices.Contains(engineHeaders, k) {
			m.Header[k] = v
		}
	}
	m.Header.Set("Nats-Scheduler", set)
	m.Header.Set("Nats-Schedule-Next", "purge")
	_, err := JetStream(t, e).PublishMsg(t.Context(), m, jetstream.WithExpectLastSequenceForSubject(s.Sequence, set))
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return false
	}
	require.NoError(t, err)
	return true
}

// engineHeaders are those of a schedule that the engine takes off when it fires.
var engineHeaders = []string{
	"Nats-Schedule", "Nats-Schedule-Target", "Nats-Rollup", jetstream.ExpectedLastSubjSeqHeader,
	"Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit",
}
