package main

import (
	"context"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wmnats "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
)

// runWatermill is a router with one handler that publishes to a topic for each record. It
// uses the package that watermill-nats recommends for production; the other one, for
// nats.go's newer interface, is beta and takes one message at a time. A subscriber has
// one report in flight, so there are as many subscribers as reports allowed in flight;
// with a quarter of them it is slower. The id of a record is that of its message, by
// which the engine drops repeats for two minutes.
func runWatermill(ctx context.Context, nc *nats.Conn) error {
	j, err := newJudge()
	if err != nil {
		return err
	}
	log := watermill.NopLogger{}
	streaming := wmnats.JetStreamConfig{
		TrackMsgId: true, AckAsync: true, DurablePrefix: durable,
		SubscribeOptions: []nats.SubOpt{
			nats.ManualAck(), nats.AckExplicit(), nats.DeliverAll(), nats.AckWait(ackWait), nats.MaxAckPending(inHand),
		},
	}
	in, err := wmnats.NewSubscriberWithNatsConn(nc, wmnats.SubscriberSubscriptionConfig{
		SubscribersCount: inHand, QueueGroupPrefix: durable, AckWaitTimeout: ackWait, CloseTimeout: time.Second,
		JetStream: streaming,
	}, log)
	if err != nil {
		return err
	}
	out, err := wmnats.NewPublisherWithNatsConn(nc, wmnats.PublisherPublishConfig{
		Marshaler: &wmnats.NATSMarshaler{}, SubjectCalculator: wmnats.DefaultSubjectCalculator, JetStream: streaming,
	}, log)
	if err != nil {
		return err
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: time.Second}, log)
	if err != nil {
		return err
	}
	router.AddConsumerHandler("judge", "report.*", in, func(m *message.Message) error {
		records, err := j.records(m.Payload)
		if err != nil {
			return err
		}
		for _, r := range records {
			if err := out.Publish(r.subject, message.NewMessage(r.subject, r.data)); err != nil {
				return err
			}
		}
		return nil
	})
	return router.Run(ctx)
}
