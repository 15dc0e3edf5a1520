package classifier

import (
	"context"
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/grading"
)

const (
	// maxAside is how many causes that could not be folded a record lists.
	maxAside = 100
	// maxRetried is how many of them are retried at once, and retryPause the pause after a
	// failed retry.
	maxRetried = 8
	retryPause = 10 * time.Second
)

// causesFolded are the members of a graded record that say which causes it has folded:
// every one up to Through, except those in Aside.
type causesFolded struct {
	Through uint64   `json:"through"`
	Aside   []uint64 `json:"aside"`
}

func foldedBy(g *event.Graded) causesFolded { return causesFolded{g.Through, g.Aside} }

func (c causesFolded) folded(record uint64) bool {
	return record <= c.Through && !slices.Contains(c.Aside, record)
}

// latest returns the latest maxAside causes. An older one counts as folded from then on;
// the record that asks a person to review it remains.
func latest(aside []uint64) []uint64 {
	if len(aside) <= maxAside {
		return aside
	}
	aside = slices.Sorted(slices.Values(aside))
	return aside[len(aside)-maxAside:]
}

// isFull reports whether latest may have dropped older causes than these.
func isFull(aside []uint64) bool { return len(aside) >= maxAside }

// toRetry returns the set-aside causes to retry with this cause: a few, in turn, and if
// there are many, none soon after a failure. An incident with many such causes thus costs
// the others little.
func (h *handler) toRetry(key string, cause grading.Cause, aside []uint64) []uint64 {
	if len(aside) == 0 || len(aside) > maxRetried && h.memory.retryFailedSince(key, h.deps.Clock.Now().Add(-retryPause)) {
		return nil
	}
	retried := make([]uint64, 0, maxRetried)
	for i := range min(len(aside), maxRetried) {
		retried = append(retried, aside[(int(cause.Record%uint64(len(aside)))+i)%len(aside)])
	}
	slices.Sort(retried)
	return retried
}

// reviseWith makes the next revision with some of the set-aside causes folded in, or
// returns nil: a cause that failed before must not fail the current one with it.
func (h *handler) reviseWith(ctx context.Context, last *event.Graded, cause grading.Cause, aside, retried []uint64) (next *event.Graded) {
	defer func() {
		if recover() != nil {
			next = nil
		}
	}()
	var missed []grading.Cause
	for _, record := range retried {
		stored, err := h.deps.Bus.Get(ctx, record)
		if err != nil {
			continue
		}
		if c, err := grading.DecodeCause(stored); err == nil {
			missed = append(missed, c)
		}
	}
	next, err := h.deps.Rulebook.ReviseWith(last, cause, aside, missed)
	if err != nil {
		return nil
	}
	return next
}

func union(a, b []uint64) []uint64 {
	out := slices.Clone(a)
	for _, v := range b {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func without(a []uint64, record uint64) []uint64 {
	return slices.DeleteFunc(slices.Clone(a), func(r uint64) bool { return r == record })
}
