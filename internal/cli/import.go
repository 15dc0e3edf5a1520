package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/interchange"
	"github.com/tocsin-project/tocsin/internal/printable"
)

func (e *environment) importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Convert incidents of other formats into reports",
		Long: `A filter that reads incidents of other formats and writes CloudEvents as JSON lines. It
sends nothing, and its output depends only on its input; pipe it into tocsin report. The
reports are marked as imported, so that they start no clock.

Faulty incidents are named on standard error, "line 17: $.timeline.incident.day: that
month has no such day"; all others are written, and the exit code is 1. Only what the
source states as certain becomes a fact: a leak needs a confirmed incident and
data_disclosure Yes. Assumptions (neither format has time zones: times are read as UTC) are
in the text "other" of each report.`,
	}
	cmd.AddCommand(
		e.importFormat("veris", "VERIS 1.3 incidents, as JSON lines, multi-line JSON or an array", interchange.VERIS),
		e.importFormat("doe417", "US electric emergency reports (form DOE-417), as CSV", interchange.DOE417),
	)
	return cmd
}

type importer func(io.Reader, interchange.Options, func([]byte) error) error

func (e *environment) importFormat(name, what string, run importer) *cobra.Command {
	var o interchange.Options
	var rules command.Rules
	cmd := &cobra.Command{
		Use:     name + " [FILE]",
		Short:   what,
		Example: "  tocsin import " + name + " FILE --operator grid-east | tocsin report --operator grid-east",
		Args:    command.Args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, files []string) (err error) {
			if o.Facility, err = facilityOf(rules, o); err != nil {
				return err
			}
			file := "-"
			if len(files) > 0 {
				file = files[0]
			}
			in, closeIn, err := e.open(file)
			if err != nil {
				return err
			}
			out := bufio.NewWriter(e.Raw)
			warnings := printable.Writer{Out: e.ErrOut}
			o.Note = func(d fault.Detail) { fmt.Fprintf(warnings, "note: %s: %s\n", d.Path, d.Message) }
			err = run(in, o, func(event []byte) error {
				_, err := out.Write(append(event, '\n'))
				return err
			})
			if fault.KindOf(err) == fault.Reject {
				for _, d := range fault.DetailsOf(err) {
					fmt.Fprintf(warnings, "%s: %s\n", d.Path, d.Message)
				}
				err = command.ErrRefused
			}
			if other := errors.Join(out.Flush(), closeIn()); other != nil {
				return other
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Operator, "operator", "", "the operator to report as (required)")
	f.StringVar(&o.Facility, "facility", "", "facility of the incidents (default: the operator's first)")
	if name == "doe417" {
		f.BoolVar(&o.Ongoing, "ongoing", false, "treat an event without an end as ongoing (default: its end is unknown)")
	}
	f.StringVar(&rules.Register, "register", "", "register of operators and facilities (default: the example register)")
	return cmd
}

// facilityOf returns the requested facility, or the operator's first.
func facilityOf(rules command.Rules, o interchange.Options) (string, error) {
	if o.Operator == "" {
		return "", &command.UsageError{Err: errors.New("--operator is required: whose incidents are these?")}
	}
	if o.Facility != "" {
		return o.Facility, nil
	}
	rb, err := rules.Load()
	if err != nil {
		return "", err
	}
	op, ok := rb.Register.Operator(o.Operator)
	if !ok {
		return "", errors.New("the operator " + o.Operator + " is not in the register; name its facility with --facility")
	}
	return op.Facilities[0].ID, nil
}
