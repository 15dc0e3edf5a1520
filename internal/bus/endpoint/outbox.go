package endpoint

import (
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// outboxBytes is how many bytes of answers may wait before a sender of another answer
// waits, too.
const outboxBytes = 8 << 20

// outbox sends the answers of a service one after the other. The client library has one
// lock per connection, which incoming messages need as well: if thousands of goroutines
// send answers themselves, no request gets through.
type outbox struct {
	publish    func(*nats.Msg) error
	failed     func(error) // reports an answer that could not be sent
	maxMessage int64       // in bytes

	mu      sync.Mutex
	moved   *sync.Cond
	waiting []*nats.Msg
	bytes   int
	ended   bool
	done    chan struct{}
}

func newOutbox(publish func(*nats.Msg) error, maxMessage int64, failed func(error)) *outbox {
	o := &outbox{publish: publish, failed: failed, maxMessage: maxMessage, done: make(chan struct{})}
	o.moved = sync.NewCond(&o.mu)
	go o.run()
	return o
}

// unsent returns the bytes of waiting answers.
func (o *outbox) unsent() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes
}

// messageBytes is the approximate size of a message without its body.
const messageBytes = 128

// add queues a message. With wait it blocks until there is room.
func (o *outbox) add(m *nats.Msg, wait bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for wait && o.bytes > outboxBytes {
		o.moved.Wait()
	}
	o.waiting = append(o.waiting, m)
	o.bytes += messageBytes + len(m.Data)
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
		for _, m := range batch {
			if err := o.publish(m); err != nil {
				o.failed(err)
			}
		}
		o.mu.Lock()
		o.bytes -= bytes
		o.moved.Broadcast()
		o.mu.Unlock()
	}
}

// end sends the waiting answers and stops the outbox.
func (o *outbox) end() {
	o.mu.Lock()
	o.ended = true
	o.moved.Broadcast()
	o.mu.Unlock()
	<-o.done
}

// queued is a request that is answered through an outbox: the library's own Respond and
// Error write to the request, which the library reads once the handler has returned.
type queued struct {
	micro.Request
	out *outbox
}

// Respond queues the answer. It returns [nats.ErrMaxPayload] if the answer is larger than
// a message may be.
func (r queued) Respond(data []byte, opts ...micro.RespondOpt) error {
	if int64(len(data)) > r.out.maxMessage {
		return nats.ErrMaxPayload
	}
	r.out.add(r.answer(data, nil, opts), true)
	return nil
}

// Error queues an error answer without blocking: the goroutine that receives all requests
// uses it to refuse some.
func (r queued) Error(code, text string, data []byte, opts ...micro.RespondOpt) error {
	r.out.add(r.answer(data, nats.Header{micro.ErrorHeader: {text}, micro.ErrorCodeHeader: {code}}, opts), false)
	return nil
}

func (r queued) answer(data []byte, header nats.Header, opts []micro.RespondOpt) *nats.Msg {
	m := &nats.Msg{Subject: r.Reply(), Header: header, Data: data}
	for _, opt := range opts {
		opt(m)
	}
	return m
}
