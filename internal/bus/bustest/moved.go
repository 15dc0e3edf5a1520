package bustest

import (
	"maps"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// MoveDue moves due timers to their due subjects and returns how many, as the engine did
// with the timers of earlier versions, also while nobody followed them.
func MoveDue(t testing.TB, e *Env, c clock.Clock) int {
	t.Helper()
	realm, js := e.Bus.Realm(), JetStream(t, e)
	timers, err := js.Stream(t.Context(), realm.Stream(event.StreamTimers))
	require.NoError(t, err)
	info, err := timers.Info(t.Context(), jetstream.WithSubjectFilter(realm.Wire(event.TimerSubject(">"))))
	require.NoError(t, err)
	moved := 0
	for set := range info.State.Subjects {
		m, err := timers.GetLastMsgForSubject(t.Context(), set)
		require.NoError(t, err)
		s := event.ReadStored(realm, set, m.Header, m.Data, m.Sequence, m.Time)
		if s.Due.After(c.Now()) {
			continue
		}
		due := nats.NewMsg(realm.Wire(event.DueSubject(s.Subject)))
		due.Header, due.Data = m.Header, m.Data
		due.Header.Del(jetstream.ExpectedLastSubjSeqHeader)
		maps.DeleteFunc(due.Header, func(name string, _ []string) bool { return strings.HasPrefix(name, "Nats-Batch-") })
		_, err = js.PublishMsg(t.Context(), due)
		require.NoError(t, err)
		require.NoError(t, timers.DeleteMsg(t.Context(), s.Sequence))
		moved++
	}
	return moved
}
