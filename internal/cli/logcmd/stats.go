package logcmd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/printable"
)

func (e environment) statsCommand() *cobra.Command {
	var q filter
	var by []string
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Count escalations: told in time, acknowledged in time",
		Long: `Counts the selected escalations by grade, desk, sector, region, statute and month, one
table for each; --by selects tables.

  told in time          share of escalations with a due time that were sent by then;
                        those without one ("promptly") are not included
  acknowledged in time  share of escalations with a target, acknowledged or past it,
                        that were acknowledged by then
  late                  sent after the due time
  late ack              acknowledged after the target
  overdue               past the target and not acknowledged

An escalation with several values, such as two statutes, counts under each. Months are
those at +08:00 in which the desk was told.`,
		Example: "  tocsin log stats --by month --since 2026-01-01\n  tocsin log stats --desk protection-energy --by grade,sector --json",
		Args:    command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := q.parse(); err != nil {
				return &command.UsageError{Err: err}
			}
			if len(by) == 0 {
				by = api.StatsDimensions
			}
			for _, d := range by {
				if !slices.Contains(api.StatsDimensions, d) {
					return &command.UsageError{Err: fmt.Errorf("--by is one of %s, not %q", strings.Join(api.StatsDimensions, ", "), d)}
				}
			}
			c, err := q.Dial()
			if err != nil {
				return err
			}
			defer c.Close()
			var table []api.StatsRow // for people
			print, end := rowPrinter(e, q, api.StatsColumns, func(r api.StatsRow) { table = append(table, r) })
			for i, d := range by {
				a, err := c.Stats(cmd.Context(), api.StatsQuery{By: d, Query: q.Query})
				if err != nil {
					return err
				}
				for _, r := range a.Rows {
					if err := print(r); err != nil {
						return err
					}
				}
				if !q.JSON && !q.csv {
					e.statsTable(d, table, i > 0)
					table = nil
				}
			}
			return end()
		},
	}
	q.flags(cmd)
	cmd.Flags().StringSliceVar(&by, "by", nil, "what to count by, repeatable: "+strings.Join(api.StatsDimensions, ", ")+" (default: each)")
	return cmd
}

// statsTable prints one dimension for people, if wanted after an empty line.
func (e environment) statsTable(by string, rows []api.StatsRow, gap bool) {
	if gap {
		fmt.Fprintln(e.Out)
	}
	table := [][]string{{e.Word("of-" + by), e.Word("stats-told"), e.Word("stats-in-time"), e.Word("stats-late"),
		e.Word("stats-acknowledged"), e.Word("stats-late-ack"), e.Word("stats-overdue")}}
	for _, r := range rows {
		value := printable.Line(r.Value)
		if g, err := event.ParseGrade(r.Value); err == nil && by == "grade" {
			value = e.GradeName(g)
		}
		table = append(table, []string{value, fmt.Sprint(r.Escalations), share(r.ReportedInTime, r.Timed), fmt.Sprint(r.Late),
			share(r.AcknowledgedInTime, r.Targeted), fmt.Sprint(r.AcknowledgedLate), fmt.Sprint(r.Overdue)})
	}
	e.Table(table)
	if len(rows) == 0 {
		fmt.Fprintf(e.Out, "%s\n", e.Word("stats-none"))
	}
}

// share renders a fraction in per cent, with the total. It rounds down: 100 % means all.
func share(part *float64, of uint64) string {
	if part == nil {
		return "–"
	}
	return fmt.Sprintf("%.1f%% / %d", float64(int(*part*1000+1e-9))/10, of)
}
