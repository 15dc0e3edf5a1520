package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
)

// Watch is WatchWithStatus without the status.
func (c *Client) Watch(ctx context.Context, desk, screen string, count int, now func() time.Time, yield func(*event.Escalated, api.EscalationRow) error) error {
	return c.WatchWithStatus(ctx, desk, screen, count, now, yield, func(WatchStatus) {})
}

// WatchWithStatus follows a desk through the durable consumer of one screen: from the
// oldest unacknowledged escalation when the screen is new, otherwise from its last
// position. Each escalation is handed to yield at least once and counts as shown when
// yield returns nil. It ends after count of them (0: never), with ctx, with the first
// error of yield, or when the server refuses the credential. A lost connection does not
// end it: it reports that, never while yield runs, and continues once it is back.
func (c *Client) WatchWithStatus(ctx context.Context, desk, screen string, count int, now func() time.Time,
	yield func(*event.Escalated, api.EscalationRow) error, notify func(WatchStatus)) error {
	cons, citations, err := c.consumer(ctx, desk, screen)
	if closed := c.closedReason(); closed != nil {
		return closed
	}
	if err != nil {
		return err
	}
	var mu sync.Mutex // yield and notify write to one screen
	monitorCtx, stopMonitor := context.WithCancel(ctx)
	var monitor sync.WaitGroup
	monitor.Go(func() {
		c.monitorLink(monitorCtx, desk, cons, func(s WatchStatus) {
			mu.Lock()
			defer mu.Unlock()
			notify(s)
		})
	})
	defer monitor.Wait()
	defer stopMonitor()
	yieldLocked := func(e *event.Escalated, row api.EscalationRow) error {
		mu.Lock()
		defer mu.Unlock()
		citations.Duties(row.Duties)
		citations.Duties(row.Standing)
		citations.Obligations(e.Owed)
		return yield(e, row)
	}
	for done := 0; count == 0 || done < count; {
		if err := c.waitConnected(ctx); err != nil {
			return err
		}
		want := fetchBatch
		if count > 0 {
			want = min(want, count-done)
		}
		// Everything fetched is shown, so fetch no more than that.
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
		n, err := c.deliver(ctx, cons, batch.Messages(), now, yieldLocked)
		if err != nil {
			return err
		}
		done += n
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := batch.Error(); err != nil {
			// A missing consumer may look like a server without an answer.
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

// pauseAfter waits a little before the next attempt; a missing consumer ends the watch.
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

// consumer opens the screen's consumer at the oldest unacknowledged escalation, and
// returns the citations that its server translates.
func (c *Client) consumer(ctx context.Context, desk, screen string) (jetstream.Consumer, event.Citations, error) {
	page, err := requestJSON[api.QueryAnswer](ctx, c, api.EndpointQuery, api.Query{Desk: desk, Unacknowledged: true, Limit: 1})
	if err != nil {
		return nil, nil, err
	}
	req := api.WatchRequest{Client: screen, From: page.Through + 1}
	if len(page.Rows) > 0 {
		req.From = page.Rows[0].Record
	}
	opened, err := requestJSON[api.WatchAnswer](ctx, c, api.WatchSubject(desk), req)
	if err != nil {
		return nil, nil, err
	}
	if err := refused("watch", opened.Errors); err != nil {
		return nil, nil, err
	}
	// A watch acknowledges deliveries: in the other realm it would hide escalations from
	// those who must see them.
	if want := c.realm.Stream(event.StreamLedger); opened.Stream != want {
		return nil, nil, fmt.Errorf("watch %s: the server named the stream %s, not %s", desk, opened.Stream, want)
	}
	js := c.js
	if opened.API != "" {
		if js, err = jetstream.NewWithAPIPrefix(c.nc, opened.API); err != nil {
			return nil, nil, fmt.Errorf("watch %s: %w", desk, err)
		}
	}
	cons, err := js.Consumer(ctx, opened.Stream, opened.Consumer)
	if err != nil {
		return nil, nil, fmt.Errorf("watch %s: %w", desk, err)
	}
	return cons, opened.Citations, nil
}

// delivery is an escalation as a screen shows it, or why it cannot be shown.
type delivery struct {
	message      jetstream.Msg
	escalation   *event.Escalated
	record       uint64
	acknowledged *event.Acknowledgement
	overdue      *event.Overdue
	err          error
}

// maxLookups is how many escalations of a fetch are looked up, or acknowledged to the
// engine, concurrently.
const maxLookups = 16

// deliver hands over the fetched escalations in order, and acknowledges to the engine
// what was shown. It looks up and acknowledges several concurrently: one after the
// other, the screen of a busy server would fall further and further behind. It returns
// how many were shown.
func (c *Client) deliver(ctx context.Context, cons jetstream.Consumer, fetched <-chan jetstream.Msg, now func() time.Time, yield func(*event.Escalated, api.EscalationRow) error) (count int, err error) {
	lookupCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	next := make(chan chan delivery, maxLookups)
	go func() {
		defer close(next)
		for m := range fetched {
			s := make(chan delivery, 1)
			select {
			case next <- s:
				go func() { s <- c.load(lookupCtx, m) }()
			case <-lookupCtx.Done():
				return // what was fetched and not shown is delivered again
			}
		}
	}()
	var acks errgroup.Group
	acks.SetLimit(maxLookups)
	for s := range next {
		s := <-s
		if err = s.err; err != nil {
			break
		}
		if err = yield(s.escalation, api.RowOf(s.escalation, s.record, s.acknowledged, s.overdue, now())); err != nil {
			break
		}
		count++
		acks.Go(func() error { return c.ackDelivery(ctx, cons, s.message) })
	}
	if ackErr := acks.Wait(); err == nil {
		err = ackErr
	}
	return count, err
}

// load reads an escalation and its outcome.
func (c *Client) load(ctx context.Context, m jetstream.Msg) delivery {
	meta, err := m.Metadata()
	if err != nil {
		return delivery{err: fmt.Errorf("watch: %w", err)}
	}
	s := event.ReadStored(c.realm, m.Subject(), m.Headers(), m.Data(), meta.Sequence.Stream, meta.Timestamp)
	if c.realm == event.Real { // a drill's clock may run faster than the stream's
		s, _ = event.WithStoredLateness(s)
	}
	out := delivery{message: m, record: s.Sequence}
	if out.escalation, err = event.Decode[event.Escalated](s); err != nil {
		out.escalation = unreadable(s, err) // it must not keep later escalations from the desk
		return out
	}
	out.acknowledged, out.overdue, out.err = c.outcomeWithRetry(ctx, event.EscalationOf(s.Subject))
	return out
}

// ackDelivery acknowledges a delivery to the engine. Where that fails, the escalation
// is shown again: a lost answer must not end the watch.
func (c *Client) ackDelivery(ctx context.Context, cons jetstream.Consumer, m jetstream.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if err := m.DoubleAck(ctx); err != nil {
		if _, infoErr := cons.Info(ctx); errors.Is(infoErr, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("watch: %w", infoErr)
		}
	}
	return nil
}

// outcomeWithRetry is outcome, retried for as long as the server is unreachable.
func (c *Client) outcomeWithRetry(ctx context.Context, escalation string) (*event.Acknowledgement, *event.Overdue, error) {
	for {
		ack, overdue, err := c.outcome(ctx, escalation)
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if !errors.Is(err, ErrUnreachable) {
			return ack, overdue, err
		}
		if err := c.waitConnected(ctx); err != nil {
			return nil, nil, err
		}
	}
}

// unreadable presents a record that we cannot decode as one that a person must review.
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

// outcome returns the acknowledgement that counts and the overdue record, or nil, both as
// of one moment.
func (c *Client) outcome(ctx context.Context, escalation string) (*event.Acknowledgement, *event.Overdue, error) {
	desk, _, _ := strings.Cut(escalation, ".")
	a, err := requestJSON[api.OutcomeAnswer](ctx, c, "desk."+desk+".outcome", api.OutcomeRequest{Escalation: escalation})
	if err != nil {
		return nil, nil, err
	}
	return a.Acknowledged, a.Overdue, refused("watch", a.Errors)
}

// Reminders hands an operator's reminders to yield as they come, until ctx ends or with
// the first error. ready runs once the subscription is active: whatever it queries and
// the reminders after it leave no gap. Reminders are not stored for an absent operator;
// what is owed stays on the list of Incidents.
func (c *Client) Reminders(ctx context.Context, operator string, ready func() error, yield func(event.Reminder) error) error {
	sub, err := c.nc.SubscribeSync(c.realm.Wire(api.ReminderOf(operator)))
	if err != nil {
		return fmt.Errorf("reminders: %w", err)
	}
	defer sub.Unsubscribe() // the connection goes with it
	flushCtx, cancel := context.WithTimeout(ctx, c.timeout)
	err = c.nc.FlushWithContext(flushCtx)
	cancel()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if err := ready(); err != nil {
		return err
	}
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if closed := c.closedReason(); closed != nil && ctx.Err() == nil {
			return closed
		}
		if err != nil {
			return fmt.Errorf("reminders: %w", err)
		}
		var r event.Reminder
		if err := json.Unmarshal(m.Data, &r); err != nil {
			continue // not a reminder: without identities anyone may publish here
		}
		if err := yield(r); err != nil {
			return err
		}
	}
}
