package bus

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHeartbeats_WaitForEveryLoop(t *testing.T) {
	t.Parallel()
	b := new(Bus)
	follows, endpoints := serviceLoop{"deadline", "follows LEDGER"}, serviceLoop{"deadline", "endpoints"}
	b.expect(follows)
	b.expect(endpoints)
	b.beat(endpoints)
	require.Contains(t, b.Heartbeats(), "deadline")
	require.Zero(t, b.Heartbeats()["deadline"], "one of its loops has not announced itself")
	b.beat(follows)
	require.NotZero(t, b.Heartbeats()["deadline"])
	b.expect(follows) // it is run again
	require.NotZero(t, b.Heartbeats()["deadline"], "a service keeps its last heartbeat")
}
