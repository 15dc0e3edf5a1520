package identity

import (
	"sync"

	"golang.org/x/time/rate"
)

// Bounds of the requests of one identity per second, over all endpoints, and of a burst
// after a quiet time. Reports over NATS do not count: they wait for the disk, and an
// incident may cause many.
const (
	RequestRate  = 200
	requestBurst = 1000
)

// Rates are the rate limits of callers.
type Rates struct {
	mu       sync.Mutex
	limiters map[string]*rate.Limiter // one per name
}

// NewRates returns unused rate limits.
func NewRates() *Rates { return &Rates{limiters: map[string]*rate.Limiter{}} }

// Allow reports whether a caller may send another request now.
func (r *Rates) Allow(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.limiters[name]
	if one == nil {
		one = rate.NewLimiter(RequestRate, requestBurst)
		r.limiters[name] = one
	}
	return one.Allow()
}
