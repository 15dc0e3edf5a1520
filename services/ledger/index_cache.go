package ledger

import (
	"container/list"
	"sync"
)

// Bounds of the cache, in bytes: of all that it holds, with what holding it costs, and
// of one entry. A system that needs its memory takes files' pages away before ours.
const (
	cacheBytes = 64 << 20
	cacheEntry = 2 * setBytes
	cacheCost  = 200
)

// cache holds postings of sealed chunks that were asked for, as the file has them
// since the last commit: a question of several filters reads some in every chunk, and
// each read waits for the disk where nobody has asked for long.
type cache struct {
	mu    sync.Mutex
	epoch uint64 // how often a commit has changed postings of a sealed chunk
	bytes int
	of    map[int64]*list.Element // by the number of the spot
	order list.List               // of cached: the one that was asked for last is first
}

type cached struct {
	spot int64
	raw  []byte // nil: the file has none
}

func newCache() *cache { return &cache{of: map[int64]*list.Element{}} }

func (c *cache) now() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.epoch
}

// get returns what a view of that epoch has at a spot, if it is known. Nobody may
// change it.
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

// put keeps what a view of that epoch has read at a spot; an older view's is not what
// the file has now.
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
