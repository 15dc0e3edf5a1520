package classifier

import (
	"slices"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// revision is a graded record and its size in bytes.
type revision struct {
	*event.Graded
	size int
}

// memory caches the last revision of recent incidents, and their causes that could not be
// folded.
type memory struct {
	mu sync.Mutex
	// revisions has the latest known revision of each incident; an empty one must be
	// read.
	revisions map[string]revision
	// aside has the causes that failed and are retried or were given up. A revision made
	// meanwhile lists them, so that they do not count as folded.
	aside map[string][]uint64
	// retryFailed has when folding set-aside causes last failed.
	retryFailed map[string]time.Time
}

// maxCached bounds the cache, at some 5 KB an entry; the rest is read from the ledger.
const maxCached = 1_000

func newMemory() *memory {
	return &memory{revisions: map[string]revision{}, aside: map[string][]uint64{}, retryFailed: map[string]time.Time{}}
}

func (m *memory) last(key string) (last revision, cached bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, cached = m.revisions[key]
	return last, cached
}

func (m *memory) keep(key string, last revision) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keepLocked(key, last)
}

func (m *memory) keepLocked(key string, last revision) {
	if len(m.revisions) >= maxCached {
		clear(m.revisions)
	}
	m.revisions[key] = last
}

func (m *memory) asideOf(key string) []uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.aside[key])
}

func (m *memory) setAside(key string, seq uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.aside[key] = union(m.aside[key], []uint64{seq})
}

// folded keeps the revision that a cause has made.
func (m *memory) folded(key string, next revision, seq uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keepLocked(key, next)
	m.aside[key] = slices.DeleteFunc(m.aside[key], func(s uint64) bool {
		return s == seq || !isFull(next.Aside) && !slices.Contains(next.Aside, s)
	})
	if len(m.aside[key]) == 0 {
		delete(m.aside, key)
		delete(m.retryFailed, key)
	}
}

func (m *memory) noteRetryFailed(key string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.retryFailed[key] = now
}

func (m *memory) retryFailedSince(key string, at time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.retryFailed[key].After(at)
}
