package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/cloudevent"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/printable"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// gradeOptions are the flags of grade and of report --check.
type gradeOptions struct {
	operator string
	at       string
	json     bool
	rules    command.Rules
}

func (e *environment) gradeCommand() *cobra.Command {
	var o gradeOptions
	cmd := &cobra.Command{
		Use:   "grade [FILE...]",
		Short: "Grade reports offline, with reasons",
		Long: `Grades reports without a server, with the same code as the server: the grade, every
criterion that is met with its article, the unknown facts, when the grade will rise as
time passes, and who must be notified by when. Reports of one incident are merged in the
given order.

A figure whose source is not confirmed is marked [unverified].`,
		Example: "  tocsin grade incident.json\n  tocsin grade --at 2026-01-01T12:00:00+08:00 --json incident.json",
		RunE:    func(_ *cobra.Command, files []string) error { return e.grade(files, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.operator, "operator", "", "the operator that reports (default: the last segment of each event's source)")
	f.StringVar(&o.at, "at", "", "time at which to grade, also taken as the time of receipt (RFC 3339; default: now)")
	f.BoolVar(&o.json, "json", false, "one JSON object a line")
	o.rules.Flags(cmd)
	return cmd
}

// grade prints the grading of every report, or its faults.
func (e *environment) grade(files []string, o gradeOptions) error {
	at := clock.System{}.Now()
	if o.at != "" {
		var err error
		if at, err = time.Parse(time.RFC3339Nano, o.at); err != nil {
			return &command.UsageError{Err: fmt.Errorf("--at: %w", err)}
		}
	}
	rb, err := o.rules.Load()
	if err != nil {
		return err
	}
	grader := app.NewGrader(rb, at.UTC())
	refused := false
	err = e.events(files)(func(raw []byte) error {
		g, err := grader.Grade(o.operator, raw)
		if err != nil {
			refused = true
			return e.refusal(raw, o, err)
		}
		if o.json {
			return e.JSON(g)
		}
		e.grading(g)
		return nil
	})
	if err == nil && refused {
		return command.ErrRefused
	}
	return err
}

// refusal prints why a report would be refused.
func (e *environment) refusal(raw []byte, o gradeOptions, err error) error {
	r := event.Receipt{Status: event.StatusRejected, Operator: o.operator, Errors: fault.DetailsOf(err)}
	if r.Operator == "" {
		r.Operator = client.SourceOperator(raw)
	}
	names := cloudevent.NamesOf(nil, raw)
	r.Incident, r.Report = names.Subject, names.ID
	if r.Errors == nil {
		r.Errors = []fault.Detail{{Path: "$", Message: err.Error()}}
	}
	if o.json {
		return e.JSON(r)
	}
	e.Receipt(&r)
	return nil
}

func (e *environment) grading(g *app.Grading) {
	fmt.Fprintf(e.Out, "%s/%s  %s\n", printable.Line(g.Operator), printable.Line(g.Incident), printable.Line(g.Report))
	fmt.Fprintf(e.Out, "  %s: %s", e.Word("grade"), e.GradeName(g.Grade))
	if g.CouldBe > g.Grade {
		fmt.Fprintf(e.Out, "  (%s %s)", e.Word("couldBe"), e.GradeName(g.CouldBe))
	}
	fmt.Fprintln(e.Out)
	if g.Own != nil {
		fmt.Fprintf(e.Out, "  %s: %s, %s: %s\n", e.Word("own"), e.GradeName(g.Own.Grade), e.Word("computed"), e.GradeName(g.Own.Computed))
	}
	for _, line := range e.Law(g.Law) {
		fmt.Fprintf(e.Out, "  %s\n", line)
	}
	for _, h := range g.Hits {
		fmt.Fprintf(e.Out, "  %s %s: %s — %s %s%s\n", e.Word("because"), e.GradeName(h.Grade), h.Criterion, e.Citation(h.Citation, h.CitationZH), h.Quote, e.Confidence(h.Confidence)+e.Kinds(h))
	}
	if g.Next != nil {
		fmt.Fprintf(e.Out, "  %s\n", e.NextRise(g.Next))
	}
	e.unknown(g.Unknown)
	switch {
	case len(g.Duties) == 0 && len(g.Possible) > 0:
		fmt.Fprintf(e.Out, "  %s\n", e.Word("nobody-yet"))
	case len(g.Duties) == 0:
		fmt.Fprintf(e.Out, "  %s\n", e.Word("nobody"))
	}
	for _, d := range g.Duties {
		e.Duty(d, api.EscalationRow{Imported: g.Imported})
	}
	for _, p := range g.Possible {
		fmt.Fprintf(e.Out, "  %s\n", e.Possible(p))
	}
}

// unknown prints the missing facts, each once, with the gravest grade that each leaves
// open.
func (e *environment) unknown(list []event.Unknown) {
	seen := map[string]bool{}
	for _, u := range list {
		if !seen[u.Fact] {
			seen[u.Fact] = true
			fmt.Fprintf(e.Out, "  %s %s (%s %s)\n", e.Word("unknown"), e.factName(u.Fact), e.Word("couldBe"), e.GradeName(u.Grade))
		}
	}
}

// factName returns the path of a fact, in Chinese with its name before it.
func (e *environment) factName(path string) string {
	if name := statute.NameOf(path); e.Lang == "zh" && name.ZH != path {
		return name.ZH + "（" + path + "）"
	}
	return path
}
