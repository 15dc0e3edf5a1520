package desk

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/event"
)

// actLocks serialises check and commit of a desk's acts on one incident, so that the
// counts for the next act include every accepted one.
type actLocks struct {
	mu    sync.Mutex
	locks map[string]*actLock
	// pending are the questions that the classifier may not have folded yet.
	pending map[string][]pendingRequest
}

type actLock struct {
	mu    sync.Mutex
	users int
}

type pendingRequest struct {
	record   uint64
	bytes    int
	storedAt time.Time // steady
}

// With maxPending incidents or more, those are forgotten whose last question is older
// than pendingAge: the classifier has folded it long before.
const (
	maxPending = 4096
	pendingAge = 10 * time.Minute
)

func newActLocks() *actLocks {
	return &actLocks{locks: map[string]*actLock{}, pending: map[string][]pendingRequest{}}
}

func lockKey(a event.DeskAct) string { return event.EscalationID(a.Desk, a.Operator, a.Incident, "") }

// lock waits for the act's turn, and returns the function that ends it.
func (t *actLocks) lock(key string) (end func()) {
	t.mu.Lock()
	held := t.locks[key]
	if held == nil {
		held = new(actLock)
		t.locks[key] = held
	}
	held.users++
	t.mu.Unlock()
	held.mu.Lock()
	return func() {
		held.mu.Unlock()
		t.mu.Lock()
		defer t.mu.Unlock()
		if held.users--; held.users == 0 {
			delete(t.locks, key)
		}
	}
}

// addPending remembers a question that was stored.
func (t *actLocks) addPending(a event.DeskAct, record uint64, now time.Time) {
	if a.Kind != event.KindAsked {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.pending) >= maxPending {
		maps.DeleteFunc(t.pending, func(_ string, q []pendingRequest) bool { return now.Sub(q[len(q)-1].storedAt) > pendingAge })
	}
	key := lockKey(a)
	t.pending[key] = append(t.pending[key], pendingRequest{record, bytesOf(a.Reason, a.Officer, a.Items), now})
}

// pendingAfter returns the questions stored after the record through.
func (t *actLocks) pendingAfter(a event.DeskAct, through uint64) []pendingRequest {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := lockKey(a)
	left := slices.DeleteFunc(t.pending[key], func(q pendingRequest) bool { return q.record <= through })
	if t.pending[key] = left; len(left) == 0 {
		delete(t.pending, key)
	}
	return slices.Clone(left)
}

func bytesOf(reason, officer string, items []string) int {
	n := len(reason) + len(officer)
	for _, item := range items {
		n += len(item)
	}
	return n
}

// checkAsked refuses a question if the desk has too many unanswered ones: every revision
// of the incident repeats them to every desk told.
func (s service) checkAsked(ctx context.Context, f *form, a event.DeskAct) error {
	last, err := s.deps.Bus.Last(ctx, event.GradedPrefix(a.Operator, a.Incident)+"*")
	if errors.Is(err, bus.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	g, err := event.Decode[revision](last)
	if err != nil {
		return err
	}
	open, bytes := 0, bytesOf(a.Reason, a.Officer, a.Items)
	for _, o := range g.Owed {
		if o.Kind == event.OwesAnswer && o.Desk == a.Desk {
			open, bytes = open+1, bytes+bytesOf(o.Reason, o.Officer, o.Items)
		}
	}
	for _, q := range s.actLocks.pendingAfter(a, g.Through) {
		open, bytes = open+1, bytes+q.bytes
	}
	const hint = "wait for an answer, or ask for several facts at once and in fewer words"
	switch {
	case open >= event.MaxAsks:
		f.add("$.kind", "%d questions of %s on this incident are not answered, and at most %d are kept: %s", open, a.Desk, event.MaxAsks, hint)
	case bytes > event.MaxAskBytes:
		f.add("$.reason", "the questions of %s on this incident that are not answered would have %d bytes, and at most %d are kept: %s", a.Desk, bytes, event.MaxAskBytes, hint)
	case len(last.Data) > event.MaxAdded:
		f.add("$.kind", "the incident has %d bytes, and a question is taken up to %d: ask by another way, or set a grade or hand it on instead", len(last.Data), event.MaxAdded)
	}
	return nil
}
