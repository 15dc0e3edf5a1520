package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/cloudevent"
	"github.com/tocsin-project/tocsin/internal/event"
)

func (e *environment) reportCommand() *cobra.Command {
	var conn command.Connection
	var rules command.Rules
	var operator string
	var check, verbose bool
	var window int
	cmd := &cobra.Command{
		Use:   "report [FILE...]",
		Short: "Send reports and print their receipts",
		Long: `Sends CloudEvents and prints one receipt for each, in the order of the input. A FILE
contains one JSON object, an array or JSON lines; - or no FILE is standard input. Many
reports are sent concurrently. A report without an answer is sent again; its id makes that
safe.

A receipt lists the duties that were already late when the report was received, counted
from the discovery that the report states. It names the record in the escalation log and,
with --json or -v, the hash of its entry: keep it, because every later proof must match it
(tocsin log prove).

With --exercise the reports go to the drill and reach no real desk. Their times are those
of the drill's clock, which may run faster than this machine's: see tocsin drill clock.

With --check nothing is sent or stored: the faults, the grade and the recipients of each
report are printed.

Exit codes: 0 all accepted (a duplicate counts as accepted), 1 any refused or in conflict,
2 the server could not be reached.`,
		Example: `  tocsin report --operator grid-east incident.json
  tocsin import veris incidents.jsonl --operator grid-east | tocsin report --operator grid-east --json -`,
		RunE: func(cmd *cobra.Command, files []string) error {
			if check {
				return e.grade(files, gradeOptions{operator: operator, json: conn.JSON, rules: rules})
			}
			c, err := conn.Dial()
			if err != nil {
				return err
			}
			defer c.Close()
			return e.send(cmd.Context(), c, operator, window, files, func(r *event.Receipt) error {
				if conn.JSON {
					return e.JSON(r)
				}
				e.Receipt(r)
				if verbose && r.Entry != nil {
					fmt.Fprintf(e.Out, "    %s %s\n", e.Word("entry"), r.Entry)
				}
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&operator, "operator", "", "the operator that reports (default: the last segment of each event's source)")
	f.BoolVarP(&verbose, "verbose", "v", false, "show the hash of the record's entry in the log")
	f.BoolVar(&check, "check", false, "store nothing: print faults, grade and recipients")
	f.IntVar(&window, "window", 256, "maximum number of reports under way at once")
	conn.Flags(cmd)
	rules.Flags(cmd)
	return cmd
}

func (e *environment) send(ctx context.Context, c *client.Client, operator string, window int, files []string, print func(*event.Receipt) error) error {
	p := newProgress(e.ErrOut)
	defer p.end()
	refused := false
	err := c.Reports(ctx, operator, window, e.events(files), func(r *event.Receipt) error {
		refused = refused || refusedIf(r.Status) != nil
		p.add(r.Status)
		return print(r)
	})
	if err == nil && refused {
		return command.ErrRefused
	}
	return err
}

// events yields the events of files one by one, unchanged. No files, or "-", means
// standard input.
func (e *environment) events(files []string) func(yield func([]byte) error) error {
	if len(files) == 0 {
		files = []string{"-"}
	}
	return func(yield func([]byte) error) error {
		for _, name := range files {
			if err := e.eventsOf(name, yield); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	}
}

func (e *environment) eventsOf(name string, yield func([]byte) error) error {
	in, closeIn, err := e.open(name)
	if err != nil {
		return err
	}
	return errors.Join(cloudevent.Split(in, yield), closeIn())
}

func (e *environment) open(name string) (io.Reader, func() error, error) {
	if name == "-" {
		return e.in, func() error { return nil }, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	return f, f.Close, nil
}
