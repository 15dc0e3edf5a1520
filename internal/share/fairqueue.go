package share

import "time"

// quantum is how much work of one party is served before the next party's turn.
const quantum = 64

// FairQueue holds waiting work. Each party has its own queue, in order of arrival, and
// the queues are served in turn by the cost of their work (deficit round robin:
// Shreedhar and Varghese, SIGCOMM 1995). The user guards it with a lock.
type FairQueue[T any] struct {
	limit  int
	length int
	queues map[string]*queue[T]
	turns  []*queue[T] // non-empty queues; the first is next
}

type queue[T any] struct {
	party  string
	items  []item[T]
	credit int // cost that may be served before the next party's turn
}

type item[T any] struct {
	work     T
	cost     int
	deadline time.Time
}

// NewFairQueue returns a queue of at most limit pieces of work.
func NewFairQueue[T any](limit int) *FairQueue[T] {
	return &FairQueue[T]{limit: limit, queues: map[string]*queue[T]{}}
}

// Len returns the number of waiting pieces of work.
func (l *FairQueue[T]) Len() int { return l.length }

// Push adds work of a party, which waits until a time. If the queue is full, the newest
// work of the party with the most waiting is pushed out and returned, which may be the
// new work itself.
func (l *FairQueue[T]) Push(party string, cost int, deadline time.Time, work T) (evicted T, full bool) {
	q := l.queues[party]
	if q == nil {
		q = &queue[T]{party: party, credit: quantum}
		l.queues[party] = q
		l.turns = append(l.turns, q)
	}
	q.items = append(q.items, item[T]{work, cost, deadline})
	if l.length++; l.length <= l.limit {
		return evicted, false
	}
	for _, other := range l.turns {
		if len(other.items) > len(q.items) {
			q = other
		}
	}
	last := len(q.items) - 1
	evicted = q.items[last].work
	q.items[last] = item[T]{}
	q.items = q.items[:last]
	l.removed(q)
	return evicted, true
}

// Pop removes and returns the next work, with its cost; false if none waits.
func (l *FairQueue[T]) Pop() (work T, cost int, ok bool) {
	for l.length > 0 {
		q := l.turns[0]
		if cost := q.items[0].cost; cost <= q.credit {
			q.credit -= cost
			return l.first(q), cost, true
		}
		q.credit += quantum
		l.turns = append(l.turns[1:], q)
	}
	return work, 0, false
}

// Expire removes and returns the work whose time limit is now or earlier.
func (l *FairQueue[T]) Expire(now time.Time) (expired []T) {
	for i := 0; i < len(l.turns); {
		q := l.turns[i]
		for len(q.items) > 0 && !q.items[0].deadline.After(now) {
			expired = append(expired, l.first(q))
		}
		if i < len(l.turns) && l.turns[i] == q {
			i++
		}
	}
	return expired
}

func (l *FairQueue[T]) first(q *queue[T]) T {
	work := q.items[0].work
	q.items[0] = item[T]{}
	q.items = q.items[1:]
	l.removed(q)
	return work
}

// removed updates the length and removes an empty queue.
func (l *FairQueue[T]) removed(q *queue[T]) {
	l.length--
	if len(q.items) > 0 {
		return
	}
	delete(l.queues, q.party)
	for i, other := range l.turns {
		if other == q {
			l.turns = append(l.turns[:i], l.turns[i+1:]...)
			return
		}
	}
}
