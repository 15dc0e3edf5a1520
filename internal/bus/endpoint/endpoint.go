// Package endpoint answers the requests of callers, over NATS and for the HTTP port.
//
// What it guarantees:
//   - A request is answered once its handler has returned, and never before: what an
//     answer promises is on disk. A handler that fails or panics answers "try again".
//   - With identities, a handler sees the caller in its context (identity.Of), and only
//     requests that the caller has permission for.
//   - One party's load does not stop another's: each has its share of the requests in
//     flight and of the memory (package share), and parties take turns where requests
//     wait for the services to keep up ([Server.Admit]). What exceeds a bound is refused
//     at once, or after seconds, and never dropped in silence.
//   - No answer is sent to a subject of our own records or endpoints, or of the engine.
//
// What not to assume: that requests of one caller are handled in order, or that a caller
// without an answer was not served.
package endpoint

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/internal/share"
	"github.com/tocsin-project/tocsin/internal/tally"
)

// Config configures New.
type Config struct {
	Log *zap.Logger
	// Identities identifies the caller by the subject of a request. Nil accepts any
	// request from anybody; the server then listens on loopback only.
	Identities Identities
	// Memory limits the bytes of requests in flight; servers may share it. Nil means
	// MaxMemory.
	Memory *share.Pool
	// WatchUnsent makes the engine throttle callers while many bytes of answers are
	// unsent, until forget is called. Nil: the engine is not ours.
	WatchUnsent func(bytes func() int) (forget func())
}

// Identities looks up identities that have a credential.
type Identities interface {
	// Find returns the identity of a role by the token of its id.
	Find(role identity.Role, token string) (identity.Identity, bool)
	// Vouch returns the proof that a key belongs to this identity, if the key is in use.
	Vouch(caller identity.Identity, key string) (Voucher, bool)
	// Allow reports whether an identity may send another request now.
	Allow(caller string) bool
	// Refused records that a request was refused, and why.
	Refused(caller, action, reason string)
}

// Bus is what the endpoints need of the bus.
type Bus interface {
	services
	Realm() event.Realm
	Announce(name, loop string) (*nats.Conn, micro.Service, error)
	KeepAlive(ctx context.Context, service, loop string)
	Request(ctx context.Context, subject string, data []byte) (*nats.Msg, error)
}

// Server serves the endpoints of one realm's services. It is safe for use by several
// goroutines.
type Server struct {
	bus    Bus
	cfg    Config
	gate   gate
	failed *tally.Tally // requests that failed, or whose answers were not sent
	lost   *tally.Tally // failed or refused requests that wanted no answer
}

// New returns a server of endpoints on a bus.
func New(b Bus, cfg Config) *Server {
	if cfg.Memory == nil {
		cfg.Memory = share.NewPool(MaxMemory)
	}
	return &Server{
		bus: b, cfg: cfg, gate: newGate(b),
		failed: tally.InLog(cfg.Log.Error, "requests failed", "requests"),
		lost: tally.New(func(n int, why string) {
			cfg.Log.Error("requests that wanted no answer were dropped", zap.Int("requests", n), zap.String("reason", why))
		}),
	}
}

// Close logs what has been counted since the last log line.
func (s *Server) Close() {
	s.failed.Flush()
	s.lost.Flush()
}

// Memory returns the pool that limits the bytes of requests in flight.
func (s *Server) Memory() *share.Pool { return s.cfg.Memory }

// Lost returns the number of dropped requests whose senders wanted no answer.
func (s *Server) Lost() uint64 { return s.lost.Total() }

// Request is a request to an endpoint.
type Request struct {
	Subject string // plain, in either realm
	Header  nats.Header
	Data    []byte
	// Reply is empty for a plain publish, which gets no answer.
	Reply string
	// Party is charged for the request.
	Party string
	// Turn is the request's turn at an endpoint with backpressure; it ends when the
	// request has been answered, or when the handler leaves it earlier.
	Turn *Turn
}

// Endpoint is a subject on which a service takes requests.
type Endpoint struct {
	Name    string // letters, digits, - and _
	Subject string // may contain wildcards
	// Limit bounds the requests in flight, of which each party has its share (package
	// share); beyond it the answer is "busy" at once.
	Limit int
	// Party names the party charged for a request where there are no identities. It must
	// be an entry of the register, since a client can put any other name into a subject;
	// "" if none is named. Nil: never named.
	Party func(Request) string
	// AnySize accepts requests of any size; at other endpoints a request is a question,
	// which is refused beyond maxQuestion bytes.
	AnySize bool
	// Backpressure makes requests wait for their turn while a service is behind, and
	// refuses them if that lasts ([Server.Admit]). Requests without a reply subject
	// cannot be refused, and are taken.
	Backpressure bool
	// Answer returns the reply, which is sent as JSON, or an error if the outcome is
	// unknown: the sender is told to try again. It must not return before what it
	// promises is on disk.
	Answer func(context.Context, Request) (any, error)
	// ReplyTo returns the subject on which the answer to a plain publish is published,
	// without being stored; nil sends no answer.
	ReplyTo func(Request) string
}

// maxQuestion is the largest size of a question, in bytes.
const maxQuestion = 64 << 10

// loop is the name of the loop of a service that answers requests.
const loop = "endpoints"

// Serve opens endpoints as a NATS micro service (it answers $SRV.PING, INFO and STATS)
// until ctx ends, and returns when every request in flight has been answered. Instances
// of one service share the requests.
func (s *Server) Serve(ctx context.Context, name string, endpoints ...Endpoint) error {
	nc, svc, err := s.bus.Announce(name, loop)
	if err != nil {
		return err
	}
	out := newOutbox(nc.PublishMsg, nc.MaxPayload(), func(err error) { s.failed.Add(fmt.Sprintf("%s: cannot send an answer: %v", name, err)) })
	defer out.end()
	if s.cfg.WatchUnsent != nil {
		defer s.cfg.WatchUnsent(out.unsent)()
	}
	var inFlight sync.WaitGroup
	for _, e := range endpoints {
		h := &handler{Server: s, Endpoint: e, conn: nc, out: out, inFlight: &inFlight, places: newPlaces(e.Limit)}
		// Requests in flight are finished, not dropped, when the service stops.
		h.work = context.WithoutCancel(ctx)
		h.refusals = tally.New(func(n int, why string) {
			s.cfg.Log.Warn("requests were refused", zap.String("endpoint", e.Name), zap.Int("requests", n), zap.String("since", why))
		})
		// The engine's own limit on pending messages is lifted: it drops silently,
		// whereas our refusals are answered.
		err := svc.AddEndpoint(e.Name, micro.HandlerFunc(h.receive), micro.WithEndpointSubject(s.bus.Realm().Wire(s.subjectOf(e))), micro.WithEndpointPendingLimits(-1, -1))
		if err != nil {
			_ = svc.Stop()
			return fmt.Errorf("endpoint %s: %w", e.Subject, err)
		}
	}
	s.bus.KeepAlive(ctx, name, loop)
	err = svc.Stop()
	inFlight.Wait()
	if err != nil {
		return fmt.Errorf("stop %s: %w", name, err)
	}
	return ctx.Err()
}

// subjectOf returns the subject on which requests to an endpoint arrive: with identities,
// one that names the caller.
func (s *Server) subjectOf(e Endpoint) string {
	if s.cfg.Identities == nil {
		return e.Subject
	}
	return identity.RequestWildcard(e.Subject)
}

// Ask sends a question of the services themselves to an endpoint.
func (s *Server) Ask(ctx context.Context, subject string, question, answer any) error {
	if s.cfg.Identities != nil {
		subject = identity.Internal.Subject(subject)
	}
	raw, err := json.Marshal(question, event.JSON)
	if err != nil {
		return fmt.Errorf("ask %s: %w", subject, err)
	}
	reply, err := s.bus.Request(ctx, subject, raw)
	if err != nil {
		return fmt.Errorf("ask %s: %w", subject, err)
	}
	if code := reply.Header.Get(HeaderErrorCode); code != "" {
		return fmt.Errorf("ask %s: %s %s", subject, code, reply.Header.Get(HeaderError))
	}
	if err := json.Unmarshal(reply.Data, answer, event.JSON); err != nil {
		return fmt.Errorf("ask %s: %w", subject, err)
	}
	return nil
}

// isInternal reports whether a reply subject belongs to our own records or endpoints, in
// either realm, or to the engine: an answer sent there would be a record, or a request in
// another caller's name.
func isInternal(reply string) bool {
	plain := event.Drill.Plain(reply)
	return bus.IsRecord(reply) || bus.IsRecord(plain) || api.IsEndpoint(plain) || strings.HasPrefix(reply, "$")
}
