// Package logcmd has the commands of the escalation log: query, prove, check, export and
// remove. What it prints as proof or evidence it has verified before.
package logcmd

import (
	"encoding/csv"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/cli/render"
	"github.com/tocsin-project/tocsin/internal/event"
)

// environment is what the commands of the log share.
type environment struct {
	*render.Printer
	in io.Reader
}

// New returns the command that has the commands of the log below it.
func New(p *render.Printer, in io.Reader) *cobra.Command {
	e := environment{p, in}
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Query, prove, check and export the escalation log",
		Long: `The escalation log records who was told what, when and under which article. Nobody has to
trust it blindly: every record is a leaf of a hash tree whose head is signed, the
checkpoint.

  query     query, stats, show
  prove     key, checkpoint, status, prove; tocsin-verify checks a proof offline
  check     audit compares the whole log with what was signed
  keep      export writes a range as evidence that can be verified without the server
  remove    redact, by order; archive, by age. Both keep the hash, and a record of
            the removal`,
	}
	cmd.AddCommand(e.queryCommand(), e.statsCommand(), e.showCommand(),
		e.keyCommand(), e.checkpointCommand(), e.statusCommand(), e.proveCommand(), e.auditCommand(),
		e.exportCommand(), e.redactCommand(), e.archiveCommand())
	return cmd
}

// filter are the flags that select escalations, and their output format.
type filter struct {
	command.Connection
	api.Query
	since, until string
	csv, excel   bool
}

func (q *filter) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&q.Grade, "grade", "", "especially-grave, major, relatively-large, general or ungraded")
	f.StringVar(&q.Operator, "operator", "", "the operator that reported")
	f.StringVar(&q.Desk, "desk", "", "the desk that was told")
	f.StringVar(&q.Region, "region", "", "GB/T 2260 code of a facility's region; a province covers its prefectures")
	f.StringVar(&q.Sector, "sector", "", "sector of a facility")
	f.StringVar(&q.Statute, "statute", "", "statute of the duty")
	f.StringVar(&q.Text, "text", "", "words that the title must contain, in any language")
	f.StringVar(&q.since, "since", "", "told at this time or later (RFC 3339, or a date at +08:00)")
	f.StringVar(&q.until, "until", "", "told before this time")
	f.BoolVar(&q.Overdue, "overdue", false, "past the desk's target and not acknowledged")
	f.BoolVar(&q.Unacknowledged, "unacknowledged", false, "not acknowledged")
	f.BoolVar(&q.csv, "csv", false, "CSV with a header")
	f.BoolVar(&q.excel, "csv-excel", false, "CSV with a header, and a byte order mark for Excel")
	q.Connection.Flags(cmd)
}

type queryFlags struct {
	filter
	limit int
}

func (e environment) queryCommand() *cobra.Command {
	var q queryFlags
	cmd := &cobra.Command{
		Use:   "query",
		Short: "Query escalations: who was told what, when, under which article",
		Long: `Prints escalations in the order of the ledger, in their present state. All given filters
must match. Pages are fetched automatically, up to --limit. Where there are more, the
cursor of the next page is printed on standard error; cursors do not expire.`,
		Example: "  tocsin log query --grade major --since 2026-01-01\n  tocsin log query --desk protection-energy --unacknowledged --json\n  tocsin log query --text 停电 --csv",
		Args:    command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := q.parse(); err != nil {
				return &command.UsageError{Err: err}
			}
			c, err := q.Dial()
			if err != nil {
				return err
			}
			defer c.Close()
			print, end := rowPrinter(e, q.filter, api.EscalationColumns, e.Row)
			next, err := c.Query(cmd.Context(), q.Query, q.limit, print)
			if err != nil {
				return err
			}
			if next != "" {
				fmt.Fprintf(e.ErrOut, "--cursor %s\n", next)
			}
			return end()
		},
	}
	q.flags(cmd)
	f := cmd.Flags()
	f.IntVar(&q.limit, "limit", 0, "maximum number of rows (0: all)")
	f.StringVar(&q.Cursor, "cursor", "", "continue after an earlier answer")
	return cmd
}

func (q *queryFlags) parse() error {
	if q.limit < 0 {
		return fmt.Errorf("--limit is a count, not %d", q.limit)
	}
	return q.filter.parse()
}

func (q *filter) parse() (err error) {
	if q.Since, err = command.Moment("--since", q.since); err != nil {
		return err
	}
	if q.Until, err = command.Moment("--until", q.until); err != nil {
		return err
	}
	if q.Grade != "" {
		if _, err := event.ParseGrade(q.Grade); err != nil {
			return fmt.Errorf("--grade: %w", err)
		}
	}
	q.csv = q.csv || q.excel
	if q.JSON && q.csv {
		return fmt.Errorf("--json or --csv, not both")
	}
	return nil
}

// rowPrinter returns a function that prints a row as JSON or CSV, or hands it to people,
// and one to call after the last row.
func rowPrinter[T interface{ Cells() []string }](e environment, q filter, columns []string, people func(T)) (print func(T) error, end func() error) {
	end = func() error { return nil }
	switch {
	case q.JSON:
		return func(r T) error { return e.JSON(r) }, end
	case !q.csv:
		return func(r T) error { people(r); return nil }, end
	}
	if q.excel {
		_, _ = io.WriteString(e.Raw, api.ByteOrderMark) // the next write fails as well
	}
	w := csv.NewWriter(e.Raw)
	_ = w.Write(columns) // Flush reports the error
	return func(r T) error { return w.Write(r.Cells()) }, func() error { w.Flush(); return w.Error() }
}

func (e environment) showCommand() *cobra.Command {
	var conn command.Connection
	cmd := &cobra.Command{
		Use:   "show OPERATOR/INCIDENT",
		Short: "Show all records of an incident, in order",
		Long: `Prints every record of an incident in the order of the ledger: reports, grades and their
reasons, escalations, acknowledgements, times that passed, and acts of desks. With --json
each record is one object, with its body as stored.`,
		Example: "  tocsin log show grid-east/inc-1",
		Args:    command.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			operator, incident, err := command.ParseIncident(a[0])
			if err != nil {
				return err
			}
			c, err := conn.Dial()
			if err != nil {
				return err
			}
			defer c.Close()
			found := false
			err = c.Show(cmd.Context(), operator, incident, func(s api.StoryEntry) error {
				found = true
				if conn.JSON {
					return e.JSON(s)
				}
				return e.Story(s)
			})
			if err == nil && !found {
				return fmt.Errorf("no record of %s", a[0])
			}
			return err
		},
	}
	conn.Flags(cmd)
	return cmd
}
