package bus

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/clock"
)

// The probe writes one key and reads it back. It fails probeAge after the last success,
// which distinguishes a slow disk from one that stores nothing.
const (
	probeInterval = time.Second
	probeTimeout  = 2 * time.Second
	probeAge      = 4 * time.Second
	probeKey      = "readiness.probe"
)

// probe holds the time of the last successful probe, and the error of the last one.
// success is zero before the first.
type probe struct {
	mu      sync.Mutex
	success time.Time
	failure error
}

// Probe writes to the disk of the streams once a second and reads it back, until ctx ends:
// see Stores.
func (b *Bus) Probe(ctx context.Context) error {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		if b.cfg.Engine != nil {
			b.cfg.Engine.LogSpace()
		}
		b.probe.note(b.probeOnce(ctx))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// probeOnce writes the key and reads it back, or a later write of another process.
func (b *Bus) probeOnce(ctx context.Context) error {
	if err := b.roomFor(0); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	wrote, err := b.positions.PutString(ctx, probeKey, clock.System{}.Now().Format(time.RFC3339Nano))
	if err != nil {
		return err
	}
	read, err := b.positions.Get(ctx, probeKey)
	if err != nil {
		return err
	}
	if read.Revision() < wrote {
		return fmt.Errorf("revision %d was written and %d was read", wrote, read.Revision())
	}
	return nil
}

func (p *probe) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure = err; err == nil {
		p.success = clock.Steady()
	}
}

// Stores returns the time of the last successful probe, and an error if that is more than
// four seconds ago.
func (b *Bus) Stores() (last time.Time, failure error) {
	b.probe.mu.Lock()
	defer b.probe.mu.Unlock()
	last, failure = b.probe.success, b.probe.failure
	if now := clock.Steady(); now.Sub(last) <= probeAge {
		return last, nil
	}
	if failure == nil {
		failure = ErrUnavailable // the pending write has not returned
	}
	if last.IsZero() {
		return last, fmt.Errorf("nothing was stored since the start: %w", failure)
	}
	return last, fmt.Errorf("nothing was stored since %s: %w", last.Format(time.RFC3339), failure)
}
