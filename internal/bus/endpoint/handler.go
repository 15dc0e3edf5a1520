package endpoint

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/internal/tally"
)

// handler handles the requests to one endpoint.
type handler struct {
	*Server
	Endpoint
	work     context.Context // of the requests; does not end with the service
	conn     *nats.Conn
	out      *outbox
	places   places
	refusals *tally.Tally
	inFlight *sync.WaitGroup
}

// receive takes one message: authenticate the caller, check the bounds, take a place,
// wait for a turn, answer. It does not block, because all messages of the service come
// through it one after the other.
func (h *handler) receive(msg micro.Request) {
	msg = queued{msg, h.out}
	ctx, r, err := h.authenticate(h.work, msg)
	switch {
	case err != nil:
		h.forbid(ctx, r, msg, err)
		return
	case !h.AnySize && len(r.Data) > maxQuestion:
		h.Refused(ctx, r.Subject, "the question is too large")
		h.refusals.Add("the question is too large")
		decline(msg, codeTooLarge, fmt.Sprintf("the question has %d bytes, and may have %d", len(r.Data), maxQuestion))
		return
	case h.exceedsRate(ctx):
		h.Refused(ctx, r.Subject, "too many requests")
		decline(msg, codeTooMany, fmt.Sprintf("more than %d questions a second: try again", identity.RequestRate))
		return
	}
	r.Party = h.party(ctx, r)
	release, err := h.takePlace(h.places, r)
	if err != nil {
		h.refusals.Add(err.Error())
		h.noteLost(r, err)
		busy(msg)
		return
	}
	h.inFlight.Add(1)
	leave := func() { release(); h.inFlight.Done() }
	if !h.Backpressure {
		go h.serve(ctx, r, msg, leave)
		return
	}
	// A waiting request has no goroutine: thousands of them would make the garbage
	// collector take back the stacks that the work has just grown.
	h.gate.enter(Work{Party: r.Party, Cost: Cost(int(r.size()))}, func(t *Turn, err error) {
		if err != nil && r.Reply != "" {
			h.refusals.Add(err.Error())
			busy(msg)
			leave()
			return
		}
		r.Turn = t
		go h.serve(ctx, r, msg, func() { t.Leave(); leave() })
	})
}

func (h *handler) serve(ctx context.Context, r Request, msg micro.Request, leave func()) {
	defer leave()
	reply, err := h.answer(ctx, r)
	h.respond(ctx, r, msg, reply, err)
}

// answer calls the endpoint's Answer and renders the result. A panic counts as an unknown
// outcome, so that it does not end the process and everybody else's requests.
func (h *handler) answer(ctx context.Context, r Request) (reply []byte, err error) {
	defer func() {
		if p := recover(); p != nil { // its text may contain data of the request
			h.cfg.Log.Error("endpoint panicked", zap.String("endpoint", h.Name), zap.String("panic", fmt.Sprintf("%T", p)), zap.ByteString("stack", debug.Stack()))
			reply, err = nil, errPanic
		}
	}()
	answer, err := h.Answer(ctx, r)
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer, event.JSON)
}

// respond sends the answer, or the error that the caller may see.
func (h *handler) respond(ctx context.Context, r Request, msg micro.Request, reply []byte, err error) {
	if err == nil {
		h.send(r, msg, reply)
		return
	}
	if forbidden := Forbidden(""); errors.As(err, &forbidden) {
		h.forbid(ctx, r, msg, forbidden)
		return
	}
	code, text := refusalOf(err)
	if code != codeFull {
		h.failed.Add(fmt.Sprintf("%s: %v", h.Name, err))
	}
	h.noteLost(r, err)
	decline(msg, code, text)
}

// send sends an answer, unless it would be a record or a request.
func (h *handler) send(r Request, msg micro.Request, reply []byte) {
	var err error
	switch {
	case isInternal(r.Reply):
		h.failed.Add(fmt.Sprintf("%s: refusing to reply to the reserved subject %q", h.Name, r.Reply))
	case r.Reply != "":
		if err = msg.Respond(reply); errors.Is(err, nats.ErrMaxPayload) {
			err = msg.Error(codeTooLarge, fmt.Sprintf("the answer has %d bytes, more than a message holds", len(reply)), nil)
		}
	case h.ReplyTo != nil:
		err = h.conn.Publish(h.bus.Realm().Wire(h.ReplyTo(r)), reply)
	}
	if err != nil {
		h.failed.Add(fmt.Sprintf("%s: cannot send the answer: %v", h.Name, err))
	}
}

// noteLost counts a failed request whose sender wanted no answer: nobody else learns that
// it is lost.
func (h *handler) noteLost(r Request, why error) {
	if r.Reply == "" {
		h.lost.Add(fmt.Sprintf("%s: %v", h.Name, why))
	}
}

// forbid answers a request without permission and records the refusal.
func (h *handler) forbid(ctx context.Context, r Request, msg micro.Request, why error) {
	h.Refused(ctx, r.Subject, why.Error())
	decline(msg, codeForbidden, why.Error())
}

// busy tells the sender to try again.
func busy(msg micro.Request) { decline(msg, codeTryAgain, "busy: try again") }

// decline refuses a request, unless the answer would itself be a record or a request.
func decline(msg micro.Request, code, text string) {
	if msg.Reply() != "" && !isInternal(msg.Reply()) {
		_ = msg.Error(code, text, nil)
	}
}
