package main

import (
	"context"
	"errors"
	"runtime"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
)

// runBare is a plain implementation with nats.go alone: a durable pull consumer, one
// judge for each processor, publishes that are all in flight together, and an
// acknowledgement once the records of a report are stored. Each record expects that its
// subject has none, so a repeat is always refused.
func runBare(ctx context.Context, nc *nats.Conn) error {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4*inHand))
	if err != nil {
		return err
	}
	j, err := newJudge()
	if err != nil {
		return err
	}
	cons, err := reports(ctx, js)
	if err != nil {
		return err
	}
	in, err := cons.Messages(jetstream.PullMaxMessages(inHand))
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, in.Stop)
	work, _ := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		stored := make(chan handed, inHand)
		work.Go(func() error {
			defer close(stored)
			for {
				m, err := in.Next()
				if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
					return nil
				}
				if err != nil {
					continue // a missed heartbeat: the library fetches again
				}
				records, err := j.records(m.Data())
				if err != nil {
					return err
				}
				stored <- publishAll(js, m, records)
			}
		})
		work.Go(func() error {
			for h := range stored {
				h.settle()
			}
			return nil
		})
	}
	return work.Wait()
}

// handed is a report whose records are being written.
type handed struct {
	m       jetstream.Msg
	records []jetstream.PubAckFuture
	failed  error
}

func publishAll(js jetstream.JetStream, m jetstream.Msg, records []output) handed {
	h := handed{m: m}
	for _, r := range records {
		f, err := js.PublishMsgAsync(&nats.Msg{Subject: r.subject, Data: r.data, Header: nats.Header{jetstream.ExpectedLastSubjSeqHeader: {"0"}}})
		if err != nil {
			h.failed = err
			break
		}
		h.records = append(h.records, f)
	}
	return h
}

func (h handed) settle() {
	err := h.failed
	for _, f := range h.records {
		select {
		case <-f.Ok():
		case e := <-f.Err():
			if api := (*jetstream.APIError)(nil); !errors.As(e, &api) || api.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence {
				err = e
			}
		}
	}
	// A lost acknowledgement only causes one more repeat.
	if err != nil {
		_ = h.m.Nak()
	} else {
		_ = h.m.Ack()
	}
}

// runRelay is the lower bound for a path over three durable records: it passes on what it
// reads without examining it. The driver marks the reports to be escalated.
func runRelay(ctx context.Context, nc *nats.Conn) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	relay := func(stream, filter string, next func(m jetstream.Msg) []string) error {
		cons, err := js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
			Durable: durable, FilterSubject: filter, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: inHand,
		})
		if err != nil {
			return err
		}
		consuming, err := cons.Consume(func(m jetstream.Msg) {
			h := handed{m: m}
			for _, subject := range next(m) {
				f, err := js.PublishMsgAsync(&nats.Msg{Subject: subject, Data: m.Data(), Header: nats.Header{headerGrave: m.Headers()[headerGrave]}})
				if err != nil {
					h.failed = err
					break
				}
				h.records = append(h.records, f)
			}
			h.settle()
		})
		if err == nil {
			context.AfterFunc(ctx, consuming.Stop)
		}
		return err
	}
	err = relay(streamReports, api.EndpointReport, func(m jetstream.Msg) []string {
		return []string{event.GradedSubject(strings.TrimPrefix(m.Subject(), "report."), m.Headers().Get(nats.MsgIdHdr), 1)}
	})
	if err != nil {
		return err
	}
	err = relay(streamGraded, event.AllGraded, func(m jetstream.Msg) (to []string) {
		if m.Headers().Get(headerGrave) != "" {
			a := event.ParseSubject(m.Subject())
			for _, desk := range desks {
				to = append(to, event.EscalatedSubject(desk, a.Operator, a.Incident, a.Last))
			}
		}
		return to
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// headerGrave marks, for the relay alone, a report to be escalated.
const headerGrave = "Bench-Grave"
