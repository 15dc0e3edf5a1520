package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/natsd"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/event"
)

// The environment variables that make this program a contender instead of the driver.
const (
	envChild  = "PEERS_CHILD"
	envDir    = "PEERS_DIR"
	envListen = "PEERS_LISTEN"
)

// The peers' streams. Each has its own lock and its own file to sync, so that the engine
// works on several at once.
const (
	streamReports   = "REPORTS"
	streamGraded    = "GRADED"
	streamEscalated = "ESCALATED"
	streamRejected  = event.StreamRejected
)

// The settings of every peer: how many reports it may have in flight, and how long it may
// take for one. A peer that was killed gets its reports in flight again after that time;
// the engine's default is 30 s.
const (
	inHand  = 1024
	ackWait = 5 * time.Second
	durable = "peers"
)

// pipelines are the contenders that run in a child of this program. Each processes
// reports from its durable consumer until ctx ends.
var pipelines = map[string]func(ctx context.Context, nc *nats.Conn) error{
	"bare":      runBare,
	"benthos":   runBenthos,
	"watermill": runWatermill,
	"relay":     runRelay,
}

// child runs one contender with its server until it receives a signal. Like tocsin it
// talks to its server inside the process.
func child(name string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	server, err := natsd.Start(ctx, natsd.Config{Dir: os.Getenv(envDir), Listen: os.Getenv(envListen), Log: zap.NewNop()})
	if err != nil {
		return err
	}
	defer server.Stop()
	nc, err := server.Connect(natsd.ConnectOptions("peers")...)
	if err != nil {
		return err
	}
	defer nc.Close()
	if name == engineName {
		return runEngine(ctx, nc)
	}
	if err := prepare(ctx, nc); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, readyLine)
	return pipelines[name](ctx, nc)
}

// readyLine is what tocsin and the peers print when they accept reports.
const readyLine = "ready"

// prepare creates the streams and the consumer that a peer reads from.
func prepare(ctx context.Context, nc *nats.Conn) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	for name, subject := range map[string]string{
		streamReports: api.EndpointReport, streamGraded: event.AllGraded,
		streamEscalated: event.AllEscalated, streamRejected: event.SubjectsRejected[0],
	} {
		if _, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{subject}, Storage: jetstream.FileStorage, AllowDirect: true}); err != nil {
			return err
		}
	}
	return nil
}

// reports opens the durable pull consumer of a peer.
func reports(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	return js.CreateOrUpdateConsumer(ctx, streamReports, jetstream.ConsumerConfig{
		Durable: durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: inHand,
	})
}
