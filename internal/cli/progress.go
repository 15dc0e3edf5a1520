package cli

import (
	"fmt"
	"io"

	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/event"
)

// progress counts receipts by their status, and shows their number at intervals.
type progress struct {
	out     io.Writer
	counter *command.Counter
	total   uint64
	counts  map[string]int
}

// progressEvery is how many receipts pass between two updates.
const progressEvery = 100

func newProgress(out io.Writer) *progress {
	return &progress{out: out, counter: command.NewCounter(out, "receipts"), counts: map[string]int{}}
}

func (p *progress) add(status string) {
	p.total++
	p.counts[status]++
	if p.total%progressEvery == 0 {
		p.counter.Show(p.total, 0)
	}
}

// end prints the totals where there was more than one.
func (p *progress) end() {
	p.counter.End()
	if p.total < 2 {
		return
	}
	fmt.Fprintf(p.out, "%d receipts:", p.total)
	for _, status := range []string{event.StatusAccepted, event.StatusDuplicate, event.StatusConflict, event.StatusRejected} {
		if n := p.counts[status]; n > 0 {
			fmt.Fprintf(p.out, " %d %s", n, status)
		}
	}
	fmt.Fprintln(p.out)
}
