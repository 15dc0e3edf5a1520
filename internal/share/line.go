package share

import "time"

// quantum is how much work of one party is served before the next party's turn.
const quantum = 64

// Line holds waiting work. Each party has its own queue, in order of arrival, and the
// queues are served in turn by the cost of their work (deficit round robin: Shreedhar and
// Varghese, SIGCOMM 1995). The user guards it with a lock.
type Line[T any] struct {
	limit  int
	length int
	queues map[string]*queue[T]
	turns  []*queue[T] // non-empty queues; the first is next
}

type queue[T any] struct {
	party   string
	waiting []waiting[T]
	credit  int // cost that may be served before the next party's turn
}

type waiting[T any] struct {
	work  T
	cost  int
	until time.Time
}

// NewLine returns a line that holds at most limit pieces of work.
func NewLine[T any](limit int) *Line[T] {
	return &Line[T]{limit: limit, queues: map[string]*queue[T]{}}
}

// Len returns the number of waiting pieces of work.
func (l *Line[T]) Len() int { return l.length }

// Push adds work of a party, which waits until a time. If the line is full, the newest
// work of the party with the most waiting is pushed out and returned, which may be the
// new work itself.
func (l *Line[T]) Push(party string, cost int, until time.Time, work T) (out T, full bool) {
	q := l.queues[party]
	if q == nil {
		q = &queue[T]{party: party, credit: quantum}
		l.queues[party] = q
		l.turns = append(l.turns, q)
	}
	q.waiting = append(q.waiting, waiting[T]{work, cost, until})
	if l.length++; l.length <= l.limit {
		return out, false
	}
	for _, other := range l.turns {
		if len(other.waiting) > len(q.waiting) {
			q = other
		}
	}
	last := len(q.waiting) - 1
	out = q.waiting[last].work
	q.waiting[last] = waiting[T]{}
	q.waiting = q.waiting[:last]
	l.shrunk(q)
	return out, true
}

// Pop removes and returns the next work, with its cost; false if none waits.
func (l *Line[T]) Pop() (work T, cost int, ok bool) {
	for l.length > 0 {
		q := l.turns[0]
		if cost := q.waiting[0].cost; cost <= q.credit {
			q.credit -= cost
			return l.first(q), cost, true
		}
		q.credit += quantum
		l.turns = append(l.turns[1:], q)
	}
	return work, 0, false
}

// Expire removes and returns the work whose time limit is now or earlier.
func (l *Line[T]) Expire(now time.Time) (expired []T) {
	for i := 0; i < len(l.turns); {
		q := l.turns[i]
		for len(q.waiting) > 0 && !q.waiting[0].until.After(now) {
			expired = append(expired, l.first(q))
		}
		if i < len(l.turns) && l.turns[i] == q {
			i++
		}
	}
	return expired
}

func (l *Line[T]) first(q *queue[T]) T {
	work := q.waiting[0].work
	q.waiting[0] = waiting[T]{}
	q.waiting = q.waiting[1:]
	l.shrunk(q)
	return work
}

// shrunk updates the length and removes an empty queue.
func (l *Line[T]) shrunk(q *queue[T]) {
	l.length--
	if len(q.waiting) > 0 {
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
