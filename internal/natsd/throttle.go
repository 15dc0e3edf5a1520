package natsd

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tocsin-project/tocsin/internal/clock"
)

const (
	// maxPending is how many bytes may wait for one connection before the engine cuts it
	// off. The body of a large message is delivered all at once, when its last byte has
	// arrived, so it is far beyond maxUnread.
	maxPending = 256 << 20
	// maxUnread is how many bytes may wait for a connection of the services before
	// reading from parties that send much pauses. Everybody's requests wait behind these
	// bytes, some two thousand reports.
	maxUnread = 1 << 20
	// freeBytes is what a party may send per window without being throttled: one read of
	// the engine, and far more than an operator sends on its worst day.
	freeBytes  = 64 << 10
	freeWindow = 100 * time.Millisecond
	// checkInterval is the time between two checks of the waiting bytes.
	checkInterval = 2 * time.Millisecond
	// maxThrottle bounds how long a read is delayed: a connection of the services that
	// reads nothing at all must not stop everybody.
	maxThrottle = 5 * time.Second
)

// throttle slows down the parties that send much while the services cannot keep up. The
// engine has no back-pressure: it would queue without reading more slowly, and then cut
// off the connection of the services, with everybody's requests on it.
type throttle struct {
	s *server.Server

	mu     sync.Mutex
	flows  map[string]*flow
	queues map[*func() int]struct{} // bytes that wait for a service, or for being sent by it

	checkMu     sync.Mutex
	lastChecked time.Time
	lastUnread  int // bytes at the last check
}

// flow is the traffic of a party on all its connections.
type flow struct {
	mu    sync.Mutex // held by the throttled connection; the party's others queue behind it
	users int        // connections; guarded by the throttle's lock
	since time.Time  // when the window began
	bytes int        // sent in it
}

func newThrottle(s *server.Server) *throttle {
	return &throttle{s: s, flows: map[string]*flow{}, queues: map[*func() int]struct{}{}}
}

// watch adds a queue of the services, by its size in bytes, until forget is called.
func (t *throttle) watch(bytes func() int) (forget func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queues[&bytes] = struct{}{}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.queues, &bytes)
	}
}

// join adds a connection to the flow of a party and returns the flow.
func (t *throttle) join(party string) *flow {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.flows[party]
	if f == nil {
		f = &flow{}
		t.flows[party] = f
	}
	f.users++
	return f
}

// leave removes a connection from the flow of a party.
func (t *throttle) leave(party string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.flows[party]; f != nil {
		if f.users--; f.users == 0 {
			delete(t.flows, party)
		}
	}
}

// wait blocks until a party may send n more bytes.
func (t *throttle) wait(f *flow, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := clock.Steady(); now.Sub(f.since) > freeWindow {
		f.since, f.bytes = now, 0
	}
	if f.bytes += n; f.bytes < freeBytes {
		return
	}
	for waited := time.Duration(0); waited < maxThrottle && t.unread() > maxUnread; waited += checkInterval {
		time.Sleep(checkInterval)
	}
	f.bytes = 0
}

// pending returns the bytes that wait for a client of the engine.
func (t *throttle) pending(id uint64) int {
	c, err := t.s.Connz(&server.ConnzOptions{CID: id})
	if err != nil || len(c.Conns) != 1 {
		return 0
	}
	return c.Conns[0].Pending
}

// unread returns the bytes that wait in the longest queue.
func (t *throttle) unread() (most int) {
	t.checkMu.Lock()
	defer t.checkMu.Unlock()
	now := clock.Steady()
	if now.Sub(t.lastChecked) < checkInterval/2 {
		return t.lastUnread
	}
	t.mu.Lock()
	queues := slices.Collect(maps.Keys(t.queues))
	t.mu.Unlock()
	for _, bytes := range queues {
		most = max(most, (*bytes)())
	}
	t.lastChecked, t.lastUnread = clock.Steady(), most
	return most
}

// WatchUnsent counts the bytes of a service's unsent answers as waiting for that
// service, until forget is called.
func (s *Server) WatchUnsent(bytes func() int) (forget func()) { return s.throttle.watch(bytes) }
