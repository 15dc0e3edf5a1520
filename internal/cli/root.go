// Package cli is the command line of tocsin: its commands, what they print for people
// and for programs, and their exit codes. Run has no state outside its arguments and
// never ends the process.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/cli/logcmd"
	"github.com/tocsin-project/tocsin/internal/cli/render"
	"github.com/tocsin-project/tocsin/internal/cli/statutecmd"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// The exit codes of every command.
const (
	exitOK          = 0
	exitRefused     = 1 // refused, in conflict, or wrong in any other way
	exitUnreachable = 2 // no answer from the server; or the command line is wrong, a file of it missing
)

// Run runs a command line until it is done or ctx ends, and returns its exit code.
func Run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	env := &environment{Printer: &render.Printer{Raw: out, Out: printable.Writer{Out: out}, ErrOut: errOut, Citations: embeddedCitations}, in: in, flush: func() {}}
	defer func() { env.flush() }()
	root := env.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil, errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitOK
	case errors.Is(err, command.ErrRefused): // the refusal has been printed
		return exitRefused
	}
	env.fail(err)
	if errors.Is(err, client.ErrUnreachable) || errors.As(err, new(*command.UsageError)) || errors.As(err, new(*fs.PathError)) || strings.HasPrefix(err.Error(), "unknown command") {
		return exitUnreachable
	}
	return exitRefused
}

// embeddedCitations has those of the program's own packs in Chinese.
var embeddedCitations = sync.OnceValue(func() event.Citations {
	rb, err := app.LoadRules("", "")
	if err != nil {
		panic(err) // a test loads them
	}
	return rb.Statutes.Citations()
})

// environment is what all commands share.
type environment struct {
	*render.Printer
	in    io.Reader
	flush func() // writes buffered output, within a time limit, before the process ends
}

func (e *environment) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tocsin",
		Short: "Report cybersecurity incidents to every authority that the law names, in time",
		Long: `tocsin receives operators' reports of cybersecurity incidents as CloudEvents, grades
them by the law and gives the reasons, notifies every desk that the law names, and
keeps a log of who was told what, when and under which article.

Try it:  tocsin demo
Run it:  tocsin serve (a trial without authentication; run tocsin init first to
         require credentials), then in another terminal:
         tocsin report --operator grid-east FILE
         tocsin desk watch protection-energy
         tocsin log query --grade major
         tocsin log prove 6 -o proof.txt, for tocsin-verify
         tocsin owed grid-east
Drill:   the same commands with --exercise, then tocsin drill report

Exit codes: 0 done; 1 refused, in conflict or failed; 2 the server could not be
reached or the command line is wrong.`,
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			e.Exercise, _ = cmd.Flags().GetBool("exercise") // a command without the flag is not in a drill
			if err := cmd.ValidateFlagGroups(); err != nil {
				return &command.UsageError{Err: err}
			}
			return e.chooseLanguage()
		},
	}
	root.PersistentFlags().StringVar(&e.Lang, "lang", "", "language for people: zh or en (default by LANG)")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &command.UsageError{Err: err} })
	root.AddCommand(e.serveCommand(), e.demoCommand(), e.reportCommand(), e.importCommand(),
		e.gradeCommand(), statutecmd.New(e.Printer), e.deskCommand(), logcmd.New(e.Printer, e.in),
		e.owedCommand(), e.drillCommand(), e.initCommand(), e.credentialCommand())
	return root
}

func (e *environment) chooseLanguage() error {
	switch e.Lang {
	case "zh", "en":
		return nil
	case "":
		for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
			if v := os.Getenv(name); v != "" {
				e.Lang = "en"
				if strings.HasPrefix(v, "zh") {
					e.Lang = "zh"
				}
				return nil
			}
		}
		e.Lang = "en"
		return nil
	}
	return &command.UsageError{Err: fmt.Errorf("--lang is zh or en, not %q", e.Lang)}
}

// fail prints an error, with every fault on a line of its own.
func (e *environment) fail(err error) {
	out := printable.Writer{Out: e.ErrOut} // an answer may quote text from outside
	details := fault.DetailsOf(err)
	if details == nil {
		fmt.Fprintf(out, "tocsin: %v\n", err)
		return
	}
	for _, d := range details {
		fmt.Fprintf(out, "tocsin: %s: %s\n", d.Path, d.Message)
	}
}
