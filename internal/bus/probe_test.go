package bus

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestProbe_IsOldWithinFiveSeconds: /readyz is to fail five seconds after the last write
// that came back. The constants say so, since a machine may be busy.
func TestProbe_IsOldWithinFiveSeconds(t *testing.T) {
	t.Parallel()
	require.Less(t, probeAge, 5*time.Second)
	require.Less(t, probeEvery+probeTimeout, probeAge, "one write that is lost is no failure")
}
