package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// memoryFloor is what the collector keeps Go's memory under while it can: with
	// SQLite's, which is not Go's, the process stays under 1 GB.
	memoryFloor = 820 << 20
	// memoryBeside is that where NATS is a process of its own: a ledger of ten million
	// records then stays under 512 MB.
	memoryBeside = 340 << 20
	memoryEvery  = 500 * time.Millisecond
	// collectAt is by how many percent of what is in use garbage may grow below the
	// floor: with Go's 100, making the tree anew takes an eighth longer.
	collectAt = 400
)

// containerLimit returns how much memory the cgroup of the process may use, of either
// version, with all that it is nested in; 0 where nothing limits it.
func containerLimit() uint64 {
	limit, err := memlimit.FromCgroup()
	if err != nil {
		return 0
	}
	return limit
}

// boundMemory keeps garbage from doubling what a busy process needs: two fifths of
// what is in use are enough, once that is beyond floor. The engine has a name
// for every record in memory, so the bound must grow with it, but not beyond three
// quarters of container (0: no container): the rest is for what is not Go's, SQLite
// and batches in memory. Where the environment has GOMEMLIMIT or GOGC, that stands.
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
			debug.SetMemoryLimit(limit) // which stops the process for a moment
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// memoryLimit is the bound for so many bytes in use.
func memoryLimit(floor, container, live uint64) int64 {
	limit := max(floor, live+2*live/5)
	if container > 0 {
		limit = min(limit, container/4*3)
	}
	return int64(limit)
}
