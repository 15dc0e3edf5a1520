package deadline

import (
	"context"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/event"
)

// Bus is what the clocks need of the bus.
type Bus interface {
	follower
	ledger
	timers
	sweepReader
	screens
	Broadcast(subject string, v any) error
}

// follower hands over records, and timers that have come due.
type follower interface {
	Follow(ctx context.Context, f bus.Follower) error
	FollowTimers(ctx context.Context, f bus.TimerFollower) error
}

// ledger reads and writes records.
type ledger interface {
	Commit(ctx context.Context, records []event.Record) ([]bus.Result, error)
	Last(ctx context.Context, subject string) (event.Stored, error)
}

// timers looks up and cancels timers; Commit sets them.
type timers interface {
	HasTimer(subject string) (set, known bool)
	Cancel(ctx context.Context, subjects ...string) error
}

// sweepReader reads the whole ledger and keeps the position.
type sweepReader interface {
	Head(ctx context.Context) (uint64, error)
	Range(ctx context.Context, from, to uint64, lead bus.Lead, handle func([]event.Stored) error) error
	Position(ctx context.Context, name string) (uint64, error)
	SavePosition(ctx context.Context, name string, seq uint64) error
}

// screens lists the desks' screens, and stores when each desk was last seen.
type screens interface {
	Screens(ctx context.Context) ([]bus.Screen, error)
	Value(ctx context.Context, key string) (value []byte, revision uint64, err error)
	SaveValue(ctx context.Context, key string, value []byte, revision uint64) error
}
