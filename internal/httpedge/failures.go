package httpedge

import (
	"hash/fnv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bounds of the tokens that fail from one address. A token that holds is not among
// them, wherever it comes from.
const (
	failureEvery = time.Second // one more, …
	failureBurst = 60          // … after these
)

// failures counts tokens that fail, by address. Some addresses share a count, so that
// many addresses need no memory; all that it changes for them is the answer to a token
// that fails.
type failures struct {
	mu     sync.Mutex
	counts [shares]*rate.Limiter
}

// allow reports whether an address may have one more token fail.
func (f *failures) allow(address string) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(address)) // never fails
	f.mu.Lock()
	defer f.mu.Unlock()
	one := &f.counts[h.Sum32()%shares]
	if *one == nil {
		*one = rate.NewLimiter(rate.Every(failureEvery), failureBurst)
	}
	return (*one).Allow()
}
