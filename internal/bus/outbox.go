package bus

import (
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// outboxBytes is how many bytes of answers may wait before whoever has another one
// waits, too.
const outboxBytes = 8 << 20

// outbox sends the answers of a service, one after the other. The client library has
// one lock for each connection, which is also taken for every message that comes in:
// where thousands send their answers themselves, no request gets past them.
type outbox struct {
	failed func(error) // reports an answer that could not be sent
	most   int64       // bytes that a message may have

	mu      sync.Mutex
	moved   *sync.Cond
	waiting []func() error
	bytes   int
	ended   bool
	done    chan struct{}
}

func newOutbox(most int64, failed func(error)) *outbox {
	o := &outbox{failed: failed, most: most, done: make(chan struct{})}
	o.moved = sync.NewCond(&o.mu)
	go o.run()
	return o
}

// unsent returns how many bytes of answers wait.
func (o *outbox) unsent() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes
}

// add has a message of some size sent. With wait it returns when there is room for it.
func (o *outbox) add(size int, wait bool, send func() error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for wait && o.bytes > outboxBytes {
		o.moved.Wait()
	}
	o.waiting = append(o.waiting, send)
	o.bytes += size
	if len(o.waiting) == 1 {
		o.moved.Broadcast()
	}
}

func (o *outbox) run() {
	defer close(o.done)
	for {
		o.mu.Lock()
		for len(o.waiting) == 0 && !o.ended {
			o.moved.Wait()
		}
		batch, bytes := o.waiting, o.bytes
		o.waiting = nil
		o.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, send := range batch {
			if err := send(); err != nil {
				o.failed(err)
			}
		}
		o.mu.Lock()
		o.bytes -= bytes
		o.moved.Broadcast()
		o.mu.Unlock()
	}
}

// end sends what waits, and returns.
func (o *outbox) end() {
	o.mu.Lock()
	o.ended = true
	o.moved.Broadcast()
	o.mu.Unlock()
	<-o.done
}

// answered is a request whose answers go through an outbox.
type answered struct {
	micro.Request
	out *outbox
}

// messageBytes is about what a message has beside its body.
const messageBytes = 128

// Respond returns [nats.ErrMaxPayload] where the answer is larger than a message may be.
func (r answered) Respond(data []byte, opts ...micro.RespondOpt) error {
	if int64(len(data)) > r.out.most {
		return nats.ErrMaxPayload
	}
	r.out.add(messageBytes+len(data), true, func() error { return r.Request.Respond(data, opts...) })
	return nil
}

// Error never waits: it is how requests are refused, by the one who takes all of them.
func (r answered) Error(code, text string, data []byte, opts ...micro.RespondOpt) error {
	r.out.add(messageBytes+len(data), false, func() error { return r.Request.Error(code, text, data, opts...) })
	return nil
}
