package intake

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/tocsin-project/tocsin/internal/cloudevent"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// removed knows the reports that were removed by order, by the hashes of their records'
// subjects: the engine accepts a subject again once its record is gone, and a repeated
// report must not come back.
type removed struct {
	mu      sync.Mutex
	loaded  bool
	through uint64
	orders  map[string]string // the order, by the hash
}

// removalsAtOnce bounds how many removals are read at once.
const removalsAtOnce = 50

// loadRemoved reads the existing removals, once.
func (in *Intake) loadRemoved(ctx context.Context) error {
	r := &in.removed
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.loaded {
		page, err := in.deps.Bus.Page(ctx, r.through+1, math.MaxInt64, []string{event.AllRemoved}, removalsAtOnce, math.MaxInt32)
		if err != nil {
			return err
		}
		r.add(page)
		r.loaded = len(page) == 0
	}
	return nil
}

// followRemoved reads removals as they are stored.
func (in *Intake) followRemoved(ctx context.Context) error {
	return in.deps.Bus.Tail(ctx, 1, []string{event.AllRemoved}, func(_ context.Context, batch []event.Stored) error {
		in.removed.mu.Lock()
		defer in.removed.mu.Unlock()
		in.removed.add(batch)
		return nil
	})
}

func (r *removed) add(records []event.Stored) {
	for _, s := range records {
		r.through = max(r.through, s.Sequence)
		removal, err := event.Decode[event.Removal](s)
		if err == nil && removal.Subject != "" {
			r.orders[removal.Subject] = removal.Order
		}
	}
}

// removedFaults returns a fault if the report was removed by order.
func (in *Intake) removedFaults(ctx context.Context, e *cloudevent.Event, operator string) ([]fault.Detail, error) {
	if err := in.loadRemoved(ctx); err != nil {
		return nil, err
	}
	in.removed.mu.Lock()
	defer in.removed.mu.Unlock()
	if len(in.removed.orders) == 0 {
		return nil, nil
	}
	order, gone := in.removed.orders[event.SubjectHash(event.AcceptedSubject(operator, e.Subject, e.Source, e.ID))]
	if !gone {
		return nil, nil
	}
	return []fault.Detail{{Path: "$.id", Message: fmt.Sprintf("this report was removed from the record by order %s; it is not taken again", order)}}, nil
}
