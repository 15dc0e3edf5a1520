package agenda

import "cmp"

// byDue orders timers that are not due yet.
type byDue []*Entry

func (h byDue) Len() int           { return len(h) }
func (h byDue) Less(i, j int) bool { return h[i].due < h[j].due }
func (h byDue) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].at, h[j].at = i, j }
func (h *byDue) Push(x any)        { e := x.(*Entry); e.at = len(*h); *h = append(*h, e) }
func (h *byDue) Pop() any          { return pop((*[]*Entry)(h)) }

// byRank orders the due timers of one party: the gravest first, and of these the one due
// first.
type byRank []*Entry

func (h byRank) Len() int           { return len(h) }
func (h byRank) Less(i, j int) bool { return sooner(h[i], h[j]) }
func (h byRank) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].at, h[j].at = i, j }
func (h *byRank) Push(x any)        { e := x.(*Entry); e.at = len(*h); *h = append(*h, e) }
func (h *byRank) Pop() any          { return pop((*[]*Entry)(h)) }

func sooner(a, b *Entry) bool {
	return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(a.due, b.due), cmp.Compare(a.Seq, b.Seq)) < 0
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
