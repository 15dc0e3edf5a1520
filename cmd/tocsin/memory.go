package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// memoryFloor is what the collector keeps Go's memory under while it can: with
	// SQLite's, which is not Go's, the process stays under 1 GB.
	memoryFloor = 820 << 20
	memoryEvery = 500 * time.Millisecond
)

// boundMemory keeps garbage from doubling what a busy process needs: half as much
// as what is in use is enough, once that is beyond memoryFloor. The engine has a name
// for every record in memory, so the bound must grow with it. Where the environment
// has GOMEMLIMIT, that stands.
func boundMemory(ctx context.Context) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	for {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		debug.SetMemoryLimit(memoryLimit(live[0].Value.Uint64()))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// memoryLimit is the bound for so many bytes in use.
func memoryLimit(live uint64) int64 { return int64(max(memoryFloor, live+live/2)) }
