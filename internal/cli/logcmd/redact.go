package logcmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/printable"
)

func (e environment) redactCommand() *cobra.Command {
	var conn command.Connection
	var q api.RemoveRequest
	var yes bool
	cmd := &cobra.Command{
		Use:   "redact RECORD... --order REFERENCE --officer POST",
		Short: "Remove a record by order: a state secret, a person's data",
		Long: `Removes records that must not be in the log, on the order that REFERENCE names. This cannot
be undone: the record is removed from the log and from query results.

The hash of the record remains, in the tree and in a record of the removal, which names the
order and the post. So the proofs of all other records remain valid, and the log shows that
something was removed, but not what.

Copies elsewhere (exports, proofs, screens of desks) are not removed, and neither are other
records of the incident that repeat the content, such as the facts merged into a revision.
These are listed, and need orders of their own.

The command asks for confirmation, unless --yes is given. Without a terminal it requires
--yes.`,
		Example: "  tocsin log redact 6 --order 国保密〔2026〕12号 --officer duty-officer",
		Args:    command.Args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			if q.Order == "" || q.Officer == "" {
				return &command.UsageError{Err: errors.New("--order and --officer are required: the record of the removal names the order and the post")}
			}
			var records []uint64
			for _, text := range a {
				n, err := command.ParseRecordNumber(text)
				if err != nil {
					return err
				}
				records = append(records, n)
			}
			if !yes && !e.asks() {
				return errNoTerminal
			}
			c, err := conn.Dial()
			if err != nil {
				return err
			}
			defer c.Close()
			if !yes {
				if err := e.describe(cmd.Context(), c, records); err != nil {
					return err
				}
				if err := e.confirm(e.Word("redact-ask")); err != nil {
					return err
				}
			}
			return e.redact(cmd.Context(), c, q, records, conn.JSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Order, "order", "", "reference of the order")
	f.StringVar(&q.Officer, "officer", "", "post of the officer, never a person's name")
	f.StringVar(&q.Reason, "reason", "", "reason, which the record keeps permanently")
	f.BoolVar(&yes, "yes", false, "do not ask for confirmation")
	conn.Flags(cmd)
	return cmd
}

type redaction struct {
	Of uint64 `json:"of"` // the record that was to be removed
	*api.RemoveAnswer
}

func (e environment) redact(ctx context.Context, c *client.Client, q api.RemoveRequest, records []uint64, asJSON bool) error {
	refused := false
	for _, q.Record = range records {
		a, err := c.Remove(ctx, q)
		if err != nil {
			return err
		}
		if len(a.Errors) > 0 {
			a.Status, refused = event.StatusRejected, true
		}
		if asJSON {
			if err := e.JSON(redaction{q.Record, a}); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(e.Out, "%s%s  #%d", e.Marks(e.Exercise, false), e.Word("redact-"+a.Status), q.Record)
		if a.Record != 0 {
			fmt.Fprintf(e.Out, "  "+e.Word("redact-record"), a.Record)
		}
		fmt.Fprintln(e.Out)
		e.Details(a.Errors)
		if len(a.Copies) > 0 {
			fmt.Fprintf(e.Out, "    "+e.Word("redact-copies")+"\n", numbers(a.Copies))
		}
	}
	if refused {
		return command.ErrRefused
	}
	return nil
}

func numbers(records []uint64) string {
	var list []string
	for _, n := range records {
		list = append(list, fmt.Sprintf("#%d", n))
	}
	return strings.Join(list, " ")
}

// describe shows what is about to be removed, by subject and hash, never by content.
func (e environment) describe(ctx context.Context, c *client.Client, records []uint64) error {
	for _, n := range records {
		found := false
		err := c.Records(ctx, api.RecordsRequest{From: n, To: n}, func(uint64, uint64) error { return nil }, func(r evidence.Record) error {
			found = true
			_, err := fmt.Fprintf(e.Out, "#%d  %s  %s\n", r.Sequence, printable.Line(r.Subject), r.Entry())
			return err
		})
		if err != nil {
			return err
		}
		if !found {
			fmt.Fprintf(e.Out, "#%d  %s\n", n, e.Word("redact-gone"))
		}
	}
	return nil
}

var errNoTerminal = &command.UsageError{Err: errors.New("this cannot be undone, and there is no terminal on which to confirm it: confirm with --yes")}

// asks reports whether standard input is a terminal, so that a person can be asked.
func (e environment) asks() bool {
	f, ok := e.in.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// confirm asks a person, and requires the whole word.
func (e environment) confirm(question string) error {
	fmt.Fprintf(e.ErrOut, "%s [yes/no] ", question)
	answer, err := bufio.NewReader(e.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing was done")
	}
	return nil
}
