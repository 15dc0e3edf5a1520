package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
)

// deskAct is a command by which a desk acts on an incident.
type deskAct struct {
	use, short, long, example string

	kind  string
	extra int // arguments after DESK and OPERATOR/INCIDENT
	// check completes the act from the command line alone.
	check func(a *event.DeskAct, extra []string) error
	// ask completes the act with data from the server; may be nil.
	ask func(context.Context, *client.Client, *event.DeskAct) error
}

func (e *environment) deskAct(d deskAct) *cobra.Command {
	var conn command.Connection
	act := event.DeskAct{Kind: d.kind}
	cmd := &cobra.Command{
		Use: d.use, Short: d.short, Example: d.example,
		Long: d.long + `

Each call has an id of its own; of several acts with one id the first counts.
Exit codes: 0 accepted or a duplicate, 1 refused or in conflict, 2 the server
could not be reached or the command line is wrong.`,
		Args: command.Args(cobra.ExactArgs(2 + d.extra)),
		RunE: func(cmd *cobra.Command, a []string) (err error) {
			act.Desk = a[0]
			if act.Operator, act.Incident, err = command.ParseIncident(a[1]); err != nil {
				return err
			}
			if act.Officer == "" {
				return &command.UsageError{Err: errors.New("--officer is required: which post does this?")}
			}
			if d.check != nil {
				if err := d.check(&act, a[2:]); err != nil {
					return &command.UsageError{Err: err}
				}
			}
			c, err := conn.Dial()
			if err != nil {
				return err
			}
			defer c.Close()
			if d.ask != nil {
				if err := d.ask(cmd.Context(), c, &act); err != nil {
					return err
				}
			}
			answer, err := c.Act(cmd.Context(), act)
			if err != nil {
				return err
			}
			return e.actAnswer(answer, conn.JSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&act.Officer, "officer", "", "post of the officer, never a person's name (required)")
	f.StringVar(&act.Reason, "reason", "", "reason, which the record keeps")
	conn.Flags(cmd)
	return cmd
}

// actAnswer prints the answer to a desk's act; a refusal ends the command with exit code
// 1.
func (e *environment) actAnswer(a *api.DeskActAnswer, asJSON bool) error {
	if asJSON {
		if err := e.JSON(a); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(e.Out, "%s%s  %s  %s  %s/%s", e.Marks(e.Exercise, false), e.Word(a.Status), e.Kind(a.Kind), a.Desk, a.Operator, a.Incident)
		if a.At != nil {
			fmt.Fprintf(e.Out, "  %s  #%d", e.Time(a.At), a.Record)
		}
		fmt.Fprintln(e.Out)
		e.Details(a.Errors, a.Warnings)
	}
	return refusedIf(a.Status)
}

func (e *environment) askCommand() *cobra.Command {
	var items []string
	var within, by string
	var length time.Duration
	cmd := e.deskAct(deskAct{
		kind:  event.KindAsked,
		use:   "ask DESK OPERATOR/INCIDENT",
		short: "Ask the operator for more information (要求补报)",
		long: `Asks the operator for items of its report, by their paths in the report's data. The
operator owes them until a later report contains them; tocsin owed lists them, and the
operator is reminded before the time limit. --within counts from the time at the server.
A reason is required.`,
		example: `  tocsin desk ask protection-energy grid-east/inc-1 --officer duty-officer \
      --item cause --item facts.directLoss --within PT2H --reason "the cause is missing"`,
		check: func(a *event.DeskAct, _ []string) (err error) {
			a.Items = items
			switch {
			case len(items) == 0:
				return errors.New("--item is required: what is asked for? a path such as cause or facts.directLoss")
			case (within == "") == (by == ""):
				return errors.New("want one of --within and --by: until when?")
			case within != "":
				if length, err = event.ParseDuration(within); err != nil {
					return fmt.Errorf("--within: %w", err)
				}
				return nil
			}
			a.DueAt, err = command.Moment("--by", by)
			return err
		},
		ask: func(ctx context.Context, c *client.Client, a *event.DeskAct) error {
			if within == "" {
				return nil
			}
			now, err := serverNow(ctx, c)
			due := now.Add(length)
			a.DueAt = &due
			return err
		},
	})
	f := cmd.Flags()
	f.StringSliceVar(&items, "item", nil, "path of the item in the report's data, repeatable (required)")
	f.StringVar(&within, "within", "", "time limit from now (ISO 8601: PT2H)")
	f.StringVar(&by, "by", "", "time limit (RFC 3339, or a date at +08:00)")
	return cmd
}

// serverNow returns the time of the server's clock: ours may be wrong, and in a drill the
// server's may run faster.
func serverNow(ctx context.Context, c *client.Client) (time.Time, error) {
	_, now, err := c.Incidents(ctx, api.IncidentQuery{}, 1, func(api.IncidentRow) error { return nil })
	return now, err
}

func (e *environment) determineCommand() *cobra.Command {
	return e.deskAct(deskAct{
		kind: event.KindDetermined, extra: 1,
		use:   "grade DESK OPERATOR/INCIDENT GRADE",
		short: "Set the grade of an incident (认定)",
		long: `Sets the grade: especially-grave, major, relatively-large or general. It overrides the
computed grade for the facts known now; criteria that are met later count again. The
authorities that the law names for the grade are notified as for any grade; nothing sent
is recalled. Only desks that the register permits may set a grade.`,
		example: `  tocsin desk grade protection-energy grid-east/inc-1 major --officer chief-of-shift --reason "core function lost"`,
		check: func(a *event.DeskAct, extra []string) (err error) {
			if a.Grade, err = event.ParseGrade(extra[0]); err == nil && a.Grade == event.Ungraded {
				err = errors.New("a desk cannot set the grade ungraded")
			}
			return err
		},
	})
}

func (e *environment) transferCommand() *cobra.Command {
	var to string
	cmd := e.deskAct(deskAct{
		kind:  event.KindTransferred,
		use:   "transfer DESK OPERATOR/INCIDENT --to DESK",
		short: "Transfer an incident to the competent desk (移送)",
		long: `Notifies another desk of the incident, by decision of this desk and not of the law, and of
everything new from then on. This desk remains informed.`,
		example: `  tocsin desk transfer sh-cyberspace grid-east/inc-1 --to sh-public-security --officer duty-officer --reason "suspected crime"`,
		check: func(a *event.DeskAct, _ []string) error {
			if a.To = to; to == "" {
				return errors.New("--to is required: which desk is competent?")
			}
			return nil
		},
	})
	cmd.Flags().StringVar(&to, "to", "", "the competent desk (required)")
	return cmd
}

func (e *environment) confirmCommand() *cobra.Command {
	var to string
	cmd := e.deskAct(deskAct{
		kind:  event.KindConfirmed,
		use:   "confirm DESK OPERATOR/INCIDENT [--to DESK]",
		short: "Confirm a forward that waits for a person",
		long: `Where the register says forward: confirm, an escalation that the desk must forward waits
for a person. A confirmed forward is sent at once and names the post. An unconfirmed one is
sent automatically at nine tenths of the time limit, marked as not verified.`,
		example: "  tocsin desk confirm protection-energy grid-east/inc-1 --officer duty-officer",
		check:   func(a *event.DeskAct, _ []string) error { a.To = to; return nil },
	})
	cmd.Flags().StringVar(&to, "to", "", "only the forward to this desk (default: every one)")
	return cmd
}

func (e *environment) closeCommand() *cobra.Command {
	return e.deskAct(deskAct{
		kind:  event.KindClosed,
		use:   "close DESK OPERATOR/INCIDENT",
		short: "Close an incident at this desk",
		long: `Removes the incident from the list of this desk; the log and other desks keep it. A new
escalation opens it again.`,
		example: `  tocsin desk close protection-energy grid-east/inc-1 --officer duty-officer --reason "handled, final report checked"`,
	})
}

func (e *environment) screensCommand() *cobra.Command {
	var conn command.Connection
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the desks and their screens",
		Long: `Lists every desk of the register with its screens (tocsin desk watch): whether a screen is
connected, when it was last seen, and which desk is notified when this one is silent.`,
		Example: "  tocsin desk list",
		Args:    command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := conn.Dial()
			if err != nil {
				return err
			}
			defer c.Close()
			answer, err := c.Desks(cmd.Context())
			if err != nil {
				return err
			}
			for _, s := range answer.Screens {
				if conn.JSON {
					err = e.JSON(screenLine{s, (*stamp)(s.SeenAt)})
				} else {
					e.screen(s, answer.Now)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	conn.Flags(cmd)
	return cmd
}

type screenLine struct {
	api.Screen
	SeenAt *stamp `json:"seenAt"`
}

func (e *environment) screen(s api.Screen, now time.Time) {
	fmt.Fprintf(e.Out, "%s%-28s %-14s ", e.Marks(e.Exercise, false), s.Desk, s.Client)
	switch {
	case s.Connected:
		fmt.Fprint(e.Out, e.Word("here"))
	case s.SeenAt == nil:
		fmt.Fprint(e.Out, e.Word("never"))
	default:
		fmt.Fprintf(e.Out, e.Word("last-seen"), e.Time(s.SeenAt), e.Length(now.Sub(*s.SeenAt)))
	}
	e.Next(s.Next)
	fmt.Fprintln(e.Out)
}
