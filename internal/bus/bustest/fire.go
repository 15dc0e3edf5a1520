package bustest

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// Fire waits until the follower of the timers has handled every timer that is due by the
// clock, and returns how many there were, without those handled before the call. It fails
// if nobody follows the timers.
func Fire(t testing.TB, e *Env, c clock.Clock) int {
	t.Helper()
	realm := e.Bus.Realm()
	timers, err := JetStream(t, e).Stream(t.Context(), realm.Stream(event.StreamTimers))
	require.NoError(t, err)
	info, err := timers.Info(t.Context(), jetstream.WithSubjectFilter(realm.Wire("timer.>")))
	require.NoError(t, err)
	due := map[string]uint64{}
	for subject := range info.State.Subjects {
		m, err := timers.GetLastMsgForSubject(t.Context(), subject)
		if err != nil {
			require.ErrorIs(t, err, jetstream.ErrMsgNotFound)
			continue
		}
		if s := event.ReadStored(realm, subject, m.Header, m.Data, m.Sequence, m.Time); !s.Due.After(c.Now()) {
			due[subject] = m.Sequence
		}
	}
	left := func() (n int) {
		for _, seq := range due {
			if _, err := timers.GetMsg(t.Context(), seq); err == nil {
				n++
			}
		}
		return n
	}
	require.Eventually(t, func() bool { return left() == 0 }, waitLimit, 5*time.Millisecond, "timers were not handled: %v", due)
	return len(due)
}
