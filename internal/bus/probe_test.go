package bus

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestProbe_IsOldWithinFiveSeconds: /readyz must fail five seconds after the last
// successful write. The test checks the constants, since a machine may be busy.
func TestProbe_IsOldWithinFiveSeconds(t *testing.T) {
	t.Parallel()
	require.Less(t, probeAge, 5*time.Second)
	require.Less(t, probeInterval+probeTimeout, probeAge, "one write that is lost is no failure")
}
