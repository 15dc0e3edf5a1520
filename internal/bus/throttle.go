package bus

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// maxPending is how many bytes may wait for one connection before the engine cuts it
	// off. The bodies of large messages are handed over all at once, when their last byte
	// has come, so it is far beyond maxUnread.
	maxPending = 256 << 20
	// maxUnread is how many bytes may wait for a connection of the services before
	// nothing is read from others.
	maxUnread = 16 << 20
	// checkBytes is how much is read from others between two looks at what waits.
	checkBytes = 4 << 20
	// checkInterval is the time between two looks while nothing is read.
	checkInterval = 2 * time.Millisecond
	// maxThrottle is how long reading may be held back at a time: a connection of the
	// services that reads nothing at all must not stop everybody.
	maxThrottle = 5 * time.Second
)

// throttle holds back what others send while much of it waits for the services. The
// engine knows no back-pressure: it would queue without reading slower, and then cut
// off the connection of the services, with everybody's requests on it.
type throttle struct {
	s         *server.Server
	unchecked atomic.Int64 // bytes that were read since the last look
	mu        sync.Mutex   // held by the reader that looks; the others wait for it
	mine      sync.Mutex
	services  []func() (uint64, error) // what the engine calls their connections
	account   atomic.Value             // string: where the services are
}

func newThrottle(s *server.Server) *throttle { return &throttle{s: s} }

// watch adds a connection of the services, by the number that the engine gives it,
// which changes when it connects again.
func (t *throttle) watch(number func() (uint64, error)) {
	if id, err := number(); err == nil {
		if c := t.s.GetClient(id); c != nil {
			t.account.Store(c.Account().GetName())
		}
	}
	t.mine.Lock()
	defer t.mine.Unlock()
	t.services = append(t.services, number)
}

// pass returns when the services can read so many more bytes.
func (t *throttle) pass(n int) {
	if t.unchecked.Add(int64(n)) < checkBytes {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.unchecked.Load() < checkBytes {
		return // another reader has looked
	}
	for waited := time.Duration(0); waited < maxThrottle && t.unread() > maxUnread; waited += checkInterval {
		time.Sleep(checkInterval)
	}
	t.unchecked.Store(0)
}

// unread returns how many bytes wait for the connection of the services for which most
// do.
func (t *throttle) unread() (most int) {
	ours := map[uint64]bool{}
	t.mine.Lock()
	for _, number := range t.services {
		if id, err := number(); err == nil {
			ours[id] = true
		}
	}
	t.mine.Unlock()
	account, _ := t.account.Load().(string)
	conns, err := t.s.Connz(&server.ConnzOptions{Account: account, Limit: math.MaxInt})
	if err != nil {
		return 0
	}
	for _, c := range conns.Conns {
		if ours[c.Cid] {
			most = max(most, c.Pending)
		}
	}
	return most
}
