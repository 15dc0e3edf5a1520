package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-project/tocsin/internal/clock"
)

// ClockSkew returns how far the engine's clock is ahead of the machine's time by the
// bus's clock. It compares the engine's timestamp with the times before and after one
// request, so how long records wait to be written does not matter. It is 0 if the
// timestamp lies between them.
func (b *Bus) ClockSkew(ctx context.Context) (time.Duration, error) {
	before := b.machineNow()
	info, err := b.ledger.Info(ctx)
	after := b.machineNow()
	if err != nil {
		return 0, fmt.Errorf("bus: time of the engine: %w", engineError(err))
	}
	switch at := info.TimeStamp; {
	case at.Before(before):
		return at.Sub(before), nil
	case at.After(after):
		return at.Sub(after), nil
	}
	return 0, nil
}

// machineNow returns the machine's time by the bus's clock; a drill's clock may be far
// ahead of it.
func (b *Bus) machineNow() time.Time { return clock.Wall(b.cfg.Clock, b.cfg.Clock.Now()) }
