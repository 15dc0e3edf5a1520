package logcmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/cli/render"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/printable"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// stateOf returns the state of the log of a server.
func stateOf(ctx context.Context, conn *command.Connection) (*api.LogState, error) {
	c, err := conn.Dial()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Log(ctx)
}

func (e environment) keyCommand() *cobra.Command {
	var conn command.Connection
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Print the public key that signs checkpoints",
		Long: `Prints the key as a note verifier key, which tocsin-verify --key takes. Get it once over a
channel that you trust, and keep it: a key that comes with a proof says nothing about the
proof.`,
		Example: "  tocsin log key > tocsin.key\n  tocsin-verify --key \"$(cat tocsin.key)\" proof.txt",
		Args:    command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := stateOf(cmd.Context(), &conn)
			if err != nil {
				return err
			}
			if conn.JSON {
				return e.JSON(struct {
					Key string `json:"key"`
				}{s.Key})
			}
			_, err = fmt.Fprintln(e.Raw, s.Key)
			return err
		},
	}
	conn.Flags(cmd)
	return cmd
}

func (e environment) checkpointCommand() *cobra.Command {
	var conn command.Connection
	cmd := &cobra.Command{
		Use:   "checkpoint",
		Short: "Print the last signed checkpoint",
		Long: `Prints the checkpoint as it was signed (C2SP tlog-checkpoint): the number of records and
their root hash. Keep it: later, tocsin log prove --since FILE proves that the log only
grew since then. Only a copy elsewhere reveals that the whole log was reset to an older
state.`,
		Example: "  tocsin log checkpoint > checkpoint-2026-03-01",
		Args:    command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := stateOf(cmd.Context(), &conn)
			switch {
			case err != nil:
				return err
			case s.Checkpoint == "":
				return errNoCheckpoint
			case conn.JSON:
				return e.JSON(struct {
					Checkpoint string `json:"checkpoint"`
					Size       uint64 `json:"size"`
				}{s.Checkpoint, s.Size})
			}
			_, err = fmt.Fprint(e.Raw, s.Checkpoint)
			return err
		},
	}
	conn.Flags(cmd)
	return cmd
}

var errNoCheckpoint = errors.New("no checkpoint has been signed yet")

func (e environment) statusCommand() *cobra.Command {
	var conn command.Connection
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the state of the log and any damage",
		Long: `Prints the number of records, how many of them the checkpoint covers, when the whole log
was last checked without findings, and all known damage.

Exit code 1 if there is damage.`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := stateOf(cmd.Context(), &conn)
			if err != nil {
				return err
			}
			if conn.JSON {
				err = e.JSON(s)
			} else {
				e.logState(s)
			}
			if err == nil && len(s.Damage) > 0 {
				return command.ErrRefused
			}
			return err
		},
	}
	conn.Flags(cmd)
	return cmd
}

func (e environment) logState(s *api.LogState) {
	fmt.Fprintf(e.Out, e.Marks(e.Exercise, false)+e.Word("log-state")+"\n", s.Head, s.Size, s.Indexed, s.Removed)
	checked := e.Word("log-unchecked")
	if !s.Checked.IsZero() {
		checked = e.Time(&s.Checked)
	}
	fmt.Fprintf(e.Out, e.Word("log-checked")+"\n", checked)
	if months, err := statute.ParseMonths(s.Keep); err == nil {
		fmt.Fprintf(e.Out, e.Word("log-keep")+"\n", months)
	}
	e.damages(s.Damage)
}

// damages prints the known damage, or that there is none.
func (e environment) damages(list []event.Damage) {
	if len(list) == 0 {
		fmt.Fprintln(e.Out, e.Word("log-whole"))
		return
	}
	fmt.Fprintf(e.Out, e.Word("log-damaged")+"\n", len(list))
	for _, d := range list {
		fmt.Fprintf(e.Out, "  %s", e.Word("damage-"+d.Kind))
		if d.First != 0 {
			fmt.Fprintf(e.Out, "  %s", render.Span(d.First, d.Last))
		}
		fmt.Fprintf(e.Out, "  %s", printable.Line(d.Detail))
		if !d.FoundAt.IsZero() {
			fmt.Fprintf(e.Out, "  (%s)", e.Time(&d.FoundAt))
		}
		fmt.Fprintln(e.Out)
	}
}

const (
	// A checkpoint covers a record within a fifth of a second.
	coverPause = 50 * time.Millisecond
	coverWait  = 10 * time.Second
)

// certified waits until the checkpoint covers a record. With record 0 it waits for the
// last record at the time of the call, but only a little.
func certified(ctx context.Context, c *client.Client, record uint64) (*api.LogState, error) {
	anyState := record == 0
	for waited := time.Duration(0); ; waited += coverPause {
		s, err := c.Log(ctx)
		if err != nil {
			return nil, err
		}
		if record == 0 {
			record = s.Head
		}
		switch {
		case anyState && (record <= s.Size || len(s.Damage) > 0 || waited >= coverWait/5):
			if s.Checkpoint == "" {
				return nil, errNoCheckpoint
			}
			return s, nil
		case s.Checkpoint != "" && record <= s.Size:
			return s, nil
		case record > s.Head:
			return nil, fmt.Errorf("there is no record #%d: the log has %d", record, s.Head)
		case len(s.Damage) > 0:
			return nil, fmt.Errorf("record #%d is not covered by a checkpoint, and none is signed while there is damage: see tocsin log status", record)
		case waited >= coverWait:
			return nil, fmt.Errorf("record #%d is not covered by a checkpoint: it covers %d of %d records", record, s.Size, s.Head)
		}
		select {
		case <-time.After(coverPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
