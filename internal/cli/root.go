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
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/app"
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
	env := &environment{in: in, raw: out, out: printable.Writer{Out: out}, errOut: errOut, flush: func() {}}
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
	case errors.Is(err, errRefused): // the refusal has been printed
		return exitRefused
	}
	env.fail(err)
	if errors.Is(err, client.ErrUnreachable) || errors.As(err, new(*usageError)) || errors.As(err, new(*fs.PathError)) || strings.HasPrefix(err.Error(), "unknown command") {
		return exitUnreachable
	}
	return exitRefused
}

// errRefused ends a command whose output has shown what was refused.
var errRefused = errors.New("refused")

// usageError is an invalid command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

// environment is what all commands share.
type environment struct {
	in     io.Reader
	raw    io.Writer // for programs
	out    io.Writer // for people
	errOut io.Writer
	flush  func() // writes buffered output, within a time limit, before the process ends
	lang   string
	// exercise is true when the command runs in the drill, for output that does not show
	// it itself.
	exercise bool
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
			e.exercise, _ = cmd.Flags().GetBool("exercise") // a command without the flag is not in a drill
			if err := cmd.ValidateFlagGroups(); err != nil {
				return &usageError{err}
			}
			return e.chooseLanguage()
		},
	}
	root.PersistentFlags().StringVar(&e.lang, "lang", "", "language for people: zh or en (default by LANG)")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddCommand(e.serveCommand(), e.demoCommand(), e.reportCommand(), e.importCommand(),
		e.gradeCommand(), e.statuteCommand(), e.deskCommand(), e.logCommand(),
		e.owedCommand(), e.drillCommand(), e.initCommand(), e.credentialCommand())
	return root
}

func (e *environment) chooseLanguage() error {
	switch e.lang {
	case "zh", "en":
		return nil
	case "":
		for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
			if v := os.Getenv(name); v != "" {
				e.lang = "en"
				if strings.HasPrefix(v, "zh") {
					e.lang = "zh"
				}
				return nil
			}
		}
		e.lang = "en"
		return nil
	}
	return &usageError{fmt.Errorf("--lang is zh or en, not %q", e.lang)}
}

// fail prints an error, with every fault on a line of its own.
func (e *environment) fail(err error) {
	out := printable.Writer{Out: e.errOut} // an answer may quote text from outside
	details := fault.DetailsOf(err)
	if details == nil {
		fmt.Fprintf(out, "tocsin: %v\n", err)
		return
	}
	for _, d := range details {
		fmt.Fprintf(out, "tocsin: %s: %s\n", d.Path, d.Message)
	}
}

// connection are the flags of every command that talks to a server.
type connection struct {
	server   string
	creds    string
	ca       string
	timeout  time.Duration
	exercise bool
	command  *cobra.Command // has the flags
}

func (c *connection) flags(cmd *cobra.Command) {
	c.serverFlags(cmd)
	cmd.Flags().BoolVar(&c.exercise, "exercise", false, "act in the drill, not on the real record")
}

// serverFlags adds the flags for a command that sets its realm itself.
func (c *connection) serverFlags(cmd *cobra.Command) {
	c.command = cmd
	server := os.Getenv("TOCSIN_SERVER")
	if server == "" {
		server = "nats://127.0.0.1:4222"
	}
	cmd.Flags().StringVar(&c.server, "server", server, "NATS address of the server (or TOCSIN_SERVER)")
	credsFlag(cmd, &c.creds)
	cmd.Flags().StringVar(&c.ca, "tls-ca", os.Getenv("TOCSIN_CA"), "certificate of the authority that signed the server certificate (or TOCSIN_CA)")
	c.timeout = 30 * time.Second
	cmd.Flags().Var((*positiveDuration)(&c.timeout), "timeout", "how long to try, including connecting, before the server counts as unreachable")
}

// positiveDuration is a flag for a duration above zero.
type positiveDuration time.Duration

func (d *positiveDuration) String() string { return time.Duration(*d).String() }
func (*positiveDuration) Type() string     { return "duration" }
func (d *positiveDuration) Set(text string) error {
	length, err := time.ParseDuration(text)
	if err != nil || length <= 0 {
		return errors.New("want a length of time above zero, such as 10s or 2m")
	}
	*d = positiveDuration(length)
	return nil
}

func (c *connection) dial(options ...nats.Option) (*client.Client, error) {
	realm := event.Real
	if c.exercise {
		realm = event.Drill
	}
	var creds []byte
	if c.creds != "" {
		var err error
		if creds, err = os.ReadFile(c.creds); err != nil { // before waiting for the server
			return nil, fmt.Errorf("--creds: %w", err)
		}
		if _, err := nkeys.ParseDecoratedNKey(creds); err != nil {
			return nil, &usageError{fmt.Errorf("--creds: %s holds no credential: name the .creds file that tocsin credential add wrote", c.creds)}
		}
		speaks := environment{lang: c.command.Flag("lang").Value.String()}
		speaks.warnExpiry(c.command.ErrOrStderr(), creds)
		options = append(options, nats.UserCredentials(c.creds))
		if app.BeyondLoopback(c.server) { // an attacker in between could claim that the server has no TLS
			options = append(options, nats.Secure())
		}
	}
	if c.ca != "" {
		options = append(options, nats.RootCAs(c.ca))
	}
	conn, err := client.DialContext(c.command.Context(), realm, c.server, c.timeout, options...)
	if err == nil && c.creds != "" {
		if err := conn.SignWith(creds); err != nil {
			conn.Close()
			return nil, fmt.Errorf("--creds: %w", err)
		}
	}
	return conn, err
}

// nameOfIncident reads OPERATOR/INCIDENT.
func nameOfIncident(text string) (operator, incident string, err error) {
	operator, incident, ok := strings.Cut(text, "/")
	if !ok || operator == "" || incident == "" {
		return "", "", &usageError{fmt.Errorf("%q is not OPERATOR/INCIDENT", text)}
	}
	return operator, incident, nil
}

// args wraps a check of arguments, so that an invalid command line exits with 2.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, a []string) error {
		if err := check(cmd, a); err != nil {
			return &usageError{fmt.Errorf("%w\n\n%s", err, cmd.UsageString())}
		}
		return nil
	}
}
