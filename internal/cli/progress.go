package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/mattn/go-isatty"

	"github.com/tocsin-project/tocsin/internal/event"
)

// progress counts on a terminal, at intervals.
type progress struct {
	out    io.Writer
	what   string
	live   bool
	total  int
	counts map[string]int
}

// progressEvery is how many items pass between two progress lines.
const progressEvery = 100

func newProgress(out io.Writer, what string) *progress {
	f, ok := out.(*os.File)
	return &progress{out: out, what: what, live: ok && isatty.IsTerminal(f.Fd()), counts: map[string]int{}}
}

func (p *progress) add(kind string) {
	p.total++
	p.counts[kind]++
	if p.live && p.total%progressEvery == 0 {
		fmt.Fprintf(p.out, "\r%d %s", p.total, p.what)
	}
}

// end prints the total where there was more than one.
func (p *progress) end() {
	if p.total < 2 {
		return
	}
	lead := ""
	if p.live {
		lead = "\r"
	}
	fmt.Fprintf(p.out, "%s%d %s:", lead, p.total, p.what)
	for _, kind := range []string{event.StatusAccepted, event.StatusDuplicate, event.StatusConflict, event.StatusRejected} {
		if n := p.counts[kind]; n > 0 {
			fmt.Fprintf(p.out, " %d %s", n, kind)
		}
	}
	fmt.Fprintln(p.out)
}
