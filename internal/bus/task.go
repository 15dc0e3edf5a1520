package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// task is a record being handled.
type task struct {
	in           event.Stored
	key          string
	attempts     int // failed ones
	conflicts    int
	answered     bool      // the handler has returned out or err
	givenUp      bool      // out is the record that asks for manual review
	inLine       bool      // it kept its place in line during its pause
	waitingSince time.Time // since when it waits for the engine; zero: it does not
	out          []event.Record
	err          error
}

// maxConflicts bounds how often one record is handled again because others wrote first:
// each time another writer made progress, so more indicates a fault.
const maxConflicts = 100

// reset makes the handler be called again.
func (t *task) reset() { t.answered, t.out, t.err = false, nil, nil }

// conclude decides what follows from the handler's answer.
func (r *run) conclude(ctx context.Context, t *task) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(t.err, ErrUnavailable):
		r.waitForEngine(ctx, t)
		return nil
	}
	t.waitingSince = time.Time{}
	switch {
	case t.err != nil:
		return r.failed(ctx, t, t.err)
	case len(t.out) == 0:
		r.settled(t)
	default:
		r.output = append(r.output, t)
	}
	return nil
}

// batch is the output of tasks of different keys on its way to the disk.
type batch struct {
	began   time.Time
	tasks   []*task
	results []Result
	err     error
}

// store sends the output that waits to the disk, unless the batch before it is still on
// its way: what is handled meanwhile goes together in the next.
func (r *run) store(ctx context.Context) {
	if r.storing != nil || len(r.output) == 0 {
		return
	}
	b := batch{began: clock.Steady(), tasks: r.output}
	r.storing, r.output = &b, nil
	go func() {
		var out []event.Record
		for _, t := range b.tasks {
			out = append(out, t.out...)
		}
		b.results, b.err = r.commit(ctx, out)
		select {
		case r.stored <- b:
		case <-ctx.Done():
		}
	}()
}

// settleAll settles the tasks of a batch, each by its own results.
func (r *run) settleAll(ctx context.Context, b batch) error {
	results := b.results
	for _, t := range b.tasks {
		err, its := b.err, []Result(nil)
		if err == nil {
			its, results = results[:len(t.out)], results[len(t.out):]
		}
		if err := r.settle(ctx, t, its, err); err != nil {
			return err
		}
	}
	return nil
}

// settle checks whether the output of a task was stored, or whether other records already
// hold its subjects.
func (r *run) settle(ctx context.Context, t *task, results []Result, err error) error {
	for _, res := range results {
		err = errors.Join(err, res.err)
	}
	if err != nil {
		return r.failed(ctx, t, err)
	}
	taken := slices.IndexFunc(results, func(res Result) bool { return res.Existing != nil })
	if taken < 0 || t.givenUp || r.f.Conflict == nil || !r.f.Conflict(t.in, *results[taken].Existing) {
		r.settled(t)
		return nil
	}
	if t.conflicts++; t.conflicts > maxConflicts {
		return r.failed(ctx, t, fault.New(fault.Reject, r.f.Name, "its output was in conflict with other records %d times", t.conflicts))
	}
	t.reset()
	r.ready = append(r.ready, t)
	return nil
}

// settled finishes a task.
func (r *run) settled(t *task) {
	delete(r.open, t.in.Sequence)
	if r.done != nil {
		r.done(t.in.Sequence)
	}
	r.leave(t)
}

// failed lets a task pause before its next try or, after the last one, writes the record
// that asks for manual review. Other records of its key are handled meanwhile.
func (r *run) failed(ctx context.Context, t *task, cause error) error {
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
	if r.f.Failed != nil {
		r.f.Failed(t.in)
	}
	t.attempts++
	if kind == fault.Retry && t.attempts <= len(r.bus.cfg.Pauses) {
		t.reset()
		r.leave(t)
		r.pause(ctx, t, r.bus.cfg.Pauses[t.attempts-1])
		return nil
	}
	r.log.Error("record failed permanently; manual review required", zap.Uint64("record", t.in.Sequence), zap.String("subject", t.in.Subject),
		zap.Int("attempts", t.attempts), zap.Error(cause))
	record, err := r.f.GiveUp(t.in, t.attempts, cause)
	if err != nil {
		return fault.New(fault.Stop, r.f.Name, "record %d can neither be handled nor given up: %w", t.in.Sequence, err)
	}
	t.givenUp, t.answered, t.out, t.err = true, true, []event.Record{record}, nil
	r.output = append(r.output, t)
	return nil
}

// unavailablePause is how long a record waits if the engine did not answer its handler.
const unavailablePause = 500 * time.Millisecond

// waitForEngine lets a task pause because the engine did not answer its handler. The
// record is not at fault: it keeps its place before others of its key.
func (r *run) waitForEngine(ctx context.Context, t *task) {
	if t.waitingSince.IsZero() {
		t.waitingSince = clock.Steady()
	}
	r.log.Warn("record waits for the engine", zap.Uint64("record", t.in.Sequence), zap.Error(t.err))
	t.reset()
	t.inLine = true
	r.pause(ctx, t, unavailablePause)
}

// pause brings a task back after a while. It stays open meanwhile.
func (r *run) pause(ctx context.Context, t *task, pause time.Duration) {
	time.AfterFunc(pause, func() {
		select {
		case r.resumed <- t:
		case <-ctx.Done():
		}
	})
}

// resume continues with a task whose pause is over.
func (r *run) resume(t *task) {
	if !t.inLine {
		r.enter(t)
		return
	}
	t.inLine = false
	r.ready = append(r.ready, t)
}
