package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/cli/render"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

func (e *environment) drillCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Report on drills (演练), which --exercise starts",
		Long: `A drill takes the whole path on subjects and in a stream of its own: it reaches
no real desk, and no real report reaches it. Take part with --exercise:
tocsin report --exercise, tocsin desk watch DESK --exercise, and so on.

A drill's clock may run faster than the machine's (tocsin serve --time-scale).
The times in its reports are by the drill's clock: tocsin drill clock prints it.`,
	}
	cmd.AddCommand(e.drillReportCommand(), e.drillClockCommand())
	return cmd
}

func (e *environment) drillClockCommand() *cobra.Command {
	conn := command.Connection{Exercise: true}
	cmd := &cobra.Command{
		Use:   "clock",
		Short: "Print the time of the drill and of this machine",
		Long: `Prints the time of the drill's clock, which may run faster than this machine's. Use it for
the times in reports of the drill: a discovery at the machine's time may be hours old in
the drill, and its report late.`,
		Example: "  tocsin drill clock",
		Args:    command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := conn.Dial()
			if err != nil {
				return err
			}
			defer c.Close()
			now, err := serverNow(cmd.Context(), c)
			if err != nil {
				return err
			}
			machine := clock.System{}.Now()
			if conn.JSON {
				return e.JSON(drillClock{stamp(now.UTC()), stamp(machine.UTC())})
			}
			const rfc3339 = "2006-01-02T15:04:05.000Z07:00" // in the form that a report takes
			_, err = fmt.Fprintf(e.Out, e.Word("drill-clock")+"\n", now.In(event.Beijing).Format(rfc3339), machine.In(event.Beijing).Format(rfc3339))
			return err
		},
	}
	conn.ServerFlags(cmd)
	return cmd
}

type drillClock struct {
	Drill   stamp `json:"drill"`
	Machine stamp `json:"machine"`
}

func (e *environment) drillReportCommand() *cobra.Command {
	conn := command.Connection{Exercise: true}
	var since string
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Summarise a drill: acknowledgements and what was late",
		Long: `Prints every escalation of the drill, then totals for each desk and each operator, and
what is still owed. It reads only the records of the drill. A late report counts once,
however many desks it was late for, and only if it was late when it was received: delays
in this system are not the operator's. Imported reports are counted and not listed,
because no clock runs for them. With --json each escalation is one object
("kind":"escalation"), followed by one for the totals ("kind":"summary").`,
		Example: "  tocsin drill report --since 2026-01-01T09:00:00+08:00",
		Args:    command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := command.Moment("--since", since)
			if err != nil {
				return &command.UsageError{Err: err}
			}
			c, err := conn.Dial()
			if err != nil {
				return err
			}
			defer c.Close()
			d, err := readDrill(cmd.Context(), c, from)
			if err != nil {
				return err
			}
			if conn.JSON {
				return e.drillJSON(d)
			}
			e.drillPage(d)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&since, "since", "", "escalations at this time or later (RFC 3339, or a date at +08:00)")
	conn.ServerFlags(cmd)
	return cmd
}

type drill struct {
	Kind        string          `json:"kind"` // summary
	Since       *stamp          `json:"since"`
	At          stamp           `json:"at"` // by the drill's clock
	Escalations int             `json:"escalations"`
	Imported    int             `json:"imported"` // of these, those that start no clock; not in the sums below
	Desks       []*drillDesk    `json:"desks"`
	Operators   []drillOperator `json:"operators"`
	Owed        []owedLine      `json:"owed"`

	rows []api.EscalationRow
}

// drillDesk are the sums of a desk. Every escalation is in one of the four states.
type drillDesk struct {
	Desk             string          `json:"desk"`
	Escalations      int             `json:"escalations"`
	InTime           int             `json:"inTime"` // acknowledged by the target, or without one
	AcknowledgedLate int             `json:"acknowledgedLate"`
	Overdue          int             `json:"overdue"` // not acknowledged by the target
	Open             int             `json:"open"`
	Late             int             `json:"late"`         // told after the law's limit, for which the desk is not responsible
	LateBySender     int             `json:"lateBySender"` // of these, received after it
	DelayedHere      int             `json:"delayedHere"`  // of these, received in time
	Notices          int             `json:"notices"`      // of other desks' silence; no clock runs for them
	Median           *event.Duration `json:"median"`
	Slowest          *event.Duration `json:"slowest"`

	took []time.Duration
}

type drillOperator struct {
	Operator    string          `json:"operator"`
	Incidents   int             `json:"incidents"`
	LateReports int             `json:"lateReports"` // revisions that were late for some desk when received
	LatestBy    *event.Duration `json:"latestBy"`
	// LateByCorrection counts the incidents that a corrected discovery time shows to have
	// been told late.
	LateByCorrection int `json:"lateByCorrection"`
}

// readDrill reads the escalations since a time, and what is owed.
func readDrill(ctx context.Context, c *client.Client, since *time.Time) (*drill, error) {
	d := &drill{Kind: "summary", Since: (*stamp)(since), Desks: []*drillDesk{}, Operators: []drillOperator{}}
	_, err := c.Query(ctx, api.Query{Since: since}, 0, func(r api.EscalationRow) error {
		d.rows = append(d.rows, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	owed, now, err := incidents(ctx, c, api.IncidentQuery{Owed: true})
	if err != nil {
		return nil, err
	}
	d.At, d.Escalations = stamp(now), len(d.rows)
	d.Owed = owedOf(slices.DeleteFunc(owed, func(r api.IncidentRow) bool { return since != nil && r.GradedAt.Before(*since) }), now)
	d.sum()
	return d, nil
}

func (d *drill) sum() {
	desks := map[string]*drillDesk{}
	type tally struct{ incidents, late, corrected map[string]event.Duration }
	operators := map[string]tally{}
	for _, r := range d.rows {
		if r.Imported {
			d.Imported++
			continue
		}
		if desks[r.Desk] == nil {
			desks[r.Desk] = &drillDesk{Desk: r.Desk}
		}
		desks[r.Desk].add(r)
		if operators[r.Operator].incidents == nil {
			operators[r.Operator] = tally{map[string]event.Duration{}, map[string]event.Duration{}, map[string]event.Duration{}}
		}
		t := operators[r.Operator]
		t.incidents[r.Incident] = 0
		for _, duty := range r.Duties {
			if by, late := receivedLate(r, duty); late && duty.From == r.Operator {
				report := fmt.Sprintf("%s.%d", r.Incident, r.Revision)
				t.late[report] = max(t.late[report], by)
			}
		}
		for _, duty := range r.Standing {
			if duty.From == r.Operator {
				t.corrected[r.Incident] = 0
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(desks)) {
		desks[name].settle()
		d.Desks = append(d.Desks, desks[name])
	}
	for _, name := range slices.Sorted(maps.Keys(operators)) {
		t := operators[name]
		o := drillOperator{Operator: name, Incidents: len(t.incidents), LateReports: len(t.late), LateByCorrection: len(t.corrected)}
		if len(t.late) > 0 {
			latest := slices.Max(slices.Collect(maps.Values(t.late)))
			o.LatestBy = &latest
		}
		d.Operators = append(d.Operators, o)
	}
}

func (s *drillDesk) add(r api.EscalationRow) {
	if r.Act == event.ActNotice { // of another desk's silence: no clock runs
		s.Notices++
		return
	}
	s.Escalations++
	if r.Late {
		s.Late++
		if delayedHere(r) {
			s.DelayedHere++
		} else {
			s.LateBySender++
		}
	}
	switch {
	case r.OwnAct: // nothing to acknowledge
	case r.State == api.StateAcknowledged:
		s.InTime++
	case r.State == api.StateAcknowledgedLate:
		s.AcknowledgedLate++
	case r.State == api.StateOverdue:
		s.Overdue++
	default:
		s.Open++
	}
	if r.AcknowledgedAt != nil {
		s.took = append(s.took, r.AcknowledgedAt.Sub(r.ReportedAt))
	}
}

// receivedLate returns how late a duty was when its report was received. Without a known
// receipt, it returns how late the desk was told.
func receivedLate(r api.EscalationRow, d event.Duty) (by event.Duration, late bool) {
	if d.LateBy == nil || render.InTime(d.DueAt, r.ReceivedAt) {
		return 0, false
	}
	if received := time.Time(r.ReceivedAt); d.DueAt != nil && !received.IsZero() {
		return event.Duration(received.Sub(*d.DueAt)), true
	}
	return *d.LateBy, true
}

// delayedHere reports whether an escalation is late although its cause was received in
// time for every late duty.
func delayedHere(r api.EscalationRow) bool {
	found := false
	for _, d := range r.Duties {
		if d.LateBy != nil {
			if found = true; !render.InTime(d.DueAt, r.ReceivedAt) {
				return false
			}
		}
	}
	return r.Late && (found || render.InTime(r.DueAt, r.ReceivedAt))
}

// settle computes the median and the maximum of the times to acknowledge.
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
