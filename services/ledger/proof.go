package ledger

import (
	"context"

	"github.com/tocsin-project/tocsin/internal/event"
)

// Keep is how long the law has records kept.
type Keep struct{}

type proof struct{}

func openProof(ctx context.Context, d Deps) (*proof, error) { return &proof{}, nil }

func (p *proof) run(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func (p *proof) state(ctx context.Context) (event.LogState, error) { return event.LogState{}, nil }

func (p *proof) tiles(ctx context.Context, q event.TilesRequest) (a event.TilesAnswer, err error) {
	return
}

func (p *proof) records(ctx context.Context, q event.RecordsRequest) (a event.RecordsAnswer, err error) {
	return
}

func (p *proof) prove(ctx context.Context, q event.ProveRequest) (a event.ProveAnswer, err error) {
	return
}

func (p *proof) audit(ctx context.Context, q event.AuditRequest) (a event.AuditAnswer, err error) {
	return
}

func (p *proof) remove(ctx context.Context, q event.RemoveRequest) (a event.RemoveAnswer, err error) {
	return
}

func (p *proof) archive(ctx context.Context, q event.ArchiveRequest) (a event.RemoveAnswer, err error) {
	return
}
