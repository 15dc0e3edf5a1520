package bus_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/event"
)

// ordered makes one record of each and checks that the output for the previous record of
// its key is stored.
type ordered struct {
	bus *bus.Bus

	mu     sync.Mutex
	before map[uint64]uint64 // last handled, by key
	wrong  []string
	again  map[uint64]int
}

const keys = 5

func (o *ordered) Handle(ctx context.Context, in event.Stored) ([]event.Record, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := in.Sequence % keys
	if before := o.before[key]; before > in.Sequence {
		o.wrong = append(o.wrong, fmt.Sprintf("%d after %d", in.Sequence, before))
	} else if before != 0 && before != in.Sequence {
		if _, err := o.bus.Last(ctx, fmt.Sprintf("rules.%d", before)); err != nil {
			o.wrong = append(o.wrong, fmt.Sprintf("%d before what came of %d was stored: %v", in.Sequence, before, err))
		}
	}
	o.before[key] = in.Sequence
	return []event.Record{event.RawRecord(fmt.Sprintf("rules.%d", in.Sequence), stamp, "", []byte("{}"))}, nil
}

func (o *ordered) conflict(in, _ event.Stored) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.again[in.Sequence]++
	return o.again[in.Sequence] < 3
}

// TestFollow_OneKeyInOrder also if another writer stored
// it first, and whatever records of other keys are in flight.
func TestFollow_OneKeyInOrder(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t).Bus
	const records, foreign = 400, 10
	var others []event.Record
	for i := range foreign { // the first accepted record comes after these
		others = append(others, event.RawRecord(fmt.Sprintf("rules.%d", foreign+1+i*37), stamp, "", []byte(`{"first":true}`)))
	}
	_, err := b.Commit(t.Context(), others)
	require.NoError(t, err)
	commit(t, b, 0, records)
	o := &ordered{bus: b, before: map[uint64]uint64{}, again: map[uint64]int{}}
	bustest.Background(t, func(ctx context.Context) error {
		return b.Follow(ctx, bus.Follower{
			Name: "ordered", Subjects: []string{event.AllAccepted}, Handler: o, Conflict: o.conflict,
			Key: func(s event.Stored) string { return fmt.Sprint(s.Sequence % keys) },
			GiveUp: func(in event.Stored, _ int, err error) (event.Record, error) {
				return event.Record{}, fmt.Errorf("record %d is given up: %w", in.Sequence, err)
			},
		})
	})
	eventually(t, "all are handled", func() bool {
		head, err := b.Head(t.Context())
		o.mu.Lock()
		defer o.mu.Unlock()
		asked := 0
		for _, n := range o.again {
			asked += n
		}
		return err == nil && head == 2*records && asked == 3*foreign
	})
	o.mu.Lock()
	defer o.mu.Unlock()
	require.Empty(t, o.wrong[:min(3, len(o.wrong))])
	require.Len(t, o.again, foreign)
}

// TestFollow_PositionCannotBeSaved: a position is a hint.
func TestFollow_PositionCannotBeSaved(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	js, err := jetstream.New(env.Conn)
	require.NoError(t, err)
	e := &echo{}
	const records = 600 // more than are handled before their output is stored
	bustest.Background(t, func(ctx context.Context) error { return env.Bus.Follow(ctx, follower(e)) })
	commit(t, env.Bus, 0, 1)
	eventually(t, "it follows", func() bool { return len(e.handled()) == 1 })
	require.NoError(t, js.DeleteKeyValue(t.Context(), "POSITIONS"))
	commit(t, env.Bus, 1, records)
	eventually(t, "all are handled", func() bool { return len(e.handled()) == records })
}
