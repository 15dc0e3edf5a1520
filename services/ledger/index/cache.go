package index

import (
	"container/list"
	"sync"

	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
)

// Bounds of the cache, in bytes: of all entries with their overhead, and of one entry.
// Under memory pressure the system drops cached pages of files before this memory.
const (
	cacheBytes = 64 << 20
	cacheEntry = 2 * postings.MaxBytes
	cacheCost  = 200
)

// cache has postings of sealed chunks that were read, as of the last commit: a query with
// several filters reads some in every chunk, and each read of a cold page waits for the
// disk.
type cache struct {
	mu    sync.Mutex
	epoch uint64 // counts the commits that changed postings of a sealed chunk
	bytes int
	of    map[int64]*list.Element // by the number of the spot
	order list.List               // of cached, the most recently used first
}

type cached struct {
	spot int64
	raw  []byte // nil: not in the file
}

func newCache() *cache { return &cache{of: map[int64]*list.Element{}} }

func (c *cache) now() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.epoch
}

// get returns the postings at a spot for a snapshot of that epoch, if they are cached.
// The caller must not change them.
func (c *cache) get(epoch uint64, spot int64) (raw []byte, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.of[spot]
	if e == nil || epoch != c.epoch {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(cached).raw, true
}

// put caches what a snapshot of that epoch has read at a spot; an older snapshot's
// postings may be stale and are not cached.
func (c *cache) put(epoch uint64, spot int64, raw []byte) {
	if len(raw) > cacheEntry {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch != c.epoch || c.of[spot] != nil {
		return
	}
	c.of[spot] = c.order.PushFront(cached{spot, raw})
	for c.bytes += len(raw) + cacheCost; c.bytes > cacheBytes; {
		c.remove(c.order.Back())
	}
}

func (c *cache) remove(e *list.Element) {
	gone := c.order.Remove(e).(cached)
	delete(c.of, gone.spot)
	c.bytes -= len(gone.raw) + cacheCost
}

// drop forgets what a commit has changed.
func (c *cache) drop(spots []int64) {
	if len(spots) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	for _, s := range spots {
		if e := c.of[s]; e != nil {
			c.remove(e)
		}
	}
}
