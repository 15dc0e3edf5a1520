package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// TestFollow_TroubleOfOneKeyDelaysNoOther: records of some incidents waitLimit, panic, fail,
// wait for the engine or produce output that cannot be stored; records of other incidents
// are handled meanwhile.
func TestFollow_TroubleOfOneKeyDelaysNoOther(t *testing.T) {
	t.Parallel()
	const poisoned, honest = 6, 200
	trouble := map[string]func() ([]event.Record, error){
		"fails":  func() ([]event.Record, error) { return nil, errors.New("not now") },
		"panics": func() ([]event.Record, error) { panic("poison") },
		"waits":  func() ([]event.Record, error) { return nil, fmt.Errorf("read: %w", bus.ErrUnavailable) },
		"cannot be stored": func() ([]event.Record, error) {
			return []event.Record{event.RawRecord("rules.large", stamp, "", []byte(strings.Repeat("1", event.MaxRecord+1)))}, nil
		},
		"has no stream": func() ([]event.Record, error) {
			return []event.Record{event.RawRecord("nowhere", stamp, "", nil)}, nil
		},
		"is refused": func() ([]event.Record, error) { return nil, fault.New(fault.Reject, "test", "never") },
	}
	for name, what := range trouble {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bustest.Start(t).Bus
			commit(t, b, 0, poisoned)
			var mu sync.Mutex
			done, given := map[uint64]int{}, map[uint64]int{}
			handler := handle(func(ctx context.Context, in event.Stored) ([]event.Record, error) {
				if in.Sequence <= poisoned {
					return what()
				}
				mu.Lock()
				defer mu.Unlock()
				done[in.Sequence]++
				return []event.Record{event.RawRecord(fmt.Sprintf("rules.%d", in.Sequence), stamp, "", []byte("{}"))}, nil
			})
			bustest.Background(t, func(ctx context.Context) error {
				return b.Follow(ctx, bus.Follower{
					Name: "contained", Subjects: []string{event.AllAccepted}, Handler: handler,
					Key: func(s event.Stored) string {
						if s.Sequence <= poisoned {
							return "poisoned"
						}
						return fmt.Sprint(s.Sequence)
					},
					GiveUp: func(in event.Stored, attempts int, _ error) (event.Record, error) {
						mu.Lock()
						defer mu.Unlock()
						given[in.Sequence] = attempts
						return event.NewRecord(event.UnhandledSubject("contained", "op", "inc", in.Sequence), stamp, "", struct{}{})
					},
				})
			})
			commit(t, b, poisoned, poisoned+honest)
			eventually(t, "the honest ones are stored", func() bool {
				found, err := b.Subjects(t.Context(), "rules.>")
				return err == nil && len(found) == honest
			})
			eventually(t, "the poisoned ones are given up", func() bool {
				found, err := b.Subjects(t.Context(), "incident.unhandled.>")
				return err == nil && (name == "waits" || len(found) == poisoned)
			})
			mu.Lock()
			defer mu.Unlock()
			for seq, n := range done {
				require.Equal(t, 1, n, seq)
			}
		})
	}
}

// TestFollow_SlowHandlerDelaysNoOtherKey: later records of the slow key wait for it, in
// order.
func TestFollow_SlowHandlerDelaysNoOtherKey(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t).Bus
	const slow, honest = 50, 200
	commit(t, b, 0, slow)
	over := make(chan struct{})
	var mu sync.Mutex
	var order []uint64
	others := 0
	bustest.Background(t, func(ctx context.Context) error {
		return b.Follow(ctx, bus.Follower{
			Name: "slow", Subjects: []string{event.AllAccepted},
			Handler: handle(func(_ context.Context, in event.Stored) ([]event.Record, error) {
				if in.Sequence <= slow {
					<-over
				}
				mu.Lock()
				defer mu.Unlock()
				if in.Sequence <= slow {
					order = append(order, in.Sequence)
				} else {
					others++
				}
				return nil, nil
			}),
			Key: func(s event.Stored) string { return fmt.Sprint(s.Sequence <= slow, max(s.Sequence, slow)) },
		})
	})
	commit(t, b, slow, slow+honest)
	eventually(t, "the others are handled", func() bool { mu.Lock(); defer mu.Unlock(); return others == honest })
	mu.Lock()
	require.Empty(t, order)
	mu.Unlock()
	close(over)
	eventually(t, "the slow ones are handled", func() bool { mu.Lock(); defer mu.Unlock(); return len(order) == slow })
	for i, seq := range order {
		require.Equal(t, uint64(i+1), seq, "in order")
	}
}
