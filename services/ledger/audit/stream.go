package audit

import (
	"context"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// Stream is the ledger's stream, as the bus offers it.
type Stream interface {
	Reader
	Finder
	Writer
	Eraser
	Marks
	Head(ctx context.Context) (uint64, error)
	State(ctx context.Context) (bus.State, error)
}

// Reader reads records in ledger order.
type Reader interface {
	Tail(ctx context.Context, from uint64, subjects []string, handle func(context.Context, []event.Stored) error) error
	Range(ctx context.Context, from, to uint64, lead bus.Lead, handle func([]event.Stored) error) error
	Removals
	GetMany(ctx context.Context, seqs []uint64) ([]event.Stored, error)
}

// Removals reads what the log knows of removals.
type Removals interface {
	Page(ctx context.Context, from, to uint64, subjects []string, records, bytes int) ([]event.Stored, error)
	Get(ctx context.Context, seq uint64) (event.Stored, error)
}

// Finder finds records by subject, and the first one from a sequence on.
type Finder interface {
	From(ctx context.Context, seq uint64) (event.Stored, error)
	Last(ctx context.Context, subject string) (event.Stored, error)
	Subjects(ctx context.Context, filter string) ([]string, error)
}

// Writer writes records.
type Writer interface {
	Commit(ctx context.Context, records []event.Record) ([]bus.Result, error)
	IsWriting() bool
	Realm() event.Realm
}

// Eraser removes records; Erase also overwrites them.
type Eraser interface {
	Remove(ctx context.Context, seq uint64) error
	Erase(ctx context.Context, seq uint64) error
}

// Marks keeps checkpoints beside the stream, and freezes writing for a log.
type Marks interface {
	Checkpoints(ctx context.Context) (map[string]string, error)
	SaveCheckpoint(ctx context.Context, log, signed string) error
	Freeze(ctx context.Context, log, reason string) error
	Unfreeze(ctx context.Context, log string) error
}

// Callers knows who sent a request.
type Callers interface {
	HasIdentities() bool
	Signed(ctx context.Context, req endpoint.Request, verify func(*evidence.SignedAct) error) (*evidence.SignedAct, error)
}

// Index tells whether the index is being rebuilt: the check of the whole record then
// leaves it most of the processor.
type Index interface{ IsIndexBehind() bool }
