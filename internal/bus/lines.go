package bus

import "cmp"

// byDue orders timers that are not due yet.
type byDue []*entry

func (h byDue) Len() int           { return len(h) }
func (h byDue) Less(i, j int) bool { return h[i].due < h[j].due }
func (h byDue) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].at, h[j].at = i, j }
func (h *byDue) Push(x any)        { e := x.(*entry); e.at = len(*h); *h = append(*h, e) }
func (h *byDue) Pop() any          { return pop((*[]*entry)(h)) }

// byRank orders the due timers of one party: the gravest first, and of these the one due
// first.
type byRank []*entry

func (h byRank) Len() int           { return len(h) }
func (h byRank) Less(i, j int) bool { return sooner(h[i], h[j]) }
func (h byRank) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].at, h[j].at = i, j }
func (h *byRank) Push(x any)        { e := x.(*entry); e.at = len(*h); *h = append(*h, e) }
func (h *byRank) Pop() any          { return pop((*[]*entry)(h)) }

func sooner(a, b *entry) bool {
	return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(a.due, b.due), cmp.Compare(a.seq, b.seq)) < 0
}

// byTurn orders the parties with due timers: the one with fewer turns first, and of these
// the one with the gravest timer.
type byTurn []*party

func (h byTurn) Len() int { return len(h) }
func (h byTurn) Less(i, j int) bool {
	if h[i].round != h[j].round {
		return h[i].round < h[j].round
	}
	return len(h[i].line) > 0 && (len(h[j].line) == 0 || sooner(h[i].line[0], h[j].line[0]))
}
func (h byTurn) Swap(i, j int) { h[i], h[j] = h[j], h[i]; h[i].at, h[j].at = i, j }
func (h *byTurn) Push(x any)   { p := x.(*party); p.at = len(*h); *h = append(*h, p) }
func (h *byTurn) Pop() any     { return pop((*[]*party)(h)) }

func pop[T any](h *[]*T) any {
	last := len(*h) - 1
	v := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return v
}
