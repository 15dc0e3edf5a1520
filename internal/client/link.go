package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-project/tocsin/internal/event"
)

// WatchStatus is the state of a watch's connection.
type WatchStatus string

// The states of a watch.
const (
	WatchLost   WatchStatus = "lost"   // the server does not answer; what is stored meanwhile is shown later
	WatchBack   WatchStatus = "back"   // it answers again
	WatchShared WatchStatus = "shared" // another screen has the same name: each shows a part
	WatchAlone  WatchStatus = "alone"  // the other screen has gone
)

// A watch checks every pingInterval that the server answers. One answer that takes longer
// than pingTimeout, or two refusals in a row, count as a lost connection, so that the
// loss is reported in less than five seconds.
const (
	pingInterval = time.Second
	pingTimeout  = 2 * time.Second
)

// WatchOptions are connection options for a screen that must detect quickly that the
// server has gone, even where nothing closes the connection.
func WatchOptions(timeout time.Duration) []nats.Option {
	return []nats.Option{nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2), nats.Timeout(min(timeout, 2*time.Second))}
}

// monitorLink reports when the server stops and resumes answering, and when another
// screen uses the same consumer, until ctx ends.
func (c *Client) monitorLink(ctx context.Context, desk string, cons jetstream.Consumer, notify func(WatchStatus)) {
	lost, misses, reconnects := false, 0, c.nc.Stats().Reconnects
	sharing := sharingDetector{}
	for {
		select {
		case <-time.After(pingInterval):
		case <-ctx.Done():
			return
		}
		if err := c.ping(ctx, desk); err != nil {
			misses++
			if !lost && ctx.Err() == nil && (misses > 1 || errors.Is(err, context.DeadlineExceeded)) {
				lost = true
				notify(WatchLost)
			}
			continue
		}
		if now := c.nc.Stats().Reconnects; now > reconnects && !lost {
			lost = true // lost and restored between two pings
			notify(WatchLost)
		}
		misses, reconnects = 0, c.nc.Stats().Reconnects
		if lost {
			lost = false
			notify(WatchBack)
		}
		if status := sharing.check(ctx, cons); status != "" && ctx.Err() == nil {
			notify(status)
		}
	}
}

// ping asks the desk's service about no escalation, which is cheap. Any answer will do.
func (c *Client) ping(ctx context.Context, desk string) error {
	if !c.nc.IsConnected() {
		return nats.ErrConnectionReconnecting
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	_, err := c.nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: c.realm.Wire("desk." + event.Token(desk) + ".outcome"), Data: []byte("{}")})
	return err
}

// sharingDetector detects whether another screen fetches from the same consumer.
type sharingDetector struct {
	reported      bool
	shared, alone int // in a row
}

// check returns a status when it changes. One request may be left over from a lost
// connection, so it takes two sightings in a row, and three without one.
func (s *sharingDetector) check(ctx context.Context, cons jetstream.Consumer) WatchStatus {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	info, err := cons.Info(ctx)
	switch {
	case err != nil:
		return ""
	case info.NumWaiting > 1:
		s.shared, s.alone = s.shared+1, 0
	default:
		s.shared, s.alone = 0, s.alone+1
	}
	switch {
	case !s.reported && s.shared >= 2:
		s.reported = true
		return WatchShared
	case s.reported && s.alone >= 3:
		s.reported = false
		return WatchAlone
	}
	return ""
}

// closedReason returns why the connection is permanently closed, or nil while it is not.
func (c *Client) closedReason() error {
	if !c.nc.IsClosed() {
		return nil
	}
	refused := c.nc.LastError()
	if first := c.refused.Load(); first != nil {
		refused = *first // later errors only repeat that the credential is refused
	}
	switch {
	case errors.Is(refused, nats.ErrAuthRevoked):
		return refusal("the server has ended the connection: the credential was revoked")
	case errors.Is(refused, nats.ErrAuthExpired):
		return refusal("the server has ended the connection: the credential has expired")
	case isAuthorization(refused):
		return refusal("the server has ended the connection: the credential is no longer valid; it was revoked or replaced")
	}
	return fmt.Errorf("%w: the connection is closed", ErrUnreachable)
}

func (c *Client) waitConnected(ctx context.Context) error {
	for !c.nc.IsConnected() {
		if err := c.closedReason(); err != nil {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}
