package share

import "time"

// quantum is how much work of one party is done before it is another's turn.
const quantum = 64

// Line holds work that waits. Each party has a queue of its own, in the order of
// arrival, and the queues are served in turn by the cost of what is in them (deficit
// round robin: Shreedhar and Varghese, SIGCOMM 1995). Its user guards it with a lock.
type Line[T any] struct {
	limit  int
	length int
	queues map[string]*queue[T]
	turns  []*queue[T] // those that hold something; the first one is next
}

type queue[T any] struct {
	party   string
	waiting []waiting[T]
	credit  int // how much of its work may be done before it is another's turn
}

type waiting[T any] struct {
	work  T
	cost  int
	until time.Time
}

// NewLine returns a line in which at most limit pieces of work wait.
func NewLine[T any](limit int) *Line[T] {
	return &Line[T]{limit: limit, queues: map[string]*queue[T]{}}
}

// Len returns how many pieces of work wait.
func (l *Line[T]) Len() int { return l.length }

// Push adds work of a party, which waits until a time. Where the line is full, the
// work that came last of the party that has the most waiting is pushed out: that may
// be the work itself.
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

// Pop takes out the work whose turn it is, with its cost; false where none waits.
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

// Expire takes out the work that has waited until now or longer.
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

// shrunk forgets a queue that has become empty.
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
