// Package share divides limited resources among the parties that use them: places for
// requests and bytes of memory ([Pool]), and turns of work ([FairQueue]).
//
// A party is an identity, or, without identities, an address or an operator. What it
// guarantees: however much one party asks for, and however long it keeps it, another
// party finds room in a pool, and is served after at most one round of the others in a
// queue.
//
// What not to assume: that a party gets an equal part at every moment. A party that is
// alone may use half of a pool, and all the turns of a queue.
package share

import (
	"errors"
	"sync"
)

// Errors of [Pool.Take].
var (
	ErrFull  = errors.New("all of it is in use")
	ErrShare = errors.New("this party uses its share")
)

// Pool is an amount of places or bytes that parties use for a while. A party may hold as
// much as is still free after it has taken more: alone it holds half, and of n greedy
// parties each holds one part in n+1. A party that holds nothing may take all that is
// free. It is safe for use by several goroutines.
type Pool struct {
	capacity int64

	mu      sync.Mutex
	used    int64
	byParty map[string]int64 // by party; never 0
}

// NewPool returns an unused pool.
func NewPool(capacity int64) *Pool {
	return &Pool{capacity: capacity, byParty: map[string]int64{}}
}

// Take gives a party n more until Give, or returns [ErrFull] or [ErrShare].
func (p *Pool) Take(party string, n int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	free, held := p.capacity-p.used, p.byParty[party]
	switch {
	case n > free:
		return ErrFull
	case held > 0 && held+n > free-n:
		return ErrShare
	}
	p.used += n
	p.byParty[party] = held + n
	return nil
}

// Give returns n of a party's amount to the pool.
func (p *Pool) Give(party string, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used -= n
	if p.byParty[party] -= n; p.byParty[party] == 0 {
		delete(p.byParty, party)
	}
}

// Used returns how much the parties hold.
func (p *Pool) Used() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}
