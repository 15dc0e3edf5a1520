// Command tocsin-verify verifies the statements of a tocsin log without trusting it, and
// without a network: proofs of records, whether a log has only grown, and whole exports.
// It needs only the log's public key, from a source that its user trusts.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tocsin-project/tocsin/internal/printable"
)

// The exit codes.
const (
	exitHolds     = 0
	exitFails     = 1 // something does not hold
	exitUnchecked = 2 // it could not be checked: a file is missing, or the key or the command line is wrong
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options are the command line and its output streams.
type options struct {
	key, file   string
	extends     string // empty: no earlier checkpoint is given
	record      uint64 // 0: all of them
	proof       string
	identities  string // nkey; empty: acts of desks need not be signed
	report      string // file; empty: no report is checked against the receipt
	json, quiet bool
	lang        string
	flagsGiven  map[string]bool

	stdout, stderr io.Writer // for people
	terminal       io.Writer // for progress; nil: none is shown
}

// run is main without the process: a command line in, an exit code out.
func run(args []string, stdout, stderr io.Writer) int {
	o := &options{stdout: printable.Writer{Out: stdout}, stderr: printable.Writer{Out: stderr}}
	switch err := o.parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, o.text("help"))
		return exitHolds
	case err != nil:
		fmt.Fprintf(o.stderr, "tocsin-verify: %v\n%s\n", err, o.text("try-help"))
		return exitUnchecked
	}
	if f, ok := stderr.(*os.File); ok && !o.quiet && !o.json {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			o.terminal = f
		}
	}
	r := o.check()
	if o.json {
		enc := json.NewEncoder(o.stdout) // escapes hidden characters
		enc.SetEscapeHTML(false)
		if err := enc.Encode(r); err != nil {
			fmt.Fprintf(o.stderr, "tocsin-verify: %v\n", err)
			return exitUnchecked
		}
		return r.code()
	}
	o.show(r)
	return r.code()
}

// parse reads the command line; flags may come before and after the file.
func (o *options) parse(args []string) error {
	o.lang = language(args)
	f := flag.NewFlagSet("tocsin-verify", flag.ContinueOnError)
	f.SetOutput(io.Discard) // errors are printed once, by run
	f.StringVar(&o.key, "key", "", "")
	f.StringVar(&o.extends, "extends", "", "")
	f.Uint64Var(&o.record, "record", 0, "")
	f.StringVar(&o.proof, "proof", "", "")
	f.StringVar(&o.identities, "identities", "", "")
	f.StringVar(&o.report, "report", "", "")
	f.BoolVar(&o.json, "json", false, "")
	f.BoolVar(&o.quiet, "quiet", false, "")
	f.StringVar(&o.lang, "lang", o.lang, "")
	var files []string
	for len(args) > 0 {
		if err := f.Parse(args); err != nil {
			return err
		}
		ended := len(args) > f.NArg() && args[len(args)-f.NArg()-1] == "--"
		args = f.Args()
		if ended {
			files = append(files, args...)
			break
		}
		if len(args) > 0 {
			files, args = append(files, args[0]), args[1:]
		}
	}
	o.flagsGiven = map[string]bool{}
	f.Visit(func(f *flag.Flag) { o.flagsGiven[f.Name] = true })
	switch {
	case o.lang != "zh" && o.lang != "en":
		lang := o.lang
		o.lang = "en"
		return fmt.Errorf("--lang is zh or en, not %q", lang)
	case len(files) != 1:
		return fmt.Errorf("want one FILE, not %d", len(files))
	case o.key == "":
		return errors.New("--key is missing: the public key of the log, from a source that you trust")
	case o.flagsGiven["record"] && o.record == 0:
		return errors.New("--record: records begin at 1")
	case o.flagsGiven["proof"] && (!o.flagsGiven["record"] || o.proof == ""):
		return errors.New("--proof FILE goes with --record N")
	case o.flagsGiven["record"] && o.flagsGiven["extends"]:
		return errors.New("--record or --extends, not both")
	case o.flagsGiven["extends"] && o.extends == "":
		return errors.New("--extends: name the file of the earlier checkpoint")
	}
	o.file = files[0]
	return nil
}

// language returns the language of the environment. It is needed before the command line
// is parsed, to report an error of that.
func language(args []string) string {
	for i, a := range args {
		if name := strings.TrimLeft(a, "-"); name != a && (name == "lang=zh" || name == "lang" && i+1 < len(args) && args[i+1] == "zh") {
			return "zh"
		}
	}
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := os.Getenv(name); v != "" {
			if strings.HasPrefix(v, "zh") {
				return "zh"
			}
			return "en"
		}
	}
	return "en"
}
