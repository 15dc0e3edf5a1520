package cli

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// memoryFloor is the limit for Go's memory while what is in use fits: with the memory
	// of SQLite, which is not Go's, the process stays under 1 GB.
	memoryFloor = 820 << 20
	// memoryBeside is the floor where NATS is a separate process: with a ledger of ten
	// million records the process then stays under 512 MB.
	memoryBeside = 340 << 20
	memoryEvery  = 500 * time.Millisecond
	// collectAt is GOGC below the floor: with Go's default of 100, rebuilding the tree
	// takes an eighth longer.
	collectAt = 400
)

// containerLimit returns the memory limit of the process's cgroup, of either version, and
// of those that contain it; 0 without a limit.
func containerLimit() uint64 {
	limit, err := memlimit.FromCgroup()
	if err != nil {
		return 0
	}
	return limit
}

// boundMemory keeps garbage from doubling the memory of a busy process: above floor it
// allows two fifths of what is in use. The engine keeps a name for every record in
// memory, so the limit must grow with it, but not beyond three quarters of container (0:
// no container): the rest is for memory outside Go's, such as SQLite's, and batches in
// memory. GOMEMLIMIT or GOGC in the environment takes precedence.
func boundMemory(ctx context.Context, floor, container uint64) {
	if os.Getenv("GOMEMLIMIT") != "" || os.Getenv("GOGC") != "" {
		return
	}
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	defer debug.SetGCPercent(debug.SetGCPercent(collectAt))
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	for limit := before; ; {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		if next := memoryLimit(floor, container, live[0].Value.Uint64()); next != limit {
			limit = next
			debug.SetMemoryLimit(limit) // briefly stops the process
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// memoryLimit returns the limit for that many live bytes.
func memoryLimit(floor, container, live uint64) int64 {
	limit := max(floor, live+2*live/5)
	if container > 0 {
		limit = min(limit, container/4*3)
	}
	return int64(limit)
}
