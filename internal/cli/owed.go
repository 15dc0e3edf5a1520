package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
)

func (e *environment) owedCommand() *cobra.Command {
	var conn command.Connection
	var q api.IncidentQuery
	var follow bool
	cmd := &cobra.Command{
		Use:   "owed [OPERATOR]",
		Short: "List what an operator still owes, and until when",
		Long: `Lists what is owed after the first report: missing items (补报), the final summary
(处置总结报告), and what a desk has asked for (要求补报). Late entries come first. A report that
contains the item settles it; so does a withdrawal.

With --follow reminders are printed as they arrive. Reminders are not stored for clients
that are not connected; the list shows everything.

The exit code is 0 also when nothing is owed.`,
		Example: "  tocsin owed grid-east\n  tocsin owed grid-east --incident inc-1 --json\n  tocsin owed --desk protection-energy",
		Args:    command.Args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			if len(a) > 0 {
				q.Operator = a[0]
			}
			if q.Operator == "" && (follow || q.Incident != "") {
				return &command.UsageError{Err: errors.New("--follow and --incident need an OPERATOR")}
			}
			c, err := conn.Dial()
			if err != nil {
				return err
			}
			defer c.Close()
			list := func() error { return e.listOwed(cmd.Context(), c, q, conn.JSON) }
			if !follow {
				return list()
			}
			return c.Reminders(cmd.Context(), q.Operator, list, func(r event.Reminder) error { return e.reminded(q, r, conn.JSON) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Desk, "desk", "", "only incidents of which this desk was told")
	f.StringVar(&q.Incident, "incident", "", "only this incident")
	f.BoolVar(&follow, "follow", false, "then print reminders as they arrive")
	conn.Flags(cmd)
	return cmd
}

// owedLine is an obligation in JSON.
type owedLine struct {
	Operator   string            `json:"operator"`
	Incident   string            `json:"incident"`
	Grade      event.Grade       `json:"grade"`
	ID         string            `json:"id"`
	Kind       string            `json:"kind"` // items, report or ask
	Items      []string          `json:"items"`
	Report     *string           `json:"report"`
	DueAt      *stamp            `json:"dueAt"`
	Within     *string           `json:"within"` // with dueAt null: counted from an event that has not happened yet
	Clock      *string           `json:"clock"`
	Late       bool              `json:"late"`
	Statute    *string           `json:"statute"`
	Citation   *string           `json:"citation"`
	CitationZH *string           `json:"citationZh"`
	Confidence *event.Confidence `json:"confidence"`
	Desk       *string           `json:"desk"` // the desk that asks
	Officer    *string           `json:"officer"`
	Reason     *string           `json:"reason"`
	Revision   int               `json:"revision"`
	Exercise   bool              `json:"exercise"`

	owed event.Obligation
}

// owedOf lists what is owed on incidents: the late and then the soonest first, and what
// is due promptly before what has no running clock.
func owedOf(rows []api.IncidentRow, now time.Time) []owedLine {
	lines := []owedLine{}
	for _, r := range rows {
		for _, o := range r.Owed {
			lines = append(lines, owedLine{
				Operator: r.Operator, Incident: r.Incident, Grade: r.Grade, Revision: r.Revision, Exercise: r.Exercise,
				ID: o.ID, Kind: string(o.Kind), Items: append([]string{}, o.Items...), Report: orNull(o.Report),
				DueAt: (*stamp)(o.DueAt), Within: orNull(o.Within), Clock: orNull(o.Clock), Late: o.LateAt(now),
				Statute: orNull(o.Statute), Citation: orNull(o.Citation), CitationZH: orNull(o.CitationZH), Confidence: orNull(o.Confidence),
				Desk: orNull(o.Desk), Officer: orNull(o.Officer), Reason: orNull(o.Reason), owed: o,
			})
		}
	}
	slices.SortStableFunc(lines, func(a, b owedLine) int {
		return cmp.Or(cmp.Compare(urgency(a.owed), urgency(b.owed)), compareTimes(a.owed.DueAt, b.owed.DueAt))
	})
	return lines
}

// urgency orders obligations: with a due time, due promptly, waiting.
func urgency(o event.Obligation) int {
	switch {
	case o.DueAt != nil:
		return 0
	case o.Within == "":
		return 1
	}
	return 2
}

func compareTimes(a, b *time.Time) int {
	if a == nil || b == nil {
		return 0
	}
	return a.Compare(*b)
}

func (e *environment) listOwed(ctx context.Context, c *client.Client, q api.IncidentQuery, asJSON bool) error {
	q.Owed = true
	rows, now, err := incidents(ctx, c, q)
	if err != nil {
		return err
	}
	lines := owedOf(rows, now)
	for _, l := range lines {
		if !asJSON {
			e.owedLine(l)
		} else if err := e.JSON(l); err != nil {
			return err
		}
	}
	if len(lines) == 0 && !asJSON {
		fmt.Fprintln(e.Out, e.Marks(e.Exercise, false)+e.Word("owes-nothing"))
	}
	return nil
}

// incidents returns all matching incidents, and the server's time.
func incidents(ctx context.Context, c *client.Client, q api.IncidentQuery) (rows []api.IncidentRow, now time.Time, err error) {
	_, now, err = c.Incidents(ctx, q, 0, func(r api.IncidentRow) error {
		rows = append(rows, r)
		return nil
	})
	return rows, now, err
}

func (e *environment) owedLine(l owedLine) {
	mark := ""
	if l.Exercise {
		mark = "[" + e.Word("exercise") + "] "
	}
	late := ""
	if l.Late {
		late = "[" + e.Word("owed-late") + "] "
	}
	fmt.Fprintf(e.Out, "%s%s%s/%s  %s  %s  (%s)\n", mark, late, l.Operator, l.Incident, e.GradeName(l.Grade), e.Obligation(l.owed), l.ID)
}

// reminded prints a reminder as it arrives, if it matches the query.
func (e *environment) reminded(q api.IncidentQuery, r event.Reminder, asJSON bool) error {
	if q.Incident != "" && r.Incident != q.Incident {
		return nil
	}
	if asJSON {
		return e.JSON(reminderLine{"reminder", r, stamp(r.DueAt), stamp(r.At)})
	}
	_, err := fmt.Fprintf(e.Out, "%s  %s  %s/%s  %s\n", e.Time(&r.At), e.Kind(event.KindReminded), r.Operator, r.Incident, e.Reminder(r))
	return err
}

// reminderLine is a reminder among obligations; kind tells them apart.
type reminderLine struct {
	Kind string `json:"kind"` // reminder
	event.Reminder
	DueAt stamp `json:"dueAt"`
	At    stamp `json:"at"`
}

type stamp = event.Stamp // a time in the contract's form

func orNull[T ~string](s T) *T {
	if s == "" {
		return nil
	}
	return &s
}
