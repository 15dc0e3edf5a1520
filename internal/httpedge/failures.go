package httpedge

import (
	"hash/fnv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bounds of the failing tokens from one address. Valid tokens do not count, wherever they
// come from.
const (
	failureEvery = time.Second // one more, …
	failureBurst = 60          // … after these
)

// failures counts failing tokens by address. Several addresses share a count, so that
// memory stays bounded; that only changes their answers to failing tokens.
type failures struct {
	mu       sync.Mutex
	limiters [limitBuckets]*rate.Limiter
}

// allow reports whether another token from an address may fail.
func (f *failures) allow(address string) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(address)) // never fails
	f.mu.Lock()
	defer f.mu.Unlock()
	one := &f.limiters[h.Sum32()%limitBuckets]
	if *one == nil {
		*one = rate.NewLimiter(rate.Every(failureEvery), failureBurst)
	}
	return (*one).Allow()
}
