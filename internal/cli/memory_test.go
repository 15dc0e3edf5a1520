package cli

import (
	"context"
	"math"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestBoundMemory_EndsWithServer checks that the limit ends with the server, and that the
// environment takes precedence.
func TestBoundMemory_EndsWithServer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() { boundMemory(ctx, memoryFloor, 0); close(ended) }()
	require.Eventually(t, func() bool {
		return debug.SetMemoryLimit(-1) >= memoryFloor && debug.SetMemoryLimit(-1) < math.MaxInt64
	}, 30*time.Second, time.Millisecond)
	cancel()
	<-ended
	require.EqualValues(t, math.MaxInt64, debug.SetMemoryLimit(-1))

	t.Setenv("GOMEMLIMIT", "2GiB")
	boundMemory(t.Context(), memoryFloor, 0) // returns at once

	require.EqualValues(t, memoryFloor, memoryLimit(memoryFloor, 0, 300<<20))
	require.EqualValues(t, 14<<30/5, memoryLimit(memoryFloor, 0, 2<<30), "it never keeps the collector at work without a pause")
	require.EqualValues(t, 768<<20, memoryLimit(memoryFloor, 1<<30, 300<<20), "a container may have less than the floor")
	require.EqualValues(t, 768<<20, memoryLimit(memoryFloor, 1<<30, 2<<30), "beyond its limit the container is ended")
	require.EqualValues(t, memoryFloor, memoryLimit(memoryFloor, 64<<30, 300<<20))
}
