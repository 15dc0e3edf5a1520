package audit

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// removals knows which records were removed, by order or by age. The hashes stay in the
// removals' own records and are read when needed.
type removals struct {
	mu      sync.Mutex
	ranges  []removedRange // by first
	gone    []uint64       // a bit for each record, from 1
	records uint64         // how many are gone
	through uint64         // the last removal read
	recent  *event.Removal // the removal read last
	at      uint64         // its sequence
}

type removedRange struct{ first, last, record uint64 }

// errNotRemoved is of a record that no removal covers.
var errNotRemoved = errors.New("no removal covers the record")

// removalBatch bounds how many removals are read at once: each may have some hundred
// kilobytes.
const removalBatch = 50

// load reads the removals that are not known yet.
func (r *removals) load(ctx context.Context, b Removals) error {
	for {
		r.mu.Lock()
		from := r.through + 1
		r.mu.Unlock()
		page, err := b.Page(ctx, from, math.MaxInt64, []string{event.AllRemoved}, removalBatch, math.MaxInt32)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, s := range page {
			r.add(s)
		}
	}
}

// add notes a removal. An unreadable one removes nothing.
func (r *removals) add(s event.Stored) {
	removal, err := event.Decode[event.Removal](s)
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.Sequence <= r.through {
		return
	}
	r.through = s.Sequence
	if err != nil || !removal.AppliesAt(s.Sequence) {
		return
	}
	i, _ := slices.BinarySearchFunc(r.ranges, removal.First, func(a removedRange, first uint64) int {
		if a.first <= first {
			return -1
		}
		return 1
	})
	r.ranges = slices.Insert(r.ranges, i, removedRange{removal.First, removal.Last(), s.Sequence})
	for record := removal.First; record <= removal.Last(); record++ {
		if _, removed := removal.Entry(record); removed {
			r.mark(record)
		}
	}
}

// mark counts a removed record, once even if several removals cover it.
func (r *removals) mark(record uint64) {
	word, bit := record/64, uint64(1)<<(record%64)
	for uint64(len(r.gone)) <= word {
		r.gone = append(r.gone, 0)
	}
	if r.gone[word]&bit == 0 {
		r.gone[word] |= bit
		r.records++
	}
}

func (r *removals) has(record uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	word := record / 64
	return word < uint64(len(r.gone)) && r.gone[word]&(1<<(record%64)) != 0
}

func (r *removals) total() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.records
}

func (r *removals) all() []removedRange {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ranges)
}

// of returns the removal that covers a record, and its sequence; errNotRemoved if there
// is none.
func (r *removals) of(ctx context.Context, b Removals, record uint64) (*event.Removal, uint64, error) {
	removal, at, err := r.known(ctx, b, record)
	if !errors.Is(err, errNotRemoved) {
		return removal, at, err
	}
	if err := r.load(ctx, b); err != nil {
		return nil, 0, err
	}
	return r.known(ctx, b, record)
}

// known is of for the removals that were loaded.
func (r *removals) known(ctx context.Context, b Removals, record uint64) (*event.Removal, uint64, error) {
	if !r.has(record) {
		return nil, 0, errNotRemoved
	}
	for _, at := range r.candidates(record) {
		removal, err := r.read(ctx, b, at)
		if err != nil {
			return nil, 0, err
		}
		if _, ok := removal.Entry(record); ok {
			return removal, at, nil
		}
	}
	return nil, 0, errNotRemoved
}

// candidates returns the removals whose range includes a record.
func (r *removals) candidates(record uint64) (at []uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, _ := slices.BinarySearchFunc(r.ranges, record, func(a removedRange, record uint64) int {
		if a.first <= record {
			return -1
		}
		return 1
	})
	for i--; i >= 0 && r.ranges[i].first+event.MaxRemoved > record; i-- {
		if r.ranges[i].last >= record {
			at = append(at, r.ranges[i].record)
		}
	}
	return at
}

func (r *removals) read(ctx context.Context, b Removals, at uint64) (*event.Removal, error) {
	r.mu.Lock()
	recent, of := r.recent, r.at
	r.mu.Unlock()
	if of == at {
		return recent, nil
	}
	s, err := b.Get(ctx, at)
	if errors.Is(err, bus.ErrNotFound) {
		return &event.Removal{}, nil // it no longer removes anything; its absence is found by the check
	}
	if err != nil {
		return nil, err
	}
	removal, err := event.Decode[event.Removal](s)
	if err != nil {
		return &event.Removal{}, nil // an unreadable one removes nothing
	}
	r.mu.Lock()
	r.recent, r.at = removal, at
	r.mu.Unlock()
	return removal, nil
}

func (r *removals) entry(ctx context.Context, b Removals, record uint64) (evidence.Hash, error) {
	removal, _, err := r.of(ctx, b, record)
	if err != nil {
		return evidence.Hash{}, err
	}
	h, _ := removal.Entry(record)
	return h, nil
}
