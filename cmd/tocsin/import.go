package main

import (
	"bufio"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/interchange"
)

func (e *environment) importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Turn foreign incidents into reports",
		Long: `A filter: foreign incidents in, CloudEvents as JSON lines out. It sends nothing
and its output depends on its input alone; pipe it into tocsin report. The
reports are marked as imported, so that they start no clock.`,
	}
	cmd.AddCommand(
		e.importFormat("veris", "VERIS 1.3 incidents, as JSON lines or an array", interchange.VERIS),
		e.importFormat("doe417", "US electric emergency reports (form DOE-417), as CSV", interchange.DOE417),
	)
	return cmd
}

type importer func(io.Reader, interchange.Options, func([]byte) error) error

func (e *environment) importFormat(name, what string, run importer) *cobra.Command {
	var o interchange.Options
	var rules rules
	cmd := &cobra.Command{
		Use:     name + " [FILE]",
		Short:   what,
		Example: "  tocsin import " + name + " FILE --operator grid-east | tocsin report --operator grid-east",
		Args:    args(cobra.MaximumNArgs(1)),
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
			out := bufio.NewWriter(e.raw)
			err = run(in, o, func(event []byte) error {
				_, err := out.Write(append(event, '\n'))
				return err
			})
			return errors.Join(err, out.Flush(), closeIn())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Operator, "operator", "", "the operator to report as (required)")
	f.StringVar(&o.Facility, "facility", "", "the facility that the incidents happened to (default: the operator's first)")
	if name == "doe417" {
		f.BoolVar(&o.Ongoing, "ongoing", false, "an event without an end has not ended (default: its end is not known)")
	}
	f.StringVar(&rules.register, "register", "", "register of operators and facilities (default: the example register)")
	return cmd
}

// facilityOf returns the facility asked for, or the operator's first.
func facilityOf(rules rules, o interchange.Options) (string, error) {
	if o.Operator == "" {
		return "", &usageError{errors.New("--operator is required: whose incidents are these?")}
	}
	if o.Facility != "" {
		return o.Facility, nil
	}
	rb, err := app.LoadRules("", rules.register)
	if err != nil {
		return "", err
	}
	op, ok := rb.Register.Operator(o.Operator)
	if !ok {
		return "", errors.New("the operator " + o.Operator + " is not in the register; name its facility with --facility")
	}
	return op.Facilities[0].ID, nil
}
