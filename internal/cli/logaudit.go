package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

func (e *environment) auditCommand() *cobra.Command {
	var l logFlags
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Check the whole log against what was signed",
		Long: `Has the server read and hash every record again, rebuild the tree, and compare it with the
tiles on disk and the last signed checkpoint. A missing record is in order only if a
record of its removal names its hash. If such a check is running, the command follows it.
The check continues when the command is interrupted.

The server checks itself here. To check it independently: tocsin log export, and
tocsin-verify on another machine.

Exit codes: 0 everything is intact, 1 damage was found, 2 the server could not be reached.`,
		Example: "  tocsin log audit\n  tocsin log audit --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := l.dial()
			if err != nil {
				return err
			}
			defer c.Close()
			counter := newCounter(e.errOut, e.word("records"))
			a, err := followAudit(cmd.Context(), c, func(a *event.AuditAnswer) { counter.show(a.Checked, a.Of) })
			counter.end()
			if err != nil {
				return err
			}
			if l.json {
				err = e.json(a)
			} else {
				err = e.audit(cmd.Context(), c, a)
			}
			switch {
			case err != nil:
				return err
			case len(a.Damage) > 0:
				return errRefused
			case a.Ended == nil:
				return errors.New("the check was interrupted before its end: ask again")
			}
			return nil
		},
	}
	l.flags(cmd)
	return cmd
}

// auditPause is how often the progress of a check is polled.
const auditPause = 200 * time.Millisecond

// followAudit starts a check, or joins the running one, and waits for its end.
func followAudit(ctx context.Context, c *client.Client, seen func(*event.AuditAnswer)) (*event.AuditAnswer, error) {
	a, err := c.Audit(ctx, math.MaxUint64) // an id that no finished check has
	if err != nil {
		return nil, err
	}
	id := a.ID
	if !a.Running {
		id++ // it is about to begin
	}
	for a.ID < id || a.Running {
		if a.ID == id {
			seen(a)
		}
		select {
		case <-time.After(auditPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if a, err = c.Audit(ctx, id-1); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// audit prints the result of a check for people.
func (e *environment) audit(ctx context.Context, c *client.Client, a *event.AuditAnswer) error {
	took := "–"
	if a.Ended != nil {
		took = e.length(a.Ended.Sub(a.Started))
	}
	fmt.Fprintf(e.out, e.marks(e.exercise, false)+e.word("audited")+"\n", a.Checked, a.Of, a.Removed, took)
	if a.Checkpoint != "" {
		s, err := c.Log(ctx)
		if err != nil {
			return err
		}
		v, err := evidence.NewVerifier(s.Key)
		if err != nil {
			return err
		}
		cp, err := v.Open(a.Checkpoint)
		if err != nil {
			return err
		}
		fmt.Fprintf(e.out, e.word("audit-against")+"\n", cp.Origin, cp.Size, cp.Root)
	}
	e.damages(a.Damage)
	return nil
}

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
