package desk

import (
	"context"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/event"
)

// Bus is what the desks' endpoints need of the bus.
type Bus interface {
	ledger
	Consumer(ctx context.Context, desk, client string, from uint64) (string, error)
	Realm() event.Realm
}

// ledger reads and writes records.
type ledger interface {
	Commit(ctx context.Context, records []event.Record) ([]bus.Result, error)
	Last(ctx context.Context, subject string) (event.Stored, error)
	LastOf(ctx context.Context, subjects ...string) (found []event.Stored, err error)
	Subjects(ctx context.Context, filter string) ([]string, error)
}
