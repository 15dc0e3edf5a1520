package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// Watch follows a desk through the durable consumer of one screen: from what is
// unacknowledged on when the screen is new, from where it stood otherwise. Each
// escalation is handed to yield at least once and counts as shown when yield
// returns nil. Watch ends after count of them (0: never), with ctx, or with the
// first error of yield.
func (c *Client) Watch(ctx context.Context, desk, screen string, count int, now func() time.Time, yield func(*event.Escalated, event.EscalationRow) error) error {
	cons, err := c.consumer(ctx, desk, screen)
	if err != nil {
		return err
	}
	ledger, err := c.js.Stream(ctx, event.StreamLedger)
	if err != nil {
		return fmt.Errorf("watch %s: %w", desk, err)
	}
	for shown := 0; count == 0 || shown < count; {
		want := fetchBatch
		if count > 0 {
			want = min(want, count-shown)
		}
		// What is fetched is shown, so no more is fetched than will be.
		batch, err := cons.Fetch(want, jetstream.FetchMaxWait(fetchWait))
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := pauseAfter(ctx, err); err != nil {
				return err
			}
			continue
		}
		for m := range batch.Messages() {
			if err := show(ctx, ledger, m, now, yield); err != nil {
				return err
			}
			shown++
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := batch.Error(); err != nil {
			// A consumer that is gone may show as nobody answering.
			if _, gone := cons.Info(ctx); errors.Is(gone, jetstream.ErrConsumerNotFound) {
				err = gone
			}
			if err := pauseAfter(ctx, err); err != nil {
				return err
			}
		}
	}
	return nil
}

const (
	fetchBatch = 100
	fetchWait  = time.Second
)

// pauseAfter waits a little before the next try; a consumer that is gone ends
// the watch.
func pauseAfter(ctx context.Context, err error) error {
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrConsumerDeleted) {
		return fmt.Errorf("watch: %w", err)
	}
	select {
	case <-time.After(100 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// consumer opens the screen's consumer, at the oldest escalation that nobody
// has acknowledged.
func (c *Client) consumer(ctx context.Context, desk, screen string) (jetstream.Consumer, error) {
	page, err := ask[event.QueryAnswer](ctx, c, event.DoorQuery, event.Query{Desk: desk, Unacknowledged: true, Limit: 1})
	if err != nil {
		return nil, err
	}
	req := event.WatchRequest{Client: screen, From: page.Through + 1}
	if len(page.Rows) > 0 {
		req.From = page.Rows[0].Record
	}
	opened, err := ask[event.WatchAnswer](ctx, c, event.WatchSubject(desk), req)
	if err != nil {
		return nil, err
	}
	if opened.Errors != nil {
		return nil, fault.Invalid("watch", opened.Errors)
	}
	cons, err := c.js.Consumer(ctx, opened.Stream, opened.Consumer)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", desk, err)
	}
	return cons, nil
}

// show hands over one escalation and, when that went well, takes it off the
// screen's list.
func show(ctx context.Context, ledger jetstream.Stream, m jetstream.Msg, now func() time.Time, yield func(*event.Escalated, event.EscalationRow) error) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	s := event.ReadStored(m.Subject(), m.Headers(), m.Data(), meta.Sequence.Stream, meta.Timestamp)
	var ack *event.Acknowledgement
	e, err := event.Decode[event.Escalated](s)
	if err != nil {
		e = unreadable(s, err) // it must not keep the desk from what is behind it
	} else if ack, err = acknowledgement(ctx, ledger, s.Subject); err != nil {
		return err
	}
	if err := yield(e, e.Row(s.Sequence, ack, nil, now())); err != nil {
		return err
	}
	if err := m.DoubleAck(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("watch: %w", err)
	}
	return nil
}

// unreadable shows a record that says nothing to us as one that a person must
// look at.
func unreadable(s event.Stored, err error) *event.Escalated {
	a := event.ParseSubject(s.Subject)
	by := s.StoredAt
	return &event.Escalated{
		ID: event.EscalationOf(s.Subject), Desk: a.Desk, Operator: a.Operator, Incident: a.Incident,
		Grade: event.Ungraded, CouldBe: event.EspeciallyGrave, From: a.Operator, Act: event.ActReview,
		Duties: []event.Duty{}, ReportedAt: s.StoredAt, AcknowledgeBy: &by,
		Unhandled: &event.Unhandled{Service: "watch", Record: s.Sequence, Subject: s.Subject, Error: err.Error(), Desk: a.Desk},
	}
}

// acknowledgement returns the acknowledgement that stands, or nil.
func acknowledgement(ctx context.Context, ledger jetstream.Stream, escalated string) (*event.Acknowledgement, error) {
	m, err := ledger.GetLastMsgForSubject(ctx, event.AcknowledgedSubject(escalated))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	return event.Decode[event.Acknowledgement](event.ReadStored(m.Subject, m.Header, m.Data, m.Sequence, m.Time))
}
