package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure" // the parts of a pipeline
	"github.com/redpanda-data/benthos/v4/public/service"
)

// benthosConfig is the pipeline. The processor is a plugin that runs the judge:
// json_schema and mappings in Bloblang need a tenth more processor time for a smaller
// schema.
const benthosConfig = `
http: {enabled: false}
input: {bench_jetstream: {}}
pipeline:
  threads: -1
  processors: [{bench_judge: {}}]
output: {bench_jetstream: {}}
`

// runBenthos is Redpanda Connect's engine with a minimal JetStream input and output. A
// report and its records are one batch, whose messages are published together; the report
// is acknowledged when all are stored.
func runBenthos(ctx context.Context, nc *nats.Conn) error {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4*inHand))
	if err != nil {
		return err
	}
	j, err := newJudge()
	if err != nil {
		return err
	}
	env, none := service.NewEnvironment(), service.NewConfigSpec()
	err = errors.Join(
		env.RegisterInput("bench_jetstream", none, func(*service.ParsedConfig, *service.Resources) (service.Input, error) {
			return service.AutoRetryNacks(&benthosInput{js: js}), nil
		}),
		env.RegisterProcessor("bench_judge", none, func(*service.ParsedConfig, *service.Resources) (service.Processor, error) {
			return benthosJudge{j}, nil
		}),
		env.RegisterBatchOutput("bench_jetstream", none, func(*service.ParsedConfig, *service.Resources) (service.BatchOutput, service.BatchPolicy, int, error) {
			return benthosOutput{js}, service.BatchPolicy{}, inHand, nil
		}),
	)
	if err != nil {
		return err
	}
	b := env.NewStreamBuilder()
	b.SetLogger(slog.New(slog.DiscardHandler))
	if err := b.SetYAML(benthosConfig); err != nil {
		return err
	}
	stream, err := b.Build()
	if err != nil {
		return err
	}
	if err := stream.Run(ctx); ctx.Err() == nil {
		return err
	}
	return nil
}

type benthosInput struct {
	js jetstream.JetStream
	in jetstream.MessagesContext
}

func (i *benthosInput) Connect(ctx context.Context) error {
	cons, err := reports(ctx, i.js)
	if err != nil {
		return err
	}
	i.in, err = cons.Messages(jetstream.PullMaxMessages(inHand))
	return err
}

func (i *benthosInput) Read(ctx context.Context) (*service.Message, service.AckFunc, error) {
	for {
		m, err := i.in.Next(jetstream.NextContext(ctx))
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return nil, nil, service.ErrNotConnected
		}
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if err != nil {
			continue // a missed heartbeat: the library fetches again
		}
		return service.NewMessage(m.Data()), func(_ context.Context, err error) error {
			if err != nil {
				return m.Nak()
			}
			return m.Ack()
		}, nil
	}
}

func (i *benthosInput) Close(context.Context) error {
	if i.in != nil {
		i.in.Stop()
	}
	return nil
}

type benthosJudge struct{ *judge }

func (j benthosJudge) Process(_ context.Context, m *service.Message) (service.MessageBatch, error) {
	raw, err := m.AsBytes()
	if err != nil {
		return nil, err
	}
	records, err := j.records(raw)
	if err != nil {
		return nil, err
	}
	batch := make(service.MessageBatch, len(records))
	for i, r := range records {
		batch[i] = m.Copy()
		batch[i].SetBytes(r.data)
		batch[i].MetaSetMut("subject", r.subject)
	}
	return batch, nil
}

func (benthosJudge) Close(context.Context) error { return nil }

type benthosOutput struct{ js jetstream.JetStream }

func (benthosOutput) Connect(context.Context) error { return nil }

// WriteBatch stores the records of one report. The id of a record is its subject, by
// which the engine drops repeats for two minutes.
func (o benthosOutput) WriteBatch(ctx context.Context, batch service.MessageBatch) error {
	futures := make([]jetstream.PubAckFuture, len(batch))
	for i, m := range batch {
		data, err := m.AsBytes()
		if err != nil {
			return err
		}
		subject, _ := m.MetaGet("subject")
		if futures[i], err = o.js.PublishMsgAsync(&nats.Msg{Subject: subject, Data: data, Header: nats.Header{nats.MsgIdHdr: {subject}}}); err != nil {
			return err
		}
	}
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (benthosOutput) Close(context.Context) error { return nil }
