package command

import (
	"fmt"
	"io"
	"os"

	"github.com/mattn/go-isatty"
)

// Counter shows progress on one line of a terminal, and nothing elsewhere.
type Counter struct {
	out   *os.File // nil: not a terminal
	what  string
	shown bool
}

// NewCounter returns a counter of things.
func NewCounter(out io.Writer, things string) *Counter {
	c := &Counter{what: things}
	if f, ok := out.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		c.out = f
	}
	return c
}

// Show shows how many are done, and of how many if that is known.
func (c *Counter) Show(done, of uint64) {
	switch {
	case c.out == nil:
		return
	case of == 0:
		fmt.Fprintf(c.out, "\r%d %s", done, c.what)
	default:
		fmt.Fprintf(c.out, "\r%d / %d %s (%d%%)", done, of, c.what, done*100/of)
	}
	c.shown = true
}

// End removes the line.
func (c *Counter) End() {
	if c.shown {
		fmt.Fprint(c.out, "\r\033[K")
	}
}
