// Package client is the commands' connection to a server, of which they need only the
// NATS address.
//
// A request without an answer is sent again until the client's timeout: reports and
// acknowledgements carry ids, so a repeat does no harm. ErrUnreachable means that no
// answer came in that time; the request may have arrived. A server that accepts nothing
// until a person has intervened is not asked again.
//
// A client belongs to one realm, the real records or those of drills, and cannot name
// anything in the other.
package client

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
)

// ErrUnreachable means that the server gave no answer.
var ErrUnreachable = errors.New("the server gave no answer")

// Client talks to one server. It is safe for use by several goroutines.
type Client struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	realm    event.Realm
	timeout  time.Duration
	signer   nkeys.KeyPair         // signs a desk's acts; nil: they are not signed
	inFlight sync.Map              // of *inFlightRequest
	refused  atomic.Pointer[error] // with which the server first refused the credential
}

type inFlightRequest struct {
	subject string
	cancel  context.CancelCauseFunc
}

// AttemptTimeout is how long one attempt waits for its answer before the request is sent
// again. Tests set it higher: on a busy machine a report that is sent twice is answered
// as a duplicate.
var AttemptTimeout = 5 * time.Second

// Dial connects to a server's real realm.
func Dial(server string, timeout time.Duration, more ...nats.Option) (*Client, error) {
	return DialContext(context.Background(), event.Real, server, timeout, more...)
}

// DialContext connects to one realm of a server, until ctx ends. timeout is how long a
// request is retried; more options carry the credential.
func DialContext(ctx context.Context, realm event.Realm, server string, timeout time.Duration, more ...nats.Option) (*Client, error) {
	c := &Client{realm: realm, timeout: timeout}
	options := []nats.Option{nats.ErrorHandler(c.asyncError), nats.Name("tocsin client"), nats.MaxReconnects(-1),
		nats.ReconnectWait(100 * time.Millisecond), nats.Timeout(min(timeout, AttemptTimeout))}
	nc, err := connect(ctx, server, timeout, append(options, more...))
	switch {
	case isAuthorization(err):
		return nil, refusal("the server at " + server + " requires a valid credential: give one with --creds")
	case err != nil:
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreachable, server, err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("client: %w", err)
	}
	c.nc, c.js = nc, js
	return c, nil
}

// connect retries until the timeout: the server may be starting, or the network may be
// down for a moment.
func connect(ctx context.Context, server string, timeout time.Duration, options []nats.Option) (*nats.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		nc, err := nats.Connect(server, options...)
		if err == nil || !isTemporary(err) {
			return nc, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// isTemporary reports whether connecting again may help. It does not where the server
// refuses the credential, where its certificate is not trusted, or where the address is
// invalid.
func isTemporary(err error) bool {
	if errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(*url.Error)) || errors.As(err, new(*net.AddrError)) {
		return false
	}
	if network := net.Error(nil); errors.As(err, &network) {
		return true
	}
	return errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, io.EOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, nats.ErrStaleConnection) || errors.Is(err, nats.ErrMaxConnectionsExceeded)
}

// isAuthorization reports whether the server refused the credential.
func isAuthorization(err error) bool {
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAuthRevoked)
}

// asyncError ends the requests that the server refuses: it reports those on the
// connection, not as a reply.
func (c *Client) asyncError(_ *nats.Conn, _ *nats.Subscription, err error) {
	if isAuthorization(err) {
		c.refused.CompareAndSwap(nil, &err)
	}
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	c.inFlight.Range(func(key, _ any) bool {
		if a := key.(*inFlightRequest); strings.Contains(err.Error(), strconv.Quote(a.subject)) {
			a.cancel(refusal("this credential may not use " + a.subject))
		}
		return true
	})
}

// Close ends the connection.
func (c *Client) Close() { c.nc.Close() }

// request sends until an answer comes, and decodes it. The subject is given without its
// realm.
func request[T any](ctx context.Context, c *Client, msg *nats.Msg) (*T, error) {
	msg.Subject = c.realm.Wire(msg.Subject)
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, cancelCause := context.WithCancelCause(ctx)
	defer cancelCause(nil)
	a := &inFlightRequest{msg.Subject, cancelCause}
	c.inFlight.Store(a, nil)
	defer c.inFlight.Delete(a)
	pause := 10 * time.Millisecond
	for {
		reply, err := c.try(ctx, msg)
		if err == nil {
			answer := new(T)
			if err := json.Unmarshal(reply.Data, answer, event.JSON); err != nil {
				return nil, fmt.Errorf("client: the answer on %s: %w", msg.Subject, err)
			}
			return answer, nil
		}
		if closed := c.closedReason(); closed != nil { // otherwise it would be retried
			if errors.Is(closed, ErrUnreachable) {
				return nil, fmt.Errorf("%w on %s: %w", ErrUnreachable, msg.Subject, err)
			}
			return nil, closed
		}
		if errors.Is(err, nats.ErrMaxPayload) {
			return nil, fmt.Errorf("client: %w", err)
		}
		if refused := refusal(""); errors.As(err, &refused) {
			return nil, refused
		}
		if errors.Is(err, errRateLimited) {
			pause = time.Second // the interval of the rate limit
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, time.Second)
		case <-ctx.Done():
			if refused := refusal(""); errors.As(context.Cause(ctx), &refused) {
				return nil, refused
			}
			return nil, fmt.Errorf("%w on %s: %w", ErrUnreachable, msg.Subject, err)
		}
	}
}

// Codes of the service errors that decide what the client does next.
const (
	codeForbidden   = "403" // the caller has no permission
	codeTooLarge    = "413" // the request or its answer is too large
	codeFrozen      = "423" // writing is frozen until a person has intervened
	codeRateLimited = "429" // the caller has exceeded its rate for now
	codeFull        = "507" // the server's disk is full
)

var errRateLimited = errors.New("rate limit exceeded")

// refusal is the server's reason for refusing a request that it would refuse again.
type refusal string

func (r refusal) Error() string { return string(r) }

func (c *Client) try(ctx context.Context, msg *nats.Msg) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	reply, err := c.nc.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return nil, err
	}
	switch code, text := reply.Header.Get("Nats-Service-Error-Code"), reply.Header.Get("Nats-Service-Error"); code {
	case "":
		return reply, nil
	case codeFrozen, codeFull:
		return nil, refusal("the server refused the request: " + text)
	case codeForbidden, codeTooLarge:
		return nil, refusal(text)
	case codeRateLimited:
		return nil, fmt.Errorf("%w: %s", errRateLimited, text)
	default:
		return nil, fmt.Errorf("%s %s", code, text)
	}
}

func requestJSON[T any](ctx context.Context, c *Client, subject string, payload any) (*T, error) {
	data, err := json.Marshal(payload, event.JSON)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return request[T](ctx, c, &nats.Msg{Subject: subject, Data: data})
}

// Acknowledge records that a post has taken an escalation up.
func (c *Client) Acknowledge(ctx context.Context, desk, escalation, officer string) (*api.AcknowledgementAnswer, error) {
	return act[api.AcknowledgementAnswer](ctx, c, api.AcknowledgeSubject(desk), event.AcknowledgedSubject(escalation), event.Acknowledgement{Escalation: escalation, Officer: officer})
}

// Act records a desk's other act on an incident. An act without an id gets a random one,
// under which it is sent until an answer comes: two calls are two acts, and a lost answer
// does not add one.
func (c *Client) Act(ctx context.Context, a event.DeskAct) (*api.DeskActAnswer, error) {
	if a.ID == "" {
		a.ID = rand.Text()
	}
	return act[api.DeskActAnswer](ctx, c, api.ActSubject(a.Desk), event.ActRecordSubject(a), a)
}

// Desks lists every desk of the register with its screens.
func (c *Client) Desks(ctx context.Context) (*api.DesksAnswer, error) {
	return requestJSON[api.DesksAnswer](ctx, c, api.EndpointDesks, struct{}{})
}

// Query hands the matching escalations to yield, in ledger order, fetching page by page,
// at most limit of them (0: all). It returns the cursor to continue from, or "" at the
// end.
func (c *Client) Query(ctx context.Context, q api.Query, limit int, yield func(api.EscalationRow) error) (string, error) {
	return pages(q.Cursor, limit, func(cursor string, rows int) ([]api.EscalationRow, string, error) {
		q.Cursor, q.Limit = cursor, rows
		page, err := requestJSON[api.QueryAnswer](ctx, c, api.EndpointQuery, q)
		if err != nil {
			return nil, "", err
		}
		return page.Rows, page.Next, refused("query", page.Errors)
	}, yield)
}

// Incidents is Query for incidents in their current state, the least recently changed
// first. now is the server's time at the last page, by which lateness is judged: in a
// drill its clock may run faster than ours.
func (c *Client) Incidents(ctx context.Context, q api.IncidentQuery, limit int, yield func(api.IncidentRow) error) (cursor string, now time.Time, err error) {
	cursor, err = pages(q.Cursor, limit, func(cursor string, rows int) ([]api.IncidentRow, string, error) {
		q.Cursor, q.Limit = cursor, rows
		page, err := requestJSON[api.IncidentAnswer](ctx, c, api.EndpointIncidents, q)
		if err != nil {
			return nil, "", err
		}
		now = page.Now
		return page.Rows, page.Next, refused("incidents", page.Errors)
	}, yield)
	return cursor, now, err
}

// pages hands the rows of every page to yield, at most limit of them (0: all), and
// returns the cursor to continue from, or "" at the end. get fetches the page after a
// cursor, of at most the given number of rows (0: the server chooses).
func pages[T any](cursor string, limit int, get func(cursor string, rows int) ([]T, string, error), yield func(T) error) (string, error) {
	for given := 0; ; {
		want := 0
		if limit > 0 {
			want = limit - given
		}
		rows, next, err := get(cursor, want)
		if err != nil {
			return "", err
		}
		for _, row := range rows {
			if err := yield(row); err != nil {
				return "", err
			}
			given++
		}
		if next == "" || limit > 0 && given >= limit {
			return next, nil
		}
		cursor = next
	}
}

// Show hands the story of an incident to yield, record by record.
func (c *Client) Show(ctx context.Context, operator, incident string, yield func(api.StoryEntry) error) error {
	req := api.ShowRequest{Operator: operator, Incident: incident}
	for {
		page, err := requestJSON[api.ShowAnswer](ctx, c, api.EndpointShow, req)
		if err != nil {
			return err
		}
		if err := refused("show", page.Errors); err != nil {
			return err
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
