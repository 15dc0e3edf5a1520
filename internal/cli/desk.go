package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/printable"
)

func (e *environment) deskCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "desk", Short: "Work at a duty desk: watch, acknowledge, ask, grade, transfer",
		Long: `The work of a duty desk. Each act becomes a record with the officer's post and a reason;
--officer names a post, never a person.`}
	cmd.AddCommand(e.watchCommand(), e.ackCommand(), e.askCommand(), e.determineCommand(), e.transferCommand(),
		e.confirmCommand(), e.closeCommand(), e.screensCommand(), e.handoverCommand())
	return cmd
}

func (e *environment) watchCommand() *cobra.Command {
	var conn command.Connection
	var screen string
	var count int
	cmd := &cobra.Command{
		Use:   "watch DESK",
		Short: "Follow the escalations of a desk",
		Long: `Shows the escalations of a desk, each at least once. A new screen begins with the oldest
escalation that is not acknowledged; a known screen continues where it stopped, so nothing
is missed. Screens with different names each see everything; two with one name share the
escalations, and both say so.

It reports a lost connection within five seconds, then reports the reconnection and shows
what arrived meanwhile. It ends when its credential is revoked. With --json these messages
go to standard error.`,
		Example: "  tocsin desk watch protection-energy\n  tocsin desk watch sh-cyberspace --client wall --json",
		Args:    command.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			if count < 0 {
				return &command.UsageError{Err: fmt.Errorf("--count is a count, not %d", count)}
			}
			c, err := conn.Dial(client.WatchOptions(conn.Timeout)...)
			if err != nil {
				return err
			}
			defer c.Close()
			status := e.Out
			if conn.JSON {
				status = printable.Writer{Out: e.ErrOut} // standard output is for programs
			}
			return c.WatchWithStatus(cmd.Context(), a[0], screen, count, clock.System{}.Now, func(full *event.Escalated, row api.EscalationRow) error {
				if conn.JSON {
					return e.JSON(row)
				}
				e.Escalation(full, row)
				return nil
			}, func(s client.WatchStatus) { e.watchStatus(status, s, screen) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&screen, "client", "default", "name of this screen")
	f.IntVar(&count, "count", 0, "exit after this many escalations (0: never)")
	conn.Flags(cmd)
	return cmd
}

// watchStatus prints the state of a screen's connection.
func (e *environment) watchStatus(out io.Writer, s client.WatchStatus, screen string) {
	text := e.Word("watch-" + string(s))
	if s == client.WatchShared || s == client.WatchAlone {
		text = fmt.Sprintf(text, screen)
	}
	now := clock.System{}.Now()
	fmt.Fprintf(out, "*** %s  %s\n", e.Time(&now), text)
}

func (e *environment) ackCommand() *cobra.Command {
	var conn command.Connection
	var officer string
	cmd := &cobra.Command{
		Use:   "ack DESK ESCALATION",
		Short: "Acknowledge an escalation (签收)",
		Long: `Records that a post at the desk has acknowledged an escalation. The first acknowledgement
counts: a repeat by the same post is a duplicate, one by another post a conflict (exit
code 1). Both answers contain the first acknowledgement.`,
		Example: "  tocsin desk ack protection-energy protection-energy.grid-east.inc-1.1 --officer duty-officer",
		Args:    command.Args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, a []string) error {
			c, err := conn.Dial()
			if err != nil {
				return err
			}
			defer c.Close()
			answer, err := c.Acknowledge(cmd.Context(), a[0], a[1], officer)
			if err != nil {
				return err
			}
			if err := e.acknowledgement(answer, conn.JSON); err != nil {
				return err
			}
			return refusedIf(answer.Status)
		},
	}
	f := cmd.Flags()
	f.StringVar(&officer, "officer", "", "post of the officer, never a person's name (required)")
	conn.Flags(cmd)
	return cmd
}

// refusedIf returns the error of a command whose output has shown a refusal.
func refusedIf(status string) error {
	if status == event.StatusRejected || status == event.StatusConflict {
		return command.ErrRefused
	}
	return nil
}

func (e *environment) acknowledgement(a *api.AcknowledgementAnswer, asJSON bool) error {
	if asJSON {
		return e.JSON(a)
	}
	fmt.Fprintf(e.Out, "%s%s  %s", e.Marks(e.Exercise, false), e.Word(a.Status), a.Escalation)
	if a.AcknowledgedAt != nil {
		fmt.Fprintf(e.Out, "  %s  %s  #%d", a.AcknowledgedBy, e.Time(a.AcknowledgedAt), a.Record)
	}
	fmt.Fprintln(e.Out)
	e.Details(a.Errors, a.Warnings)
	return nil
}
