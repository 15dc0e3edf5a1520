package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-project/tocsin/internal/clock"
)

// ClockSkew returns by how much the engine's clock is ahead of the bus's, as that has the
// machine's time, by what the engine says between a question and its answer: how long
// records wait to be written plays no part. It is 0 where the question took as long as
// that.
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

// machineNow is the machine's time by the bus's clock, which a drill's may be far ahead
// of.
func (b *Bus) machineNow() time.Time { return clock.Wall(b.cfg.Clock, b.cfg.Clock.Now()) }
