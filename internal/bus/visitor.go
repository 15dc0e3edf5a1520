package bus

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/micro"

	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/internal/share"
	"github.com/tocsin-project/tocsin/internal/tally"
)

// visitor is a request in flight.
type visitor struct {
	ctx     context.Context
	request Request
	req     micro.Request
	leave   func() // called when it has been answered
}

// MemoryForBodies is the default limit, in bytes, of requests in flight over NATS and
// HTTP; each party has its share of it.
const MemoryForBodies = 256 << 20

// unnamed is the party that all requests from unidentified senders share.
const unnamed = "unnamed"

// places are the free places at a door. Unnamed requests count as one party, since a
// client can invent any name; within that each connection has a share.
type places struct{ all, unnamed *share.Pool }

func newPlaces(limit int) places {
	return places{share.NewPool(int64(limit)), share.NewPool(int64(max(1, limit/2)))}
}

// takePlace takes a place at a door, and memory for the request.
func (b *Bus) takePlace(at places, r Request) (leave func(), err error) {
	var give []func()
	leave = func() {
		for _, g := range slices.Backward(give) {
			g()
		}
	}
	take := func(pool *share.Pool, party string, n int64) {
		if err == nil {
			if err = pool.Take(party, n); err == nil {
				give = append(give, func() { pool.Give(party, n) })
			}
		}
	}
	if r.Party == unnamed {
		take(at.unnamed, connectionOf(r.Reply), 1)
	}
	take(at.all, r.Party, 1)
	take(b.cfg.Memory, r.Party, r.size())
	if err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

// size returns the size of a request in bytes.
func (r Request) size() int64 {
	size := len(r.Data)
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v)
		}
	}
	return int64(size)
}

// party returns the party charged for a request.
func (d Door) party(ctx context.Context, r Request) string {
	if who := identity.Of(ctx); who.Role != identity.Trial {
		return who.String()
	}
	if d.Party != nil {
		return cmp.Or(d.Party(r), unnamed)
	}
	return unnamed
}

// connectionOf returns the common prefix of the reply subjects of one connection in the
// usual client libraries: _INBOX and an id.
func connectionOf(reply string) string {
	if head, rest, ok := strings.Cut(reply, "."); ok {
		id, _, _ := strings.Cut(rest, ".")
		return head + "." + id
	}
	return reply
}

// inTurn makes requests wait for their turn before enter. Waiting requests have no
// goroutine: thousands of them would make the garbage collector take back the stacks that
// the work has just grown.
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

// decline refuses a request, unless the answer would itself be a record or a request.
func decline(req micro.Request, code, text string) {
	if req.Reply() != "" && !ours(req.Reply()) {
		_ = req.Error(code, text, nil)
	}
}
