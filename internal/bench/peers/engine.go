package main

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/tocsin-project/tocsin/internal/event"
)

// engineName is the child that writes records as fast as the engine accepts them. It
// reads them from sampleFile in its folder and prints engineLimits.
const (
	engineName = "engine"
	sampleFile = "sample"
)

// engineLimits are rates in records stored per second.
type engineLimits struct {
	OneByOne float64 `json:"oneByOne"`
	Async    float64 `json:"async"` // asyncPending in flight
	Batch    float64 `json:"batch"` // atomic, of batchRecords
	Bytes    int     `json:"bytes"` // of a record, on average, with its subject and headers
}

const (
	asyncPending = 4096
	batchRecords = 1000 // the maximum that the engine accepts in one batch
	engineTime   = time.Second
)

// stored is a record as stored in a stream, without what the engine or its clients added.
type stored struct {
	Subject string
	Header  nats.Header
	Data    []byte
}

func (s stored) size() int {
	n := len(s.Subject) + len(s.Data)
	for k, v := range s.Header {
		n += len(k) + len(v[0]) + 4
	}
	return n
}

func asStored(m jetstream.Msg) stored {
	s := stored{m.Subject(), nats.Header{}, m.Data()}
	for k, v := range m.Headers() {
		if !strings.HasPrefix(k, "Nats-") {
			s.Header[k] = v
		}
	}
	return s
}

func writeSample(dir string, records []stored) error {
	f, err := os.Create(filepath.Join(dir, sampleFile))
	if err != nil {
		return err
	}
	return errors.Join(gob.NewEncoder(f).Encode(records), f.Close())
}

func runEngine(ctx context.Context, nc *nats.Conn) error {
	f, err := os.Open(filepath.Join(os.Getenv(envDir), sampleFile))
	if err != nil {
		return err
	}
	defer f.Close()
	var sample []stored
	if err := gob.NewDecoder(f).Decode(&sample); err != nil {
		return err
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(asyncPending))
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, readyLine)
	e := engine{ctx: ctx, js: js, sample: sample}
	var out engineLimits
	for _, s := range sample {
		out.Bytes += s.size()
	}
	out.Bytes /= len(sample)
	if out.OneByOne, err = e.limit(1, e.one); err != nil {
		return err
	}
	if out.Async, err = e.limit(asyncPending, e.async); err != nil {
		return err
	}
	if out.Batch, err = e.limit(batchRecords, e.batch); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

type engine struct {
	ctx    context.Context
	js     jetstream.JetStream
	sample []stored
}

// limit writes to a stream like tocsin's ledger for engineTime, in chunks of the given
// number of records, and returns the records stored per second.
func (e engine) limit(chunk int, write func([]*nats.Msg) error) (float64, error) {
	_, err := e.js.CreateStream(e.ctx, jetstream.StreamConfig{
		Name: event.StreamLedger, Subjects: []string{"incident.>", "rules.>", "report.>"}, Storage: jetstream.FileStorage,
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
		DenyPurge: true, AllowDirect: true, AllowAtomicPublish: true,
	})
	if err != nil {
		return 0, err
	}
	n, began := 0, machine.Now()
	for machine.Now().Sub(began) < engineTime {
		messages := make([]*nats.Msg, chunk)
		for i := range messages {
			s := e.sample[(n+i)%len(e.sample)]
			messages[i] = &nats.Msg{Subject: fmt.Sprintf("%s-%d", s.Subject, (n+i)/len(e.sample)), Header: nats.Header{}, Data: s.Data}
			for k, v := range s.Header {
				messages[i].Header[k] = slices.Clone(v)
			}
			messages[i].Header.Set(jetstream.ExpectedLastSubjSeqHeader, "0")
		}
		if err := write(messages); err != nil {
			return 0, err
		}
		n += chunk
	}
	rate := float64(n) / machine.Now().Sub(began).Seconds()
	return rate, e.js.DeleteStream(e.ctx, event.StreamLedger)
}

func (e engine) one(messages []*nats.Msg) error {
	_, err := e.js.PublishMsg(e.ctx, messages[0])
	return err
}

func (e engine) async(messages []*nats.Msg) error {
	futures := make([]jetstream.PubAckFuture, len(messages))
	for i, m := range messages {
		f, err := e.js.PublishMsgAsync(m, jetstream.WithStallWait(10*time.Second))
		if err != nil {
			return err
		}
		futures[i] = f
	}
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		}
	}
	return nil
}

func (e engine) batch(messages []*nats.Msg) error {
	ctx, cancel := context.WithTimeout(e.ctx, 10*time.Second)
	defer cancel()
	_, err := jetstreamext.PublishMsgBatch(ctx, e.js, messages, jetstreamext.BatchFlowControl{AckTimeout: 10 * time.Second})
	return err
}
