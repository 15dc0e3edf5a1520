// Package client is what the commands use to talk to a server: nothing but its
// NATS address.
//
// A request whose answer is lost is sent again, for as long as the client's
// patience lasts: reports and acknowledgements carry ids, so a repeat costs
// nothing. ErrUnreachable says that no answer came in that time; what was sent
// may have arrived.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// ErrUnreachable says that the server gave no answer.
var ErrUnreachable = errors.New("the server gave no answer")

// Client talks to one server. It is safe for use by several goroutines.
type Client struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	patience time.Duration
}

// tryTimeout is how long one request waits for its answer.
const tryTimeout = 5 * time.Second

// Dial connects to a server. patience is how long a request is tried.
func Dial(server string, patience time.Duration) (*Client, error) {
	nc, err := nats.Connect(server, nats.Name("tocsin client"), nats.MaxReconnects(-1),
		nats.ReconnectWait(100*time.Millisecond), nats.Timeout(min(patience, tryTimeout)))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreachable, server, err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("client: %w", err)
	}
	return &Client{nc: nc, js: js, patience: patience}, nil
}

// Close ends the connection.
func (c *Client) Close() { c.nc.Close() }

// request sends until an answer comes, and decodes it.
func request[T any](ctx context.Context, c *Client, msg *nats.Msg) (*T, error) {
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	pause := 10 * time.Millisecond
	for {
		reply, err := c.try(ctx, msg)
		if err == nil {
			answer := new(T)
			if err := json.Unmarshal(reply.Data, answer); err != nil {
				return nil, fmt.Errorf("client: the answer on %s: %w", msg.Subject, err)
			}
			return answer, nil
		}
		if errors.Is(err, nats.ErrMaxPayload) {
			return nil, fmt.Errorf("client: %w", err)
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, time.Second)
		case <-ctx.Done():
			return nil, fmt.Errorf("%w on %s: %w", ErrUnreachable, msg.Subject, err)
		}
	}
}

func (c *Client) try(ctx context.Context, msg *nats.Msg) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	reply, err := c.nc.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return nil, err
	}
	if code := reply.Header.Get("Nats-Service-Error-Code"); code != "" {
		return nil, fmt.Errorf("%s %s", code, reply.Header.Get("Nats-Service-Error"))
	}
	return reply, nil
}

func ask[T any](ctx context.Context, c *Client, subject string, question any) (*T, error) {
	data, err := json.Marshal(question)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return request[T](ctx, c, &nats.Msg{Subject: subject, Data: data})
}

// Acknowledge records that a post has taken an escalation up.
func (c *Client) Acknowledge(ctx context.Context, desk, escalation, officer string) (*event.AcknowledgementAnswer, error) {
	return ask[event.AcknowledgementAnswer](ctx, c, event.AcknowledgeSubject(desk), event.Acknowledgement{Escalation: escalation, Officer: officer})
}

// Query hands the escalations that q asks for to yield, in ledger order, page
// by page behind the scenes, at most limit of them (0: all). It returns the
// cursor to go on from, or "" at the end.
func (c *Client) Query(ctx context.Context, q event.Query, limit int, yield func(event.EscalationRow) error) (string, error) {
	given := 0
	for {
		if q.Limit = 0; limit > 0 {
			q.Limit = limit - given
		}
		page, err := ask[event.QueryAnswer](ctx, c, event.DoorQuery, q)
		if err != nil {
			return "", err
		}
		if page.Errors != nil {
			return "", fault.Invalid("query", page.Errors)
		}
		for _, row := range page.Rows {
			if err := yield(row); err != nil {
				return "", err
			}
			given++
		}
		if page.Next == "" || limit > 0 && given >= limit {
			return page.Next, nil
		}
		q.Cursor = page.Next
	}
}

// Show hands the story of an incident to yield, record by record.
func (c *Client) Show(ctx context.Context, operator, incident string, yield func(event.StoryEntry) error) error {
	req := event.ShowRequest{Operator: operator, Incident: incident}
	for {
		page, err := ask[event.ShowAnswer](ctx, c, event.DoorShow, req)
		if err != nil {
			return err
		}
		if page.Errors != nil {
			return fault.Invalid("show", page.Errors)
		}
		for _, e := range page.Entries {
			if err := yield(e); err != nil {
				return err
			}
			req.After = e.Record
		}
		if !page.More {
			return nil
		}
	}
}
