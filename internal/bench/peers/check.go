package main

import (
	"context"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-project/tocsin/internal/event"
)

// outcome compares what is stored of a load with what should be.
type outcome struct {
	Lost  int `json:"lost"`           // answered reports without a graded record, and escalations that did not reach their desk
	Twice int `json:"storedTwice"`    // records of the same report, or of the same escalation, beyond the first
	Again int `json:"deliveredAgain"` // repeated deliveries of a record
	Wrong int `json:"wrong"`          // valid reports refused, or the other way round
}

func (o outcome) exact() bool { return o.Lost == 0 && o.Twice == 0 && o.Wrong == 0 }

// check counts what is on disk: every record, whether or not anybody has read it.
func (r *run) check(ctx context.Context) (o outcome, err error) {
	graded, err := r.stored(ctx, r.graded, event.AllGraded)
	if err != nil {
		return o, err
	}
	escalated, err := r.stored(ctx, r.escalated, event.AllEscalated)
	if err != nil {
		return o, err
	}
	rejected, err := r.js.Stream(ctx, streamRejected)
	if err != nil {
		return o, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	o.Again = r.again
	for i := range r.load.events {
		n := graded[r.load.incident(i)]
		switch {
		case r.load.invalid(i):
			o.Wrong += n
		case n == 0:
			o.Lost++
		default:
			o.Twice += n - 1
		}
		for d, desk := range desks {
			n := escalated[desk+"."+r.load.incident(i)]
			_, told := r.shown[d][i]
			switch {
			case !r.load.grave(i):
				o.Wrong += n
			case n == 0 || !told:
				o.Lost++
			default:
				o.Twice += n - 1
			}
		}
	}
	// A refused report has no incident that identifies it.
	kept := int(rejected.CachedInfo().State.LastSeq + 1 - r.next[streamRejected])
	o.Lost += max(0, invalids(r.load.events)-kept)
	o.Twice += max(0, kept-invalids(r.load.events))
	return o, nil
}

// stored counts a stream's records of the load by their identity: the incident, and for
// escalations also the desk.
func (r *run) stored(ctx context.Context, stream, filter string) (map[string]int, error) {
	found := map[string]int{}
	return found, r.scan(ctx, stream, []string{filter}, func(m jetstream.Msg) error {
		a := event.ParseSubject(m.Subject())
		if _, ours := r.load.index(a.Incident); !ours {
			return nil
		}
		key := a.Incident
		if a.Desk != "" {
			key = a.Desk + "." + key
		}
		found[key]++
		return nil
	})
}

// scan reads the headers of the records that a stream has stored since the run began.
func (r *run) scan(ctx context.Context, stream string, filters []string, each func(jetstream.Msg) error) error {
	s, err := r.js.Stream(ctx, stream)
	if err != nil {
		return err
	}
	cons, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: filters, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.next[stream], HeadersOnly: true,
	})
	if err != nil {
		return err
	}
	pending, err := cons.Info(ctx)
	if err != nil || pending.NumPending == 0 {
		return err
	}
	in, err := cons.Messages(jetstream.PullMaxMessages(5000))
	if err != nil {
		return err
	}
	defer in.Stop()
	for range pending.NumPending {
		m, err := in.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		if err := each(m); err != nil {
			return err
		}
	}
	return nil
}

// quantile returns a quantile of durations, in milliseconds.
func quantile(d []time.Duration, q float64) float64 {
	if len(d) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(d))
	return float64(sorted[min(len(sorted)-1, int(q*float64(len(sorted))))].Microseconds()) / 1000
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(v))
	return (sorted[len(sorted)/2] + sorted[(len(sorted)-1)/2]) / 2
}
