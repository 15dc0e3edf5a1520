package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/cli/render"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// handover is what a shift passes on to the next one.
type handover struct {
	Desk            string              `json:"desk"`
	At              stamp               `json:"at"` // by the server's clock
	Exercise        bool                `json:"exercise"`
	Open            []api.EscalationRow `json:"open"` // not acknowledged, within the target
	Overdue         []api.EscalationRow `json:"overdue"`
	Imported        int                 `json:"imported"` // not acknowledged, but in neither list: no clock runs for them
	Rising          []risingLine        `json:"rising"`
	PendingForwards []pendingLine       `json:"held"`
	Owed            []owedLine          `json:"owed"`
}

// risingLine is an incident whose grade time alone will raise.
type risingLine struct {
	Operator string      `json:"operator"`
	Incident string      `json:"incident"`
	Title    string      `json:"title,omitempty"`
	Grade    event.Grade `json:"grade"`
	Next     event.Next  `json:"next"`
}

// pendingLine is a forward of the desk that awaits confirmation.
type pendingLine struct {
	Operator string       `json:"operator"`
	Incident string       `json:"incident"`
	Grade    event.Grade  `json:"grade"`
	To       string       `json:"to"`
	Duties   []event.Duty `json:"duties"`
	Since    stamp        `json:"since"`
	Remind   stamp        `json:"remind"`
	Until    stamp        `json:"until"`

	pending event.PendingForward
}

func (e *environment) handoverCommand() *cobra.Command {
	var conn command.Connection
	var within string
	cmd := &cobra.Command{
		Use:   "handover DESK",
		Short: "Print the handover of a shift",
		Long: `Prints the open work of a desk: unacknowledged escalations and those past their target,
grades that will rise as time passes, forwards that wait for a person, what operators owe,
and other desks that do not respond. Imported reports are counted and not listed, because no
clock runs for them. It changes nothing.`,
		Example: "  tocsin desk handover protection-energy\n  tocsin desk handover protection-energy --within PT2H --json",
		Args:    command.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			window, err := event.ParseDuration(within)
			if err != nil {
				return &command.UsageError{Err: fmt.Errorf("--within: %w", err)}
			}
			c, err := conn.Dial()
			if err != nil {
				return err
			}
			defer c.Close()
			h, err := readHandover(cmd.Context(), c, a[0], window)
			if err != nil {
				return err
			}
			h.Exercise = conn.Exercise
			if conn.JSON {
				return e.JSON(h)
			}
			e.handover(h, window)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&within, "within", "P1D", "include grades that rise within this time (ISO 8601)")
	conn.Flags(cmd)
	return cmd
}

// readHandover queries the unacknowledged escalations and the desk's open incidents.
func readHandover(ctx context.Context, c *client.Client, desk string, window time.Duration) (*handover, error) {
	h := &handover{Desk: desk, Open: []api.EscalationRow{}, Overdue: []api.EscalationRow{}, Rising: []risingLine{}, PendingForwards: []pendingLine{}}
	_, err := c.Query(ctx, api.Query{Desk: desk, Unacknowledged: true}, 0, func(r api.EscalationRow) error {
		switch {
		case r.Imported:
			h.Imported++
		case r.State == api.StateOverdue:
			h.Overdue = append(h.Overdue, r)
		default:
			h.Open = append(h.Open, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	rows, now, err := incidents(ctx, c, api.IncidentQuery{Desk: desk, Open: true})
	if err != nil {
		return nil, err
	}
	h.At = stamp(now)
	h.addIncidents(rows, now, window)
	if len(rows)+len(h.Open)+len(h.Overdue)+h.Imported == 0 {
		return h, mustExist(ctx, c, desk)
	}
	return h, nil
}

// addIncidents selects what the next shift must know of the desk's incidents.
func (h *handover) addIncidents(rows []api.IncidentRow, now time.Time, window time.Duration) {
	for _, r := range rows {
		if r.Next != nil && !r.Imported && !r.Next.At.After(now.Add(window)) {
			h.Rising = append(h.Rising, risingLine{r.Operator, r.Incident, r.Title, r.Grade, *r.Next})
		}
		for _, f := range r.PendingForwards {
			if f.Desk == h.Desk {
				h.PendingForwards = append(h.PendingForwards, pendingLine{
					Operator: r.Operator, Incident: r.Incident, Grade: r.Grade, To: f.To, Duties: f.Duties,
					Since: stamp(f.Since), Remind: stamp(f.Remind), Until: stamp(f.Until), pending: f,
				})
			}
		}
	}
	h.Owed = owedOf(rows, now)
}

// mustExist prevents a mistyped name from reading as "all quiet".
func mustExist(ctx context.Context, c *client.Client, desk string) error {
	desks, err := c.Desks(ctx)
	if err != nil {
		return err
	}
	for _, s := range desks.Screens {
		if s.Desk == desk {
			return nil
		}
	}
	return fmt.Errorf("no desk %q in the register: see tocsin desk list", desk)
}

func (e *environment) handover(h *handover, window time.Duration) {
	if h.Exercise {
		fmt.Fprintf(e.Out, "[%s] ", e.Word("exercise"))
	}
	at := time.Time(h.At)
	fmt.Fprintf(e.Out, "%s  %s  %s\n", e.Word("handover"), h.Desk, e.Time(&at))
	overdue, silent := splitNotices(h.Overdue)
	open, more := splitNotices(h.Open)
	silent = append(silent, more...)
	render.Section(e.Printer, e.Word("overdue"), overdue, e.Titled)
	render.Section(e.Printer, e.Word("open"), open, e.Titled)
	e.importedCount(h.Imported)
	render.Section(e.Printer, fmt.Sprintf(e.Word("rising"), e.Length(window)), h.Rising, func(r risingLine) {
		fmt.Fprintf(e.Out, "%s  %s/%s  %s → %s%s  %s\n", e.Time(&r.Next.At), r.Operator, r.Incident, e.GradeName(r.Grade), e.GradeName(r.Next.Grade), e.Confidence(r.Next.Confidence), printable.Line(r.Title))
	})
	render.Section(e.Printer, e.Word("held-forwards"), h.PendingForwards, func(l pendingLine) {
		fmt.Fprintf(e.Out, "%s/%s  %s  %s\n", l.Operator, l.Incident, e.GradeName(l.Grade), e.PendingForward(l.Operator, l.Incident, l.pending, h.Exercise))
	})
	render.Section(e.Printer, e.Word("owed"), h.Owed, e.owedLine)
	// Drop reminders of forwards that have since been sent without a person.
	silent = slices.DeleteFunc(silent, func(r api.EscalationRow) bool {
		return r.Notice != nil && r.Notice.Until != nil && !r.Notice.Until.After(at)
	})
	render.Section(e.Printer, e.Word("notices"), silent, e.Row)
}

// importedCount prints how many imported escalations a page leaves out.
func (e *environment) importedCount(n int) {
	if n > 0 {
		fmt.Fprintf(e.Out, "\n%s (%d)\n", e.Word("imported-count"), n)
	}
}

// splitNotices separates escalations of incidents from notices of other desks' silence.
func splitNotices(rows []api.EscalationRow) (own, notices []api.EscalationRow) {
	for _, r := range rows {
		if r.Act == event.ActNotice {
			notices = append(notices, r)
		} else {
			own = append(own, r)
		}
	}
	return own, notices
}
