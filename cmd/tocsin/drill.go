package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
)

func (e *environment) drillCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Drills (演练): what is sent with --exercise",
		Long: `A drill takes the whole path on subjects and in a stream of its own: it reaches
no real desk, and no real report reaches it. Take part with --exercise:
tocsin report --exercise, tocsin desk watch DESK --exercise, and so on.`,
	}
	cmd.AddCommand(e.drillReportCommand())
	return cmd
}

func (e *environment) drillReportCommand() *cobra.Command {
	conn := connection{exercise: true}
	var since string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Who acknowledged when, and what was late",
		Long: `Prints every escalation of the drill, then the sums for each desk and each
operator, and what is still owed. It reads the drill's record only. A late
report is counted once, however many desks it was late for. With --json there is
one object an escalation ("kind":"escalation") and one at the end
("kind":"summary").`,
		Example: "  tocsin drill report --since 2026-01-01T09:00:00+08:00",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := moment("--since", since)
			if err != nil {
				return &usageError{err}
			}
			c, err := conn.dial()
			if err != nil {
				return err
			}
			defer c.Close()
			d, err := readDrill(cmd.Context(), c, from)
			if err != nil {
				return err
			}
			if asJSON {
				return e.drillJSON(d)
			}
			e.drillPage(d)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&since, "since", "", "of what was told at this time or later (RFC 3339, or a date at +08:00)")
	f.BoolVar(&asJSON, "json", false, "one JSON object a line")
	conn.serverFlags(cmd)
	return cmd
}

// drill is what a drill came to.
type drill struct {
	Kind        string          `json:"kind"` // summary
	Since       *stamp          `json:"since"`
	At          stamp           `json:"at"` // by the drill's clock
	Escalations int             `json:"escalations"`
	Desks       []*drillDesk    `json:"desks"`
	Operators   []drillOperator `json:"operators"`
	Owed        []owedLine      `json:"owed"`

	rows []event.EscalationRow
}

// drillDesk are the sums of a desk. Every escalation is one of the four states.
type drillDesk struct {
	Desk             string          `json:"desk"`
	Escalations      int             `json:"escalations"`
	InTime           int             `json:"inTime"` // acknowledged by the target, or without one
	AcknowledgedLate int             `json:"acknowledgedLate"`
	Overdue          int             `json:"overdue"` // and not acknowledged
	Open             int             `json:"open"`
	Late             int             `json:"late"`    // told after the law's limit: not the desk's doing
	Notices          int             `json:"notices"` // of other desks' silence; no clock runs for them
	Median           *event.Duration `json:"median"`
	Slowest          *event.Duration `json:"slowest"`

	took []time.Duration
}

// drillOperator are the sums of an operator.
type drillOperator struct {
	Operator    string          `json:"operator"`
	Incidents   int             `json:"incidents"`
	LateReports int             `json:"lateReports"` // revisions that were late for some desk
	LatestBy    *event.Duration `json:"latestBy"`
}

// readDrill reads what the desks were told since a time, and what is owed.
func readDrill(ctx context.Context, c *client.Client, since *time.Time) (*drill, error) {
	d := &drill{Kind: "summary", Since: (*stamp)(since), Desks: []*drillDesk{}, Operators: []drillOperator{}}
	_, err := c.Query(ctx, event.Query{Since: since}, 0, func(r event.EscalationRow) error {
		d.rows = append(d.rows, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var owed []event.IncidentRow
	_, now, err := c.Incidents(ctx, event.IncidentQuery{Owed: true}, 0, func(r event.IncidentRow) error {
		owed = append(owed, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.At, d.Escalations = stamp(now), len(d.rows)
	d.Owed = owedOf(slices.DeleteFunc(owed, func(r event.IncidentRow) bool { return since != nil && r.GradedAt.Before(*since) }), now)
	d.sum()
	return d, nil
}

// sum adds up what each desk and each operator did.
func (d *drill) sum() {
	desks := map[string]*drillDesk{}
	type tally struct{ incidents, late map[string]event.Duration }
	operators := map[string]tally{}
	for _, r := range d.rows {
		if desks[r.Desk] == nil {
			desks[r.Desk] = &drillDesk{Desk: r.Desk}
		}
		desks[r.Desk].add(r)
		if operators[r.Operator].incidents == nil {
			operators[r.Operator] = tally{map[string]event.Duration{}, map[string]event.Duration{}}
		}
		t := operators[r.Operator]
		t.incidents[r.Incident] = 0
		for _, duty := range r.Duties {
			if duty.From == r.Operator && duty.LateBy != nil {
				report := fmt.Sprintf("%s.%d", r.Incident, r.Revision)
				t.late[report] = max(t.late[report], *duty.LateBy)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(desks)) {
		desks[name].settle()
		d.Desks = append(d.Desks, desks[name])
	}
	for _, name := range slices.Sorted(maps.Keys(operators)) {
		t := operators[name]
		o := drillOperator{Operator: name, Incidents: len(t.incidents), LateReports: len(t.late)}
		if len(t.late) > 0 {
			latest := slices.Max(slices.Collect(maps.Values(t.late)))
			o.LatestBy = &latest
		}
		d.Operators = append(d.Operators, o)
	}
}

func (s *drillDesk) add(r event.EscalationRow) {
	if r.Act == event.ActNotice { // of another desk's silence: no clock runs
		s.Notices++
		return
	}
	s.Escalations++
	if r.Late {
		s.Late++
	}
	switch r.State {
	case event.StateAcknowledged:
		s.InTime++
	case event.StateAcknowledgedLate:
		s.AcknowledgedLate++
	case event.StateOverdue:
		s.Overdue++
	default:
		s.Open++
	}
	if r.AcknowledgedAt != nil {
		s.took = append(s.took, r.AcknowledgedAt.Sub(r.ReportedAt))
	}
}

// settle works out the median and the slowest of the times to acknowledge.
func (s *drillDesk) settle() {
	n := len(s.took)
	if n == 0 {
		return
	}
	slices.Sort(s.took)
	median := event.Duration((s.took[(n-1)/2] + s.took[n/2]) / 2)
	slowest := event.Duration(s.took[n-1])
	s.Median, s.Slowest = &median, &slowest
}
