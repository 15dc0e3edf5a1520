package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cloudevent"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// Report sends one CloudEvent in structured form and returns its receipt. An empty
// operator is read from the event's source.
func (c *Client) Report(ctx context.Context, operator string, raw []byte) (*event.Receipt, error) {
	if operator == "" {
		operator = SourceOperator(raw)
	}
	r, err := request[event.Receipt](ctx, c, &nats.Msg{
		Subject: api.ReportSubject(operator),
		Header:  nats.Header{"Content-Type": {"application/cloudevents+json"}},
		Data:    raw,
	})
	if errors.Is(err, nats.ErrMaxPayload) {
		return tooLarge(operator, raw), nil
	}
	return r, err
}

// tooLarge is the receipt of a report that is too large for the connection: the server
// would refuse it, so it is refused here.
func tooLarge(operator string, raw []byte) *event.Receipt {
	names := cloudevent.NamesOf(nil, raw)
	return &event.Receipt{
		Status: event.StatusRejected, Operator: operator, Incident: names.Subject, Report: names.ID,
		Errors: []fault.Detail{{Path: "$", Message: fmt.Sprintf("has %d bytes: at most %d are taken; it was not sent", len(raw), cloudevent.MaxBytes)}},
	}
}

// SourceOperator returns the operator that an event's source names, or "unregistered"
// where it names none: the server then refuses it with the reason.
func SourceOperator(raw []byte) string {
	if operator := event.OperatorOfSource(cloudevent.NamesOf(nil, raw).Source); operator != "" {
		return operator
	}
	return "unregistered"
}

// Reports sends many events concurrently, with at most window in flight, and hands the
// receipts to done in the order of the events. events yields them one by one. The first
// failure ends it.
func (c *Client) Reports(ctx context.Context, operator string, window int, events func(yield func(raw []byte) error) error, done func(*event.Receipt) error) error {
	type answer struct {
		receipt *event.Receipt
		err     error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pending := make(chan chan answer, window)
	var readErr error
	go func() {
		defer close(pending)
		readErr = events(func(raw []byte) error {
			slot := make(chan answer, 1)
			select {
			case pending <- slot:
			case <-ctx.Done():
				return ctx.Err()
			}
			go func() {
				r, err := c.Report(ctx, operator, raw)
				slot <- answer{r, err}
			}()
			return nil
		})
	}()
	for slot := range pending {
		a := <-slot
		if a.err != nil {
			return a.err
		}
		if err := done(a.receipt); err != nil {
			return err
		}
	}
	if readErr != nil {
		return fmt.Errorf("read the reports: %w", readErr)
	}
	return nil
}
