package listener

import (
	"net/netip"
	"time"
)

const (
	// minPace is the least number of connections that an address may open a second,
	// however few it may hold.
	minPace = 128
	// maxPace is the most connections that an address may open a second, however many it
	// may hold: a TLS handshake takes up to a millisecond of processor time.
	maxPace = 512
	// maxPaced is how many addresses are remembered.
	maxPaced = 1 << 16
)

// pace bounds how fast each address opens connections: about as many a second as it may
// hold, with bursts of that size. So a connection has most of a second to authenticate
// before others of its address displace it, and a flood costs little.
type pace struct {
	burst, rate float64
	of          map[netip.Prefix]bucket
}

type bucket struct {
	left float64 // connections that may be opened now
	at   time.Time
}

func newPace(perAddress int) pace {
	burst := max(perAddress, minPace)
	return pace{float64(burst), float64(min(burst, maxPace)), map[netip.Prefix]bucket{}}
}

// allow reports whether an address may open a connection now.
func (p *pace) allow(address netip.Prefix, now time.Time) bool {
	b, known := p.of[address]
	if !known {
		if len(p.of) >= maxPaced {
			p.forget(now)
		}
		b = bucket{p.burst, now}
	}
	b = p.fill(b, now)
	if b.left < 1 {
		p.of[address] = b
		return false
	}
	b.left--
	p.of[address] = b
	return true
}

func (p *pace) fill(b bucket, now time.Time) bucket {
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.left = min(p.burst, b.left+passed*p.rate)
	}
	b.at = now
	return b
}

// forget drops the addresses whose bucket is full again, or all if too many remain.
func (p *pace) forget(now time.Time) {
	for address, b := range p.of {
		if p.fill(b, now).left >= p.burst {
			delete(p.of, address)
		}
	}
	if len(p.of) >= maxPaced {
		clear(p.of)
	}
}
