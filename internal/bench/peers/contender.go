package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/event"
)

// contender is one of the compared programs: how to start it, how to read its answer to a
// report, and where to read the resulting records.
type contender struct {
	name, title       string
	command           func(dir, listen string) *exec.Cmd
	answer            func(*nats.Msg) answer
	graded, escalated string // streams
	open              func(ctx context.Context, s *site, desk string) (jetstream.Consumer, error)
}

// answer is what a sender learns about its report.
type answer int

const (
	again     answer = iota // busy, or no responder: to be sent again
	taken                   // it is on disk
	duplicate               // it was already on disk
	refused                 // it is invalid
)

const tocsinName = "tocsin"

// contenders are the columns of the table, in order.
func contenders(tocsin string) []*contender {
	all := []*contender{{
		name: tocsinName, title: "tocsin", answer: receipt,
		graded: event.StreamLedger, escalated: event.StreamLedger, open: openScreen,
		command: func(dir, listen string) *exec.Cmd {
			return exec.Command(tocsin, "serve", "--data", filepath.Join(dir, "data"), "--nats-listen", listen, "--http-listen", "", "--register", filepath.Join(dir, registerFile))
		},
	}}
	for _, p := range []struct{ name, title string }{
		{"bare", "bare nats.go"}, {"benthos", "Benthos 4.78.0"}, {"watermill", "Watermill 1.5.1"},
	} {
		all = append(all, peer(p.name, p.title))
	}
	return all
}

func peer(name, title string) *contender {
	return &contender{
		name: name, title: title, answer: pubAck,
		graded: streamGraded, escalated: streamEscalated, open: openPeerDesk,
		command: func(dir, listen string) *exec.Cmd { return self(name, dir, listen) },
	}
}

// self returns the command that runs this program as a contender.
func self(name, dir, listen string) *exec.Cmd {
	path, err := os.Executable()
	if err != nil {
		path = os.Args[0]
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), envChild+"="+name, envDir+"="+dir, envListen+"="+listen)
	return cmd
}

const registerFile = "register.yaml"

// receipt reads tocsin's answer.
func receipt(m *nats.Msg) answer {
	if m.Header.Get(endpoint.HeaderErrorCode) != "" || len(m.Data) == 0 {
		return again
	}
	var r struct {
		Status string `json:"status"`
	}
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return again
	}
	switch r.Status {
	case event.StatusAccepted:
		return taken
	case event.StatusDuplicate:
		return duplicate
	}
	return refused
}

// pubAck reads the engine's answer to a report that is published into the stream that a
// peer reads from. Invalid reports are refused later.
func pubAck(m *nats.Msg) answer {
	switch {
	case len(m.Data) == 0, bytes.Contains(m.Data, []byte(`"error"`)):
		return again
	case bytes.Contains(m.Data, []byte(`"duplicate"`)):
		return duplicate
	}
	return taken
}

const screen = "bench"

// openScreen opens the durable consumer that `tocsin desk watch` reads from, through the
// same endpoint.
func openScreen(ctx context.Context, s *site, desk string) (jetstream.Consumer, error) {
	question, err := json.Marshal(api.WatchRequest{Client: screen, From: s.next[event.StreamLedger]})
	if err != nil {
		return nil, err
	}
	reply, err := s.nc.RequestWithContext(ctx, api.WatchSubject(desk), question)
	if err != nil {
		return nil, err
	}
	var opened api.WatchAnswer
	if err := json.Unmarshal(reply.Data, &opened); err != nil || opened.Consumer == "" {
		return nil, fmt.Errorf("open %s: %s: %w", desk, reply.Data, err)
	}
	return s.js.Consumer(ctx, opened.Stream, opened.Consumer)
}

// openPeerDesk opens the same consumer as tocsin's on a peer's stream.
func openPeerDesk(ctx context.Context, s *site, desk string) (jetstream.Consumer, error) {
	return s.js.CreateOrUpdateConsumer(ctx, streamEscalated, jetstream.ConsumerConfig{
		Durable: "desk_" + desk, FilterSubject: event.EscalatedTo(desk),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: 1000,
	})
}

// site is a running contender, and the driver's connection to it.
type site struct {
	*contender
	*process
	dir  string
	nc   *nats.Conn
	js   jetstream.JetStream
	next map[string]uint64 // by stream: the sequence at which the next measurement begins
}

// begin starts a contender in a folder, which may contain its data from before.
func begin(ctx context.Context, c *contender, dir string) (*site, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, registerFile), registerYAML(), 0o644); err != nil {
		return nil, err
	}
	listen, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &site{contender: c, dir: dir}
	if s.process, err = start(ctx, c.command(dir, listen), listen); err != nil {
		return nil, err
	}
	s.nc, err = nats.Connect(listen, nats.Name("bench"), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectPause), nats.ReconnectJitter(0, 0),
		nats.ReconnectBufSize(-1), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // a lost connection is expected here
	if err != nil {
		s.kill()
		return nil, err
	}
	if s.js, err = jetstream.New(s.nc); err != nil {
		s.end()
		return nil, err
	}
	return s, s.mark(ctx)
}

// restart starts the contender again in the same folder.
func (s *site) restart(ctx context.Context) (err error) {
	s.process, err = start(ctx, s.command(s.dir, s.listen), s.listen)
	return err
}

// end stops the contender.
func (s *site) end() error {
	s.nc.Close()
	return s.stop()
}

// mark notes the last sequence of every stream.
func (s *site) mark(ctx context.Context) error {
	s.next = map[string]uint64{}
	all := s.js.ListStreams(ctx)
	for info := range all.Info() {
		s.next[info.Config.Name] = info.State.LastSeq + 1
	}
	return all.Err()
}

// written returns how many records were stored since the mark, without the positions that
// services store.
func (s *site) written(ctx context.Context) (n uint64, err error) {
	all := s.js.ListStreams(ctx)
	for info := range all.Info() {
		if !strings.HasPrefix(info.Config.Name, "KV_") {
			n += info.State.LastSeq + 1 - s.next[info.Config.Name]
		}
	}
	return n, all.Err()
}
