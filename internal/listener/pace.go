package listener

import (
	"net/netip"
	"time"
)

const (
	// minRate is the least number of connections that an address may open a second,
	// however few it may hold.
	minRate = 128
	// maxRate is the most connections that an address may open a second, however many it
	// may hold: a TLS handshake takes up to a millisecond of processor time.
	maxRate = 512
	// maxBuckets is how many addresses are remembered.
	maxBuckets = 1 << 16
)

// rateLimits bounds how fast each address opens connections: about as many a second as
// it may hold, with bursts of that size. So a connection has most of a second to
// authenticate before others of its address displace it, and a flood costs little.
type rateLimits struct {
	burst, rate float64
	buckets     map[netip.Prefix]bucket
}

type bucket struct {
	left float64 // connections that may be opened now
	at   time.Time
}

func newRateLimits(perAddress int) rateLimits {
	burst := max(perAddress, minRate)
	return rateLimits{float64(burst), float64(min(burst, maxRate)), map[netip.Prefix]bucket{}}
}

// allow reports whether an address may open a connection now.
func (p *rateLimits) allow(address netip.Prefix, now time.Time) bool {
	b, known := p.buckets[address]
	if !known {
		if len(p.buckets) >= maxBuckets {
			p.forget(now)
		}
		b = bucket{p.burst, now}
	}
	b = p.fill(b, now)
	if b.left < 1 {
		p.buckets[address] = b
		return false
	}
	b.left--
	p.buckets[address] = b
	return true
}

func (p *rateLimits) fill(b bucket, now time.Time) bucket {
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.left = min(p.burst, b.left+passed*p.rate)
	}
	b.at = now
	return b
}

// forget drops the addresses whose bucket is full again, or all if too many remain.
func (p *rateLimits) forget(now time.Time) {
	for address, b := range p.buckets {
		if p.fill(b, now).left >= p.burst {
			delete(p.buckets, address)
		}
	}
	if len(p.buckets) >= maxBuckets {
		clear(p.buckets)
	}
}
