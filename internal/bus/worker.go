package bus

import (
	"context"
	"runtime/debug"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

const (
	// callTimeout is how long records of other keys wait for a handler's answer before
	// they continue without it.
	callTimeout = 20 * time.Millisecond
	// maxSlow is how many slow handler calls may run at once; no other begins meanwhile.
	maxSlow = 8
)

// worker is a goroutine that runs the handler for one task at a time. It is kept from one
// call to the next, because a new goroutine would first have to grow its stack.
type worker struct {
	tasks chan *task
	done  chan struct{}
}

func (r *run) newWorker(ctx context.Context) *worker {
	c := &worker{tasks: make(chan *task), done: make(chan struct{}, 1)}
	go func() {
		for t := range c.tasks {
			t.out, t.err = r.try(ctx, t.in)
			replaceHandled(t.in, t.out)
			c.done <- struct{}{}
		}
	}()
	return c
}

// call runs the handler and returns true once it has answered. If that takes longer than
// callTimeout, it returns false, and the task arrives on r.answered later; the next call
// gets a worker of its own.
func (r *run) call(ctx context.Context, t *task) (answered bool) {
	if r.worker == nil {
		r.worker = r.newWorker(ctx)
	}
	began, c := clock.Steady(), r.worker
	c.tasks <- t
	timeout := time.NewTimer(callTimeout)
	defer timeout.Stop()
	select {
	case <-c.done:
		t.answered = true
		return true
	case <-timeout.C:
	case <-ctx.Done():
	}
	r.worker = nil
	r.slow = append(r.slow, t)
	go func() {
		<-c.done
		close(c.tasks)
		if took := clock.Steady().Sub(began); took > beatEvery {
			r.log.Warn("handler was slow", zap.Uint64("record", t.in.Sequence), zap.String("subject", t.in.Subject), zap.Duration("took", took))
		}
		select {
		case r.answered <- t:
		case <-ctx.Done():
		}
	}()
	return false
}

// answer continues with a slow task that the handler has answered.
func (r *run) answer(t *task) {
	t.answered = true
	r.slow = slices.DeleteFunc(r.slow, func(s *task) bool { return s == t })
	r.ready = append(r.ready, t)
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
