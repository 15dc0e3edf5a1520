package bus

import (
	"context"
	"errors"
	"runtime/debug"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

const (
	// callPatience is how long records of other keys wait for a handler's answer before
	// they continue without it.
	callPatience = 20 * time.Millisecond
	// maxSlow is how many slow handler calls may run at once.
	maxSlow = 8
	// unavailablePause is how long a record waits if the engine did not answer its
	// handler.
	unavailablePause = 500 * time.Millisecond
)

// call runs the handler and returns true once it has answered. If that takes longer than
// callPatience, it returns false: the trial arrives on r.answered later, and its key
// stays busy. While maxSlow calls are slow, no other call starts.
func (r *run) call(ctx context.Context, t *trial) (answered bool, err error) {
	for len(r.slow) >= maxSlow {
		select {
		case other := <-r.answered:
			r.ready = append(r.ready, r.back(other))
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	began, done := clock.Steady(), make(chan struct{})
	go func() {
		defer close(done)
		t.out, t.err = r.try(ctx, t.in)
		inPlace(t.in, t.out)
	}()
	patience := time.NewTimer(callPatience)
	defer patience.Stop()
	select {
	case <-done:
		t.answered = true
		return true, nil
	case <-patience.C:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	r.slow, r.aside[t.in.Sequence] = append(r.slow, t), t
	go func() {
		<-done
		if took := clock.Steady().Sub(began); took > beatEvery {
			r.log.Warn("handler was slow", zap.Uint64("record", t.in.Sequence), zap.String("subject", t.in.Subject), zap.Duration("took", took))
		}
		select {
		case r.answered <- t:
		case <-ctx.Done():
		}
	}()
	return false, nil
}

// back removes a trial that the handler has answered from the slow ones.
func (r *run) back(t *trial) *trial {
	t.answered = true
	r.slow = slices.DeleteFunc(r.slow, func(s *trial) bool { return s == t })
	return t
}

// isUnavailable reports whether the engine did not answer the handler. The record is not
// at fault: it is handled again after a pause, before others of its key.
func (r *run) isUnavailable(ctx context.Context, t *trial) bool {
	if !errors.Is(t.err, ErrUnavailable) || ctx.Err() != nil {
		t.waits = time.Time{}
		return false
	}
	if t.waits.IsZero() {
		t.waits = clock.Steady()
	}
	r.log.Warn("record waits for the engine", zap.Uint64("record", t.in.Sequence), zap.Error(t.err))
	t.reset()
	r.later(ctx, t, unavailablePause)
	return true
}

// try runs the handler once and returns a panic as an error.
func (r *run) try(ctx context.Context, in event.Stored) (out []event.Record, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("handler panicked", zap.Uint64("record", in.Sequence), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			out, err = nil, fault.New(fault.Retry, r.f.Name, "panic: %v", p)
		}
	}()
	return r.f.Handler.Handle(ctx, in)
}
