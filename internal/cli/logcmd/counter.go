package logcmd

import (
	"fmt"
	"os"

	"github.com/mattn/go-isatty"
)

// counter shows progress on a terminal.
type counter struct {
	out   *os.File // nil: not a terminal
	what  string
	shown bool
}

func newCounter(out any, what string) *counter {
	c := &counter{what: what}
	if f, ok := out.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		c.out = f
	}
	return c
}

func (c *counter) show(done, of uint64) {
	if c.out != nil && of > 0 {
		c.shown = true
		fmt.Fprintf(c.out, "\r%d / %d %s (%d%%)", done, of, c.what, done*100/of)
	}
}

func (c *counter) end() {
	if c.shown {
		fmt.Fprint(c.out, "\r\033[K")
	}
}
