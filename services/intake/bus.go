package intake

import (
	"context"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// Bus is what intake needs of the bus.
type Bus interface {
	writer
	reader
	values
	Realm() event.Realm
}

// writer stores records, and says what a receipt promises of them.
type writer interface {
	Commit(ctx context.Context, records []event.Record) ([]bus.Result, error)
	RoomForReports() error
	Durability() string
	Entry(r event.Record, res bus.Result) evidence.Hash
}

// reader reads records of the ledger.
type reader interface {
	First(ctx context.Context, subject string) (event.Stored, error)
	Last(ctx context.Context, subject string) (event.Stored, error)
	Page(ctx context.Context, from, to uint64, subjects []string, records, bytes int) ([]event.Stored, error)
	Tail(ctx context.Context, from uint64, subjects []string, handle func(context.Context, []event.Stored) error) error
}

// values stores the accounts of rejected reports.
type values interface {
	Value(ctx context.Context, key string) (value []byte, revision uint64, err error)
	SaveValue(ctx context.Context, key string, value []byte, revision uint64) error
	ValueKeys(ctx context.Context, prefix string) (keys []string, err error)
}
