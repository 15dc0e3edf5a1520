package listener

import (
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

const (
	// minRate is the least number of connections that an address may open a second,
	// however few it may hold.
	minRate = 128
	// maxRate is the most connections that an address may open a second, however many it
	// may hold: a TLS handshake takes up to a millisecond of processor time.
	maxRate = 512
	// maxLimiters is how many addresses are remembered.
	maxLimiters = 1 << 16
)

// rateLimits bounds how fast each address opens connections: about as many a second as
// it may hold, with bursts of that size. So a connection has most of a second to
// authenticate before others of its address displace it, and a flood costs little.
type rateLimits struct {
	burst    int
	limiters map[netip.Prefix]*rate.Limiter
}

func newRateLimits(perAddress int) rateLimits {
	return rateLimits{max(perAddress, minRate), map[netip.Prefix]*rate.Limiter{}}
}

// allow reports whether an address may open a connection now.
func (r *rateLimits) allow(address netip.Prefix, now time.Time) bool {
	l := r.limiters[address]
	if l == nil {
		if len(r.limiters) >= maxLimiters {
			r.forget(now)
		}
		l = rate.NewLimiter(rate.Limit(min(r.burst, maxRate)), r.burst)
		r.limiters[address] = l
	}
	return l.AllowN(now, 1)
}

// forget drops the addresses that may open a whole burst again, or all if too many remain.
func (r *rateLimits) forget(now time.Time) {
	for address, l := range r.limiters {
		if l.TokensAt(now) >= float64(r.burst) {
			delete(r.limiters, address)
		}
	}
	if len(r.limiters) >= maxLimiters {
		clear(r.limiters)
	}
}
