package logcmd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

func (e environment) auditCommand() *cobra.Command {
	var conn command.Connection
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
		Args:    command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := conn.Dial()
			if err != nil {
				return err
			}
			defer c.Close()
			counter := command.NewCounter(e.ErrOut, e.Word("records"))
			a, err := followAudit(cmd.Context(), c, func(a *api.AuditAnswer) { counter.Show(a.Checked, a.Of) })
			counter.End()
			if err != nil {
				return err
			}
			if conn.JSON {
				err = e.JSON(a)
			} else {
				err = e.audit(cmd.Context(), c, a)
			}
			switch {
			case err != nil:
				return err
			case len(a.Damage) > 0:
				return command.ErrRefused
			case a.Ended == nil:
				return errors.New("the check was interrupted before its end: ask again")
			}
			return nil
		},
	}
	conn.Flags(cmd)
	return cmd
}

// auditPause is how often the progress of a check is polled.
const auditPause = 200 * time.Millisecond

// followAudit starts a check, or joins the running one, and waits for its end.
func followAudit(ctx context.Context, c *client.Client, seen func(*api.AuditAnswer)) (*api.AuditAnswer, error) {
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

func (e environment) audit(ctx context.Context, c *client.Client, a *api.AuditAnswer) error {
	took := "–"
	if a.Ended != nil {
		took = e.Length(a.Ended.Sub(a.Started))
	}
	fmt.Fprintf(e.Out, e.Marks(e.Exercise, false)+e.Word("audited")+"\n", a.Checked, a.Of, a.Removed, took)
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
		fmt.Fprintf(e.Out, e.Word("audit-against")+"\n", cp.Origin, cp.Size, cp.Root)
	}
	e.damages(a.Damage)
	return nil
}
