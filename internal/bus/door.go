package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/fault"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/internal/tally"
)

// Request is a request to a door.
type Request struct {
	Subject string // plain, in either realm
	Header  nats.Header
	Data    []byte
	// Reply is empty for a plain publish, which gets no answer.
	Reply string
	// Party is charged for the request.
	Party string
	// Turn is the request's turn at a door with backpressure; it ends when the request
	// has been answered, or when the handler leaves it earlier.
	Turn *Turn
}

// Door is an endpoint: a subject on which a service takes requests.
type Door struct {
	Name    string // of the endpoint: letters, digits, - and _
	Subject string // may contain wildcards
	// Limit bounds the requests in flight, of which each party has its share (package
	// share); beyond it the answer is "busy" at once.
	Limit int
	// Party names the party charged for a request where there are no identities. It must
	// be an entry of the register, since a client can put any other name into a subject;
	// "" if none is named. Nil: never named.
	Party func(Request) string
	// Whole accepts requests of any size; at other doors a request is a question, which
	// is refused beyond maxQuestion bytes.
	Whole bool
	// Yields makes requests wait for their turn while a service is behind, and refuses
	// them if that lasts ([Bus.Admit]). Requests without a reply subject cannot be
	// refused, and are taken.
	Yields bool
	// Answer returns the reply, which is sent as JSON, or an error if the outcome is
	// unknown: the sender is told to try again. It must not return before what it
	// promises is on disk.
	Answer func(context.Context, Request) (any, error)
	// Elsewhere returns the subject on which the answer to a plain publish is published,
	// without being stored; nil sends no answer.
	Elsewhere func(Request) string
}

// HeaderError and HeaderErrorCode are set on a reply that is an error of the door itself,
// as NATS micro services do: 503 means try again later, 507 that the disk has no room,
// 423 that trying again does not help.
const (
	HeaderError     = micro.ErrorHeader
	HeaderErrorCode = micro.ErrorCodeHeader
	codeTryAgain    = "503"
	codeClosed      = "423" // trying again does not help until a person has intervened
	codeForbidden   = "403" // the caller has no permission
	codeFull        = "507" // the disk has no room: nothing was stored
	codeTooLarge    = "413" // the question or its answer is too large
	codeTooOften    = "429" // the caller exceeds its rate limit: try again later
)

// Closed is the error of a door that accepts nothing until a person has intervened. Its
// text goes to the sender.
type Closed string

func (c Closed) Error() string { return string(c) }

// Unavailable is the error of a door that cannot answer now. Its text goes to the caller,
// who may ask again later.
type Unavailable string

func (u Unavailable) Error() string { return string(u) }

// Is makes Unavailable match ErrUnavailable: the outcome is unknown.
func (u Unavailable) Is(target error) bool { return target == ErrUnavailable }

// tryAgain returns the error text for a caller that gets no answer.
func tryAgain(err error) string {
	if u := Unavailable(""); errors.As(err, &u) {
		return string(u)
	}
	return "the outcome is not known: try again"
}

// maxQuestion is the largest size of a question, in bytes.
const maxQuestion = 64 << 10

// Forbidden is the error of a door for a request that the caller has no permission for.
// Its text goes to the sender.
type Forbidden string

func (f Forbidden) Error() string { return string(f) }

// Serve opens doors as a NATS micro service (it answers $SRV.PING, INFO and STATS) until
// ctx ends, and returns when every request in flight has been answered. Instances of one
// service share the requests.
func (b *Bus) Serve(ctx context.Context, name string, doors ...Door) error {
	nc, svc, err := b.announce(name)
	if err != nil {
		return err
	}
	out := newOutbox(nc.MaxPayload(), func(err error) { b.failed.Add(fmt.Sprintf("%s: cannot send an answer: %v", name, err)) })
	defer out.end()
	if b.cfg.Engine != nil {
		defer b.cfg.Engine.WatchAnswers(out.unsent)()
	}
	var inHand sync.WaitGroup
	crew := newCrew(ctx)
	// Requests in flight are finished, not dropped, when the service stops.
	work := context.WithoutCancel(ctx)
	for _, d := range doors {
		places := newPlaces(d.Limit)
		refused := tally.New(func(n int, why string) {
			b.cfg.Log.Warn("requests were refused", zap.String("door", d.Name), zap.Int("requests", n), zap.String("since", why))
		})
		enter := func(v visitor) {
			crew.do(func() {
				defer v.leave()
				b.answer(v.ctx, d, v.request, v.req)
			})
		}
		if d.Yields {
			enter = b.inTurn(refused, enter)
		}
		answer := func(req micro.Request) {
			req = answered{req, out}
			ctx, r, err := b.who(work, req)
			if err != nil {
				b.refuse(ctx, r, req, err)
				return
			}
			if !d.Whole && len(r.Data) > maxQuestion {
				b.Refused(ctx, r.Subject, "the question is too large")
				refused.Add("the question is too large")
				decline(req, codeTooLarge, fmt.Sprintf("the question has %d bytes, and may have %d", len(r.Data), maxQuestion))
				return
			}
			if who := identity.Of(ctx); b.cfg.Identities != nil && !d.Whole && who.Role != identity.Service && !b.cfg.Identities.Allow(who.String()) {
				b.Refused(ctx, r.Subject, "too many requests")
				decline(req, codeTooOften, fmt.Sprintf("more than %d questions a second: try again", identity.AskRate))
				return
			}
			r.Party = d.party(ctx, r)
			leave, err := b.takePlace(places, r)
			if err != nil {
				refused.Add(err.Error())
				b.noteLost(d, r, err)
				busy(req)
				return
			}
			inHand.Add(1)
			enter(visitor{ctx, r, req, func() { leave(); inHand.Done() }})
		}
		// The engine's own limit on pending messages is lifted: it drops silently,
		// whereas our refusals are answered.
		err := svc.AddEndpoint(d.Name, micro.HandlerFunc(answer), micro.WithEndpointSubject(b.cfg.Realm.Wire(b.doorSubject(d))), micro.WithEndpointPendingLimits(-1, -1))
		if err != nil {
			_ = svc.Stop()
			return fmt.Errorf("bus: door %s: %w", d.Subject, err)
		}
	}
	b.beatUntilDone(ctx, heart{name, "doors"})
	err = svc.Stop()
	inHand.Wait()
	if err != nil {
		return fmt.Errorf("bus: stop %s: %w", name, err)
	}
	return ctx.Err()
}

// ours reports whether a reply subject belongs to our own records or doors, in either
// realm, or to the engine: an answer sent there would be a record, or a request in
// another caller's name.
func ours(reply string) bool {
	plain := event.Drill.Plain(reply)
	return streamOf(reply) != "" || streamOf(plain) != "" || event.IsDoor(plain) || strings.HasPrefix(reply, "$")
}

// Ask sends a question of the services themselves to a door.
func (b *Bus) Ask(ctx context.Context, door string, question, answer any) error {
	if b.cfg.Identities != nil {
		door = identity.Ours.Subject(door)
	}
	raw, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("bus: ask %s: %w", door, err)
	}
	reply, err := b.nc.RequestWithContext(ctx, b.cfg.Realm.Wire(door), raw)
	if err != nil {
		return fmt.Errorf("bus: ask %s: %w", door, err)
	}
	if code := reply.Header.Get(HeaderErrorCode); code != "" {
		return fmt.Errorf("bus: ask %s: %s %s", door, code, reply.Header.Get(HeaderError))
	}
	if err := json.Unmarshal(reply.Data, answer); err != nil {
		return fmt.Errorf("bus: ask %s: %w", door, err)
	}
	return nil
}

// doorSubject returns the subject on which requests to a door arrive: with identities,
// one that names the caller.
func (b *Bus) doorSubject(d Door) string {
	if b.cfg.Identities == nil {
		return d.Subject
	}
	return identity.AskedBy(d.Subject)
}

// who identifies the caller and checks its permissions.
func (b *Bus) who(ctx context.Context, req micro.Request) (context.Context, Request, error) {
	r := Request{Subject: b.cfg.Realm.Plain(req.Subject()), Header: nats.Header(req.Headers()), Data: req.Data(), Reply: req.Reply()}
	if b.cfg.Identities == nil {
		return identity.With(ctx, identity.Anyone), r, nil
	}
	role, token, door, ok := identity.OfSubject(r.Subject)
	if !ok {
		return ctx, r, Forbidden("there is no such endpoint")
	}
	r.Subject = door
	who, known := identity.Ours, role == identity.Service // only our own account can use this role
	if !known {
		who, known = b.cfg.Identities.Find(role, token)
	}
	if !known {
		return identity.With(ctx, identity.Identity{Role: role, ID: token}), r, Forbidden(fmt.Sprintf("%s/%s has no credential any more", role, token))
	}
	ctx = identity.With(ctx, who)
	if !who.May(identity.Ask, door) {
		return ctx, r, Forbidden(fmt.Sprintf("%s may not use %s", who, door))
	}
	return ctx, r, nil
}

// refuse answers a request without permission and records the refusal.
func (b *Bus) refuse(ctx context.Context, r Request, req micro.Request, why error) {
	b.Refused(ctx, r.Subject, why.Error())
	decline(req, codeForbidden, why.Error())
}

// handle calls the door's Answer and renders the result. A panic counts as an unknown
// outcome, so that it does not end the process and everybody else's requests.
func (b *Bus) handle(ctx context.Context, d Door, r Request) (reply []byte, err error) {
	defer func() {
		if p := recover(); p != nil { // its text may contain data of the request
			b.cfg.Log.Error("a door panicked", zap.String("door", d.Name), zap.String("panic", fmt.Sprintf("%T", p)), zap.ByteString("stack", debug.Stack()))
			reply, err = nil, errPanic
		}
	}()
	answer, err := d.Answer(ctx, r)
	if err != nil {
		return nil, err
	}
	return event.Render(answer)
}

var errPanic = errors.New("panic")

func (b *Bus) answer(ctx context.Context, d Door, r Request, req micro.Request) {
	reply, err := b.handle(ctx, d, r)
	var closed Closed
	var full fault.Full
	var forbidden Forbidden
	if errors.As(err, &full) {
		b.noteLost(d, r, full)
		decline(req, codeFull, string(full))
		return
	}
	if errors.As(err, &forbidden) {
		b.refuse(ctx, r, req, forbidden)
		return
	}
	if err != nil {
		b.failed.Add(fmt.Sprintf("%s: %v", d.Name, err))
		b.noteLost(d, r, err)
	}
	isClosed := errors.As(err, &closed)
	switch {
	case ours(r.Reply):
		b.failed.Add(fmt.Sprintf("%s: refusing to reply to the reserved subject %q", d.Name, r.Reply))
		return
	case r.Reply != "" && isClosed:
		err = req.Error(codeClosed, string(closed), nil)
	case r.Reply != "" && err != nil:
		err = req.Error(codeTryAgain, tryAgain(err), nil)
	case r.Reply != "":
		if err = req.Respond(reply); errors.Is(err, nats.ErrMaxPayload) {
			err = req.Error(codeTooLarge, fmt.Sprintf("the answer has %d bytes, more than a message holds", len(reply)), nil)
		}
	case err == nil && d.Elsewhere != nil:
		err = b.nc.Publish(b.cfg.Realm.Wire(d.Elsewhere(r)), reply)
	}
	if err != nil {
		b.failed.Add(fmt.Sprintf("%s: cannot send the answer: %v", d.Name, err))
	}
}

// noteLost counts a failed request whose sender wanted no answer: nobody else learns that
// it is lost.
func (b *Bus) noteLost(d Door, r Request, why error) {
	if r.Reply == "" {
		b.lost.Add(fmt.Sprintf("%s: %v", d.Name, why))
	}
}

// Lost returns the number of dropped requests whose senders wanted no answer.
func (b *Bus) Lost() uint64 { return b.lost.Total() }

// crew is a pool of goroutines that are reused, because a new one must first grow its
// stack, which costs as much as a part of the work.
type crew struct {
	work  chan func()
	ended <-chan struct{}
}

// idle is how long a goroutine of the crew waits for work before it ends.
const idle = time.Second

func newCrew(ctx context.Context) crew { return crew{make(chan func()), ctx.Done()} }

// do gives the work to an idle goroutine of the crew, or to a new one.
func (c crew) do(work func()) {
	select {
	case c.work <- work:
	default:
		go c.join(work)
	}
}

func (c crew) join(work func()) {
	wait := time.NewTimer(idle)
	defer wait.Stop()
	for {
		work()
		wait.Reset(idle)
		select {
		case work = <-c.work:
		case <-wait.C:
			return
		case <-c.ended:
			return
		}
	}
}
