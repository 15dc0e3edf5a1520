package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
)

// round is one load at the contender's maximum rate.
type round struct {
	Events  int     `json:"events"`
	Seconds float64 `json:"seconds"` // from the first report until all are answered and graded, and every desk is told
	Records uint64  `json:"records"` // stored
	usage           // once index and tree have caught up, too
	outcome
	Index *lag `json:"index,omitempty"` // tocsin's
	Tree  *lag `json:"tree,omitempty"`
}

func (r round) perSecond() float64        { return float64(r.Events) / r.Seconds }
func (r round) recordsPerSecond() float64 { return float64(r.Records) / r.Seconds }

// lag is how far a projection of the ledger was behind when the last desk was told, and
// how long it took to catch up.
type lag struct {
	Records uint64  `json:"records"`
	Seconds float64 `json:"seconds"`
}

// throughput sends a load with a window and checks the results.
func (s *site) throughput(ctx context.Context, l load) (out round, err error) {
	r, err := s.newRun(ctx, l)
	if err != nil {
		return out, err
	}
	defer r.close()
	if err := r.watchDesks(ctx); err != nil {
		return out, err
	}
	began := machine.Now()
	err = r.sendAll(ctx)
	if err == nil {
		err = r.tell(ctx, graves(l.events))
	}
	if err == nil {
		err = r.grade(ctx, l.events-invalids(l.events))
	}
	if err != nil {
		return out, err
	}
	out.Events, out.Seconds = l.events, machine.Now().Sub(began).Seconds()
	if s.name == tocsinName {
		if out.Index, out.Tree, err = s.catchUp(ctx); err != nil {
			return out, err
		}
	}
	if out.usage, err = s.usage(); err != nil {
		return out, err
	}
	if out.Records, err = s.written(ctx); err != nil {
		return out, err
	}
	out.outcome, err = r.check(ctx)
	return out, err
}

// catchUpWait is how long index and tree may take to catch up.
const catchUpWait = 5 * time.Minute

// catchUp waits until tocsin's index and tree have every record.
func (s *site) catchUp(ctx context.Context) (index, tree *lag, err error) {
	ctx, cancel := context.WithTimeout(ctx, catchUpWait)
	defer cancel()
	for began := machine.Now(); ; time.Sleep(gradePause) {
		now, err := s.state(ctx)
		if err != nil {
			return nil, nil, err
		}
		if index == nil {
			index, tree = &lag{Records: now.Head - min(now.Head, now.Indexed)}, &lag{Records: now.Head - min(now.Head, now.Size)}
		}
		took := machine.Now().Sub(began).Seconds()
		if index.Seconds == 0 && now.Indexed >= now.Head {
			index.Seconds = took
		}
		if tree.Seconds == 0 && now.Size >= now.Head {
			tree.Seconds = took
		}
		if index.Seconds > 0 && tree.Seconds > 0 {
			return index, tree, nil
		}
	}
}

// state returns the state of tocsin's log.
func (s *site) state(ctx context.Context) (now api.LogState, err error) {
	reply, err := s.nc.RequestWithContext(ctx, api.EndpointLog, []byte("{}"))
	if err != nil {
		return now, fmt.Errorf("state of the log: %w", err)
	}
	return now, json.Unmarshal(reply.Data, &now)
}

// sample reads stored records of the ledger, for the engine to write again.
func (s *site) sample(ctx context.Context, n int) (out []stored, err error) {
	stream, err := s.js.Stream(ctx, s.graded)
	if err != nil {
		return nil, err
	}
	cons, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"incident.>"}})
	if err != nil {
		return nil, err
	}
	in, err := cons.Messages()
	if err != nil {
		return nil, err
	}
	defer in.Stop()
	for range min(n, int(stream.CachedInfo().State.Msgs)-notIncidents) {
		m, err := in.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, err
		}
		out = append(out, asStored(m))
	}
	return out, nil
}

// notIncidents is more than tocsin stores at its start: packs and register.
const notIncidents = 100

// latency is the time from publishing a report until a desk has the escalation.
type latency struct {
	P50     float64 `json:"p50Millis"`
	P99     float64 `json:"p99Millis"`
	Samples int     `json:"samples"`
	Stages  []stage `json:"stages,omitempty"` // tocsin's
	delays  []time.Duration
	steps   [][]time.Duration // of deliveries, as long as stages
}

// latencyRate is how many reports per second are sent where latency is measured. Those of
// warmUp do not count.
const (
	latencyRate = 200
	warmUp      = time.Second
	warmReports = latencyRate * int(warmUp/time.Second)
)

// latency sends a load at latencyRate and adds the results to to.
func (s *site) latency(ctx context.Context, l load, to *latency) error {
	r, err := s.newRun(ctx, l)
	if err != nil {
		return err
	}
	defer r.close()
	r.warm = warmReports
	if err := r.watchDesks(ctx); err != nil {
		return err
	}
	r.pace(ctx, latencyRate)
	if err := r.tell(ctx, graves(l.events)); err != nil {
		return err
	}
	if s.name == tocsinName {
		steps, err := r.where(ctx)
		if err != nil {
			return err
		}
		to.steps = append(to.steps, steps...)
		to.Stages = stagesOf(to.steps)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if got, want := r.toldOf(), graves(l.events)*len(desks); got < want {
		return fmt.Errorf("%s: %d of %d escalations came", s.name, got, want)
	}
	to.delays = append(to.delays, r.delays...)
	to.P50, to.P99, to.Samples = quantile(to.delays, 0.5), quantile(to.delays, 0.99), len(to.delays)
	return nil
}

// death is the effect of kill -9 in the middle of a load.
type death struct {
	Events int `json:"events"`
	outcome
	Stall  float64 `json:"stallSeconds"` // longest time without a delivery, from the kill to the end
	Answer float64 `json:"answerSeconds"`
}

// killed kills the contender when half of the reports are answered and restarts it at
// once. The senders send unanswered reports again.
func (s *site) killed(ctx context.Context, l load) (out death, err error) {
	r, err := s.newRun(ctx, l)
	if err != nil {
		return out, err
	}
	defer r.close()
	if err := r.watchDesks(ctx); err != nil {
		return out, err
	}
	r.survives, r.window = true, min(window, l.events/4) // so that some remain to be sent
	sending := make(chan error, 1)
	go func() { sending <- r.sendAll(ctx) }()
	half := func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.answers[taken]+r.answers[refused]+r.answers[duplicate] >= l.events/2
	}
	for !half() {
		select {
		case err := <-sending:
			return out, errors.Join(err, fmt.Errorf("%s: all was sent before it could be killed", s.name))
		case <-time.After(poll):
		}
	}
	s.kill()
	dead := machine.Now()
	r.mu.Lock()
	r.lastTold, r.gap, r.firstAck = dead, 0, time.Time{}
	r.mu.Unlock()
	if err := s.restart(ctx); err != nil {
		return out, err
	}
	if err := <-sending; err != nil {
		return out, err
	}
	if err := r.tell(ctx, graves(l.events)); err != nil {
		return out, err
	}
	if err := r.grade(ctx, l.events-invalids(l.events)); err != nil {
		return out, err
	}
	time.Sleep(ackWait + time.Second) // for redelivered reports
	if out.outcome, err = r.check(ctx); err != nil {
		return out, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	out.Events, out.Stall, out.Answer = l.events, r.gap.Seconds(), r.firstAck.Sub(dead).Seconds()
	return out, nil
}

// overload is the result of a minute of more load than the contender can accept.
type overload struct {
	Alone    float64 `json:"alonePerSecond"` // what it accepts in the same time when it is offered no more
	Offered  float64 `json:"offeredPerSecond"`
	Taken    float64 `json:"takenPerSecond"` // answered as taken, or refused as invalid, while it lasted
	Told     float64 `json:"toldPerSecond"`  // of those, until the last desk was told of the last
	Behind   float64 `json:"behindSeconds"`  // the last delivery, after the last report was sent
	Busy     int     `json:"busy"`           // answered with "busy"
	Silent   int     `json:"silent"`         // without any answer: not refused cleanly
	Lost     int     `json:"lost"`           // escalations of accepted reports
	Sending  float64 `json:"sentPerSecond"`  // the rate that the driver achieved
	MemoryMB float64 `json:"memoryMB"`
}

// overloaded sends a load at a rate, each report once, and waits for the accepted ones.
func (s *site) overloaded(ctx context.Context, l load, rate float64) (out overload, err error) {
	r, err := s.newRun(ctx, l)
	if err != nil {
		return out, err
	}
	defer r.close()
	if err := r.watchDesks(ctx); err != nil {
		return out, err
	}
	began := machine.Now()
	r.pace(ctx, rate)
	lasted := machine.Now()
	r.mu.Lock()
	took := r.answers[taken] + r.answers[refused]
	r.mu.Unlock()
	if err := r.await(ctx, func() bool { return len(r.waiting) == 0 }); err != nil {
		return out, err
	}
	u, err := s.usage() // before the driver reads everything back
	if err != nil {
		return out, err
	}
	graded, err := r.settled(ctx)
	if err != nil {
		return out, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	out = overload{
		Offered: rate, Sending: float64(l.events) / lasted.Sub(began).Seconds(),
		Taken: float64(took) / lasted.Sub(began).Seconds(), Busy: r.answers[again], Silent: len(r.waiting),
		Told:   float64(r.answers[taken]+r.answers[refused]) / max(lasted.Sub(began), r.lastTold.Sub(began)).Seconds(),
		Behind: max(0, r.lastTold.Sub(lasted).Seconds()), MemoryMB: u.Memory,
	}
	for incident := range graded {
		if i, _ := l.index(incident); l.grave(i) {
			for d := range desks {
				if _, told := r.shown[d][i]; !told {
					out.Lost++
				}
			}
		}
	}
	out.Lost += max(0, r.answers[taken]-len(graded))
	return out, nil
}

// settled waits until as many reports are graded as were accepted and the desks are told
// nothing new, and returns the graded ones.
func (r *run) settled(ctx context.Context) (map[string]int, error) {
	r.mu.Lock()
	want := r.answers[taken]
	r.mu.Unlock()
	if err := r.grade(ctx, want); err != nil {
		return nil, err
	}
	graded, err := r.stored(ctx, r.graded, event.AllGraded)
	if err != nil {
		return nil, err
	}
	n := 0
	for incident := range graded {
		if i, _ := r.load.index(incident); r.load.grave(i) {
			n++
		}
	}
	return graded, r.tell(ctx, n)
}
