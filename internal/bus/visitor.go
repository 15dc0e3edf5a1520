package bus

import (
	"context"
	"strings"

	"github.com/nats-io/nats.go/micro"

	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/internal/share"
	"github.com/tocsin-project/tocsin/internal/tally"
)

// visitor is a request in hand.
type visitor struct {
	ctx     context.Context
	request Request
	req     micro.Request
	leave   func() // when it has been answered
}

// MemoryForBodies is how many bytes of requests may be in hand by default, over NATS
// and over HTTP, of which each party has its share.
const MemoryForBodies = 256 << 20

// takePlace takes a place at a door, and room for the request in memory.
func (b *Bus) takePlace(places *share.Pool, r Request) (leave func(), err error) {
	if err := places.Take(r.Party, 1); err != nil {
		return nil, err
	}
	size := r.size()
	if err := b.cfg.Memory.Take(r.Party, size); err != nil {
		places.Give(r.Party, 1)
		return nil, err
	}
	return func() {
		b.cfg.Memory.Give(r.Party, size)
		places.Give(r.Party, 1)
	}, nil
}

// size is how many bytes a request has.
func (r Request) size() int64 {
	size := len(r.Data)
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v)
		}
	}
	return int64(size)
}

// party is whose share a request uses.
func (d Door) party(ctx context.Context, r Request) string {
	if who := identity.Of(ctx); who.Role != identity.Trial {
		return who.String()
	}
	if d.Party != nil {
		return d.Party(r)
	}
	if tokens := wildcards(d.Subject, r.Subject); tokens != "" {
		return tokens
	}
	return connectionOf(r.Reply)
}

// wildcards returns what stands in a subject for the wildcards of a pattern.
func wildcards(pattern, subject string) (tokens string) {
	if !strings.Contains(pattern, "*") {
		return ""
	}
	for token := range strings.SplitSeq(pattern, ".") {
		var here string
		here, subject, _ = strings.Cut(subject, ".")
		if token == "*" {
			tokens += "." + here
		}
	}
	return tokens
}

// connectionOf returns what the replies to one connection of the usual clients begin
// with: _INBOX and an id.
func connectionOf(reply string) string {
	if head, rest, ok := strings.Cut(reply, "."); ok {
		id, _, _ := strings.Cut(rest, ".")
		return head + "." + id
	}
	return reply
}

// inTurn has requests enter when it is their turn. Nobody works for those who wait:
// thousands of them would each have a goroutine, and the collector would take back
// the stacks that the work has just grown.
func (b *Bus) inTurn(refused *tally.Tally, enter func(visitor)) func(visitor) {
	return func(v visitor) {
		b.enter(Work{Party: v.request.Party, Cost: Cost(int(v.request.size()))}, func(t *Turn, err error) {
			if err != nil && v.req.Reply() != "" {
				refused.Add(err.Error())
				busy(v.req)
				v.leave()
				return
			}
			v.request.Turn = t
			done := v.leave
			v.leave = func() { t.Leave(); done() }
			enter(v)
		})
	}
}

// busy tells the sender to try again.
func busy(req micro.Request) { decline(req, codeTryAgain, "busy: try again") }

// decline answers a request that is not taken, where its answer would not be a record
// or a request.
func decline(req micro.Request, code, text string) {
	if req.Reply() != "" && !ours(req.Reply()) {
		_ = req.Error(code, text, nil)
	}
}
