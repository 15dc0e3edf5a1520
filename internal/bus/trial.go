package bus

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// trial is a record being handled.
type trial struct {
	in       event.Stored
	key      string
	attempts int // failed ones
	refusals int
	owns     bool      // it holds its key
	givenUp  bool      // out is the record that asks for manual review
	answered bool      // the handler has returned out or err
	waits    time.Time // since when it waits for the engine; zero: it does not
	out      []event.Record
	err      error
}

// stallAfter is how long a record may wait for the engine before its follower stops its
// heartbeat.
const stallAfter = 2 * time.Second

// stalls reports whether a record has waited for the engine longer than stallAfter.
func (r *run) stalls() bool {
	before := clock.Steady().Add(-stallAfter)
	for _, t := range r.aside {
		if !t.waits.IsZero() && t.waits.Before(before) {
			return true
		}
	}
	return slices.ContainsFunc(r.air, func(f *flight) bool { return f.began.Before(before) })
}

// reset makes the handler be called again.
func (t *trial) reset() { t.answered, t.out, t.err = false, nil, nil }

func (r *run) trial(in event.Stored) *trial { return &trial{in: in, key: r.f.Key(in)} }

const (
	takeAtOnce = 256 // records whose output is sent together
	maxFlights = 16
	// maxRefusals bounds how often one record is handled again because others wrote
	// first: each time another writer made progress, so more indicates a fault.
	maxRefusals = 100
	// maxAside bounds the records set aside; beyond it no more are taken from the stream.
	maxAside = 50_000
)

// open returns the channel of arrivals, or nil while too many records are set aside.
func (r *run) open() <-chan event.Stored {
	if len(r.aside) >= maxAside {
		return nil
	}
	return r.arrivals
}

// take handles a record together with those that have arrived behind it.
func (r *run) take(ctx context.Context, first *trial) error {
	batch, through := []*trial{first}, max(r.through, first.in.Sequence)
	for len(batch) < takeAtOnce {
		select {
		case s := <-r.open():
			batch, through = append(batch, r.trial(s)), max(through, s.Sequence)
			continue
		case t := <-r.again:
			batch = append(batch, t)
			continue
		default:
		}
		break
	}
	if err := r.handle(ctx, batch); err != nil {
		return err
	}
	r.through = through
	return nil
}

// flight is the output for records of different keys while it is being stored. The next
// records are handled meanwhile, so that the processors do not wait for the disk.
type flight struct {
	began   time.Time
	trials  []*trial
	results []Result
	err     error
}

// handle runs records through the handler. A record whose key is busy waits until the one
// before it is settled; records of other keys do not wait.
func (r *run) handle(ctx context.Context, trials []*trial) error {
	r.ready = append(r.ready, trials...)
	for len(r.ready) > 0 {
		var now []*trial
		for _, t := range r.ready {
			switch {
			case !t.owns && r.busy[t.key]:
				r.aside[t.in.Sequence] = t
				r.waiting[t.key] = append(r.waiting[t.key], t)
			default:
				r.busy[t.key], t.owns = true, true
				now = append(now, t)
			}
		}
		r.ready = r.ready[:0]
		for len(r.air) >= maxFlights {
			if err := r.await(ctx); err != nil {
				return err
			}
		}
		if err := r.round(ctx, now); err != nil {
			return err
		}
	}
	return nil
}

// round handles records of different keys and sends their output.
func (r *run) round(ctx context.Context, trials []*trial) error {
	var f []*trial
	for _, t := range trials {
		if !t.answered {
			switch stored, soon := r.together.took(t.in.Subject); {
			case stored:
				r.settled(t)
				continue
			case soon:
				r.release(t)
				r.later(ctx, t, joinPause)
				continue
			}
			if answered, err := r.call(ctx, t); err != nil {
				return err
			} else if !answered {
				continue
			}
		}
		switch {
		case r.isUnavailable(ctx, t):
		case t.err != nil:
			if err := r.failed(ctx, t, t.err); err != nil {
				return err
			}
		case len(t.out) == 0:
			r.settled(t)
		default:
			f = append(f, t)
		}
	}
	return r.launch(ctx, f)
}

// launch sends the output of trials to the disk.
func (r *run) launch(ctx context.Context, trials []*trial) error {
	if len(trials) == 0 {
		return nil
	}
	f := &flight{began: clock.Steady(), trials: trials}
	var out []event.Record
	for _, t := range trials {
		delete(r.aside, t.in.Sequence)
		out = append(out, t.out...)
	}
	r.air = append(r.air, f)
	go func() {
		f.results, f.err = r.commit(ctx, out)
		select {
		case r.landed <- f:
		case <-ctx.Done():
		}
	}()
	return nil
}

// await waits until a flight has finished.
func (r *run) await(ctx context.Context) error {
	select {
	case f := <-r.landed:
		return r.land(ctx, f)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// land concludes a flight and handles what waited for it.
func (r *run) land(ctx context.Context, f *flight) error {
	if ctx.Err() != nil {
		return ctx.Err() // it stays in the air: its records are not settled
	}
	r.air = slices.DeleteFunc(r.air, func(other *flight) bool { return other == f })
	if err := r.conclude(ctx, f); err != nil {
		r.air = append(r.air, f) // so that the position is not saved beyond it
		return err
	}
	return r.handle(ctx, nil)
}

// conclude settles the trials of a flight, or has them handled again.
func (r *run) conclude(ctx context.Context, f *flight) error {
	switch {
	case f.err != nil && len(f.trials) == 1:
		if err := r.failed(ctx, f.trials[0], f.err); err != nil {
			return err
		}
	case f.err != nil: // one record failed the flight: send each alone
		for _, t := range f.trials {
			if err := r.launch(ctx, []*trial{t}); err != nil {
				return err
			}
		}
	default:
		results := f.results
		for _, t := range f.trials {
			its := results[:len(t.out)]
			results = results[len(t.out):] // now: settling forgets what the trial made
			if err := r.settle(ctx, t, its); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle checks whether the output of a trial was stored, or whether other records
// already hold its subjects.
func (r *run) settle(ctx context.Context, t *trial, results []Result) error {
	for _, res := range results {
		if res.Existing == nil || t.givenUp {
			continue
		}
		if !r.f.Handler.Refused(t.in, *res.Existing) {
			break
		}
		if t.refusals++; t.refusals > maxRefusals {
			return r.failed(ctx, t, fault.New(fault.Reject, r.f.Name, "refused %d times", t.refusals))
		}
		t.reset()
		r.aside[t.in.Sequence] = t
		r.ready = append(r.ready, t)
		return nil
	}
	r.settled(t)
	return nil
}

// settled finishes a trial.
func (r *run) settled(t *trial) {
	delete(r.aside, t.in.Sequence)
	if r.done != nil {
		r.done(t.in.Sequence)
	}
	r.release(t)
}

// release frees the trial's key for the next record.
func (r *run) release(t *trial) {
	t.owns = false
	t.reset()
	delete(r.busy, t.key)
	waiting := r.waiting[t.key]
	if len(waiting) == 0 {
		return
	}
	r.ready = append(r.ready, waiting[0])
	if r.waiting[t.key] = waiting[1:]; len(waiting) == 1 {
		delete(r.waiting, t.key)
	}
}

// failed sets a record aside for its next try or, after the last one, writes the record
// that asks for manual review. Other records of its key are handled meanwhile.
func (r *run) failed(ctx context.Context, t *trial, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	kind := fault.KindOf(cause)
	if kind == fault.Stop {
		return fmt.Errorf("%s stops at record %d: %w", r.f.Name, t.in.Sequence, cause)
	}
	if t.givenUp {
		return fault.New(fault.Stop, r.f.Name, "record %d can neither be handled nor given up: %w", t.in.Sequence, cause)
	}
	r.f.Handler.Failed(t.in)
	t.attempts++
	if kind == fault.Retry && t.attempts <= len(r.bus.cfg.Pauses) {
		r.release(t)
		r.later(ctx, t, r.bus.cfg.Pauses[t.attempts-1])
		return nil
	}
	r.log.Error("record failed permanently; manual review required", zap.Uint64("record", t.in.Sequence), zap.String("subject", t.in.Subject),
		zap.Int("attempts", t.attempts), zap.Error(cause))
	record, err := r.f.GiveUp(t.in, t.attempts, cause)
	if err != nil {
		return fault.New(fault.Stop, r.f.Name, "record %d can neither be handled nor given up: %w", t.in.Sequence, err)
	}
	t.givenUp, t.out, t.err = true, []event.Record{record}, nil
	return r.launch(ctx, []*trial{t})
}

// later sets a record aside for a pause. It stays there, unsettled, until it has been
// handled or given up.
func (r *run) later(ctx context.Context, t *trial, pause time.Duration) {
	r.aside[t.in.Sequence] = t
	time.AfterFunc(pause, func() {
		select {
		case r.again <- t:
		case <-ctx.Done():
		}
	})
}
