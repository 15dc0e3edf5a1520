package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

func (e *environment) deskCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "desk", Short: "What a duty desk does: watch and acknowledge"}
	cmd.AddCommand(e.watchCommand(), e.ackCommand())
	return cmd
}

func (e *environment) watchCommand() *cobra.Command {
	var conn connection
	var screen string
	var asJSON bool
	var count int
	cmd := &cobra.Command{
		Use:   "watch DESK",
		Short: "Follow a desk; misses nothing while it was away",
		Long: `Shows what a desk is told, each escalation at least once. A new screen begins at
the oldest escalation that nobody has acknowledged; one that was here before
goes on where it stood. Screens with names of their own each see everything.`,
		Example: "  tocsin desk watch protection-energy\n  tocsin desk watch sh-cyberspace --client wall --json",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			if count < 0 {
				return &usageError{fmt.Errorf("--count is a count, not %d", count)}
			}
			c, err := conn.dial()
			if err != nil {
				return err
			}
			defer c.Close()
			return c.Watch(cmd.Context(), a[0], screen, count, clock.System{}.Now, func(full *event.Escalated, row event.EscalationRow) error {
				if asJSON {
					return e.json(row)
				}
				e.escalation(full, row)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&screen, "client", "default", "name of this screen")
	f.BoolVar(&asJSON, "json", false, "one JSON object a line")
	f.IntVar(&count, "count", 0, "end after so many (0: never)")
	conn.flags(cmd)
	return cmd
}

func (e *environment) ackCommand() *cobra.Command {
	var conn connection
	var officer string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ack DESK ESCALATION",
		Short: "Acknowledge an escalation (签收)",
		Long: `Records that a post at the desk has taken an escalation up. The first
acknowledgement stands: a second one by the same post is answered as a
duplicate, one by another post as a conflict (exit code 1), both with the first.`,
		Example: "  tocsin desk ack protection-energy protection-energy.grid-east.inc-1.1 --officer duty-officer",
		Args:    args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, a []string) error {
			c, err := conn.dial()
			if err != nil {
				return err
			}
			defer c.Close()
			answer, err := c.Acknowledge(cmd.Context(), a[0], a[1], officer)
			if err != nil {
				return err
			}
			if err := e.acknowledgement(answer, asJSON); err != nil {
				return err
			}
			if answer.Status == event.StatusRejected || answer.Status == event.StatusConflict {
				return errRefused
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&officer, "officer", "", "the post that takes it up, never a person's name (required)")
	f.BoolVar(&asJSON, "json", false, "one JSON object")
	conn.flags(cmd)
	return cmd
}

func (e *environment) acknowledgement(a *event.AcknowledgementAnswer, asJSON bool) error {
	if asJSON {
		return e.json(a)
	}
	fmt.Fprintf(e.out, "%s  %s", e.word(a.Status), a.Escalation)
	if a.AcknowledgedAt != nil {
		fmt.Fprintf(e.out, "  %s  %s  #%d", a.AcknowledgedBy, e.time(a.AcknowledgedAt), a.Record)
	}
	fmt.Fprintln(e.out)
	for _, d := range a.Errors {
		fmt.Fprintf(e.out, "    %s: %s\n", d.Path, d.Message)
	}
	return nil
}

// row prints one line on an escalation.
func (e *environment) row(r event.EscalationRow) {
	fmt.Fprintf(e.out, "%s  %s  %s", e.time(&r.ReportedAt), e.gradeName(r.Grade), e.word(string(r.Act)))
	if r.Act == event.ActUpdate {
		fmt.Fprintf(e.out, " (%s)", e.word(r.Change))
	}
	fmt.Fprintf(e.out, "  %s %s → %s  %s/%s", e.word("from"), r.From, r.Desk, r.Operator, r.Incident)
	if r.DueAt != nil {
		fmt.Fprintf(e.out, "  %s %s", e.word("by"), e.time(r.DueAt))
	}
	if r.Late {
		fmt.Fprintf(e.out, "  %s", e.word("late"))
	}
	fmt.Fprintf(e.out, "  [%s]", e.word(r.State))
	if r.AcknowledgedBy != "" {
		fmt.Fprintf(e.out, " %s", r.AcknowledgedBy)
	}
	fmt.Fprintf(e.out, "  %s\n", r.Escalation)
}

// change prints how the grade moved, and why.
func (e *environment) change(c event.Change) {
	switch c.Kind {
	case event.ChangeWithdrawn, event.ChangeReinstated:
		fmt.Fprintf(e.out, "    %s: %s\n", e.word(c.Kind), c.Reason)
	case event.ChangeRaised, event.ChangeLowered:
		fmt.Fprintf(e.out, "    %s: %s → %s  (%s)\n", e.word(c.Kind), e.gradeName(c.From), e.gradeName(c.To), c.Reason)
		for _, lost := range c.Lost {
			fmt.Fprintf(e.out, "      − %s\n", lost)
		}
		for _, gained := range c.Gained {
			fmt.Fprintf(e.out, "      + %s\n", gained)
		}
	}
}

// escalation prints all that a desk should see at once.
func (e *environment) escalation(full *event.Escalated, r event.EscalationRow) {
	e.row(r)
	if r.Title != "" {
		fmt.Fprintf(e.out, "    %s\n", r.Title)
	}
	if u := full.Unhandled; u != nil {
		fmt.Fprintf(e.out, "    %s #%d (%s): %s\n", e.word("review"), u.Record, u.Service, u.Error)
	}
	e.change(full.Change)
	if full.Peak > full.Grade {
		fmt.Fprintf(e.out, "    %s %s\n", e.word("peak"), e.gradeName(full.Peak))
	}
	if full.Next != nil {
		fmt.Fprintf(e.out, "    %s %s: %s\n", e.word("rises"), e.time(&full.Next.At), e.gradeName(full.Next.Grade))
	}
	for _, d := range full.Duties {
		fmt.Fprint(e.out, "  ")
		e.duty(d)
		if d.OnBehalf != nil {
			fmt.Fprintf(e.out, "      %s: %s\n", e.word("onBehalf"), d.OnBehalf.Authority)
		}
	}
	if !full.Designated && len(full.Duties) > 0 {
		fmt.Fprintf(e.out, "    %s\n", e.word("undesignated"))
	}
}
