package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-project/tocsin/internal/event"
)

// stages are the parts of the time between an operator's publish and a desk's delivery,
// by the records' own stamps and the engine's. The engine stamps a record before it syncs
// it. A graded record goes to disk together with its escalations or, where batches are
// gathered on disk, before they are made.
var stages = []string{
	"published → taken", "taken → stored", "stored → graded", "graded → escalated",
	"escalated → stored", "stored → desk",
}

// stage is one of the stages.
type stage struct {
	Name string  `json:"name"`
	P50  float64 `json:"p50Millis"`
	P99  float64 `json:"p99Millis"`
	Slow float64 `json:"slowMillis"` // mean of the slowest one in a hundred escalations
}

// where reads the stages of each delivery from tocsin's ledger.
func (r *run) where(ctx context.Context) (all [][]time.Duration, err error) {
	type moments [2]time.Time // made, stored
	found := map[string]moments{}
	err = r.scan(ctx, r.graded, []string{event.AllAccepted, event.AllGraded, event.AllEscalated}, func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		s := event.ReadStored(event.Real, m.Subject(), m.Headers(), nil, meta.Sequence.Stream, meta.Timestamp)
		a := event.ParseSubject(s.Subject)
		found[strings.Join([]string{a.Kind, a.Desk, a.Incident}, " ")] = moments{s.Time, s.StoredAt}
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for d, desk := range desks {
		for i, at := range r.shownAt[d] {
			if i < r.warm {
				continue
			}
			steps := []time.Time{time.Unix(0, r.sent[i].Load())}
			of := func(key string) moments { return found[key+" "+r.load.incident(i)] }
			accepted, graded, escalated := of(event.KindAccepted+" "), of(event.KindGraded+" "), of(event.KindEscalated+" "+desk)
			steps = append(steps, accepted[0], accepted[1], graded[0], escalated[0], escalated[1], at)
			took := make([]time.Duration, len(stages))
			for k := range took {
				took[k] = steps[k+1].Sub(steps[k])
			}
			all = append(all, took)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: nothing came of which the time is known", r.name)
	}
	return all, nil
}

func stagesOf(all [][]time.Duration) []stage {
	total := func(took []time.Duration) (sum time.Duration) {
		for _, t := range took {
			sum += t
		}
		return sum
	}
	slices.SortFunc(all, func(a, b []time.Duration) int { return cmp.Compare(total(b), total(a)) })
	slow := all[:len(all)/100+1]
	out := make([]stage, len(stages))
	for k, name := range stages {
		one := make([]time.Duration, len(all))
		for i, took := range all {
			one[i] = took[k]
		}
		out[k] = stage{Name: name, P50: quantile(one, 0.5), P99: quantile(one, 0.99)}
		for _, took := range slow {
			out[k].Slow += took[k].Seconds() * 1000 / float64(len(slow))
		}
	}
	return out
}
