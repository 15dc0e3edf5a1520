package identity

import (
	"sync"

	"golang.org/x/time/rate"
)

// Bounds of what one identity may ask a second, by whichever door, and at once after
// it has asked nothing for a while. Reports over NATS are not among it: they wait for
// the disk, and an incident may make many.
const (
	AskRate  = 200
	askBurst = 1000
)

// Rates are how often those who ask may ask on.
type Rates struct {
	mu sync.Mutex
	of map[string]*rate.Limiter // as many as there are names
}

// NewRates returns rates of which nothing is used up.
func NewRates() *Rates { return &Rates{of: map[string]*rate.Limiter{}} }

// Allow reports whether somebody may ask once more at this moment.
func (r *Rates) Allow(who string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.of[who]
	if one == nil {
		one = rate.NewLimiter(AskRate, askBurst)
		r.of[who] = one
	}
	return one.Allow()
}
