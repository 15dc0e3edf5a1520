package bus

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTries_LeaveRoomForAnother: a lost answer costs a caller one short try. The test
// checks the constants, since a machine may be busy.
func TestTries_LeaveRoomForAnother(t *testing.T) {
	t.Parallel()
	require.LessOrEqual(t, tryTimeout, 2*time.Second)
	require.Less(t, 3*tryTimeout, defaultCommitWait)
	require.Equal(t, tryTimeout, readTries[0])
	require.Greater(t, len(readTries), 1)
}
