package logcmd

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/printable"
	"github.com/tocsin-project/tocsin/internal/private"
)

func (e environment) proveCommand() *cobra.Command {
	var conn command.Connection
	var since, output string
	cmd := &cobra.Command{
		Use:   "prove RECORD | --since CHECKPOINT-FILE",
		Short: "Write a proof of a record that anybody can verify offline",
		Long: `Writes one self-contained file: the record, the hashes from it to the root of the tree, and
the checkpoint that signs the root. tocsin-verify checks it without the server and without
a network. RECORD is the number in receipts and in tocsin log show. For a new record the
command waits until a checkpoint covers it.

With --since it proves that the log extends an earlier checkpoint: no record was changed,
removed or inserted.

The proof is verified with the log's key before it is written. Its reader needs that key
from a source that the reader trusts (tocsin log key).`,
		Example: "  tocsin log prove 6 -o proof.txt\n  tocsin log checkpoint > then; tocsin log prove --since then -o grown.txt",
		Args:    command.Args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			if len(a) == 0 == (since == "") {
				return &command.UsageError{Err: errors.New("give a RECORD, or --since with the file of an earlier checkpoint")}
			}
			var record uint64
			var old []byte
			var err error
			if since != "" {
				old, err = os.ReadFile(since)
			} else {
				record, err = command.ParseRecordNumber(a[0])
			}
			if err != nil {
				return err
			}
			c, err := conn.Dial()
			if err != nil {
				return err
			}
			defer c.Close()
			p := proof{Record: record}
			if since != "" {
				err = p.ofGrowth(cmd.Context(), c, string(old))
			} else {
				err = p.ofRecord(cmd.Context(), c)
			}
			if err != nil {
				return err
			}
			return e.giveProof(p, output, conn.JSON)
		},
	}
	cmd.Flags().StringVar(&since, "since", "", "file of an earlier checkpoint: prove that the log extends it")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write the proof into this file (default: standard output)")
	conn.Flags(cmd)
	return cmd
}

type proof struct {
	Record uint64        `json:"record,omitempty"`
	Since  uint64        `json:"since,omitempty"` // size of the earlier checkpoint
	Size   uint64        `json:"size"`            // of the checkpoint that it ends in
	Root   evidence.Hash `json:"root"`
	Proof  string        `json:"proof"`

	key string
}

// ofRecord proves that a record is in the log.
func (p *proof) ofRecord(ctx context.Context, c *client.Client) error {
	s, err := certified(ctx, c, p.Record)
	if err != nil {
		return err
	}
	if p.Proof, err = c.Prove(ctx, p.Record); err != nil {
		return err
	}
	v, err := evidence.NewVerifier(s.Key)
	if err != nil {
		return err
	}
	read, err := evidence.ParseProof(p.Proof)
	if err != nil {
		return fmt.Errorf("the server gave a proof that cannot be read: %w", err)
	}
	cp, err := read.Verify(v)
	if err != nil {
		return fmt.Errorf("the server gave a proof that does not hold: %w", err)
	}
	if read.Record.Sequence != p.Record {
		return fmt.Errorf("the server gave a proof of record #%d, not of #%d", read.Record.Sequence, p.Record)
	}
	p.Size, p.Root, p.key = cp.Size, cp.Root, s.Key
	return nil
}

// ofGrowth proves that the log extends an earlier checkpoint.
func (p *proof) ofGrowth(ctx context.Context, c *client.Client, old string) error {
	s, err := c.Log(ctx)
	if err != nil {
		return err
	}
	v, err := evidence.NewVerifier(s.Key)
	if err != nil {
		return err
	}
	earlier, err := v.Open(old)
	if err != nil {
		return fmt.Errorf("the earlier checkpoint: %w", err)
	}
	p.Since = earlier.Size
	if earlier.Size > s.Size {
		return fmt.Errorf("the earlier checkpoint covers %d records, the log's only %d: the log was cut, or put back from an older copy", earlier.Size, s.Size)
	}
	if p.Proof, err = c.ProveExtends(ctx, earlier.Size); err != nil {
		return err
	}
	read, err := evidence.ParseConsistency(p.Proof)
	if err != nil {
		return fmt.Errorf("the server gave a proof that cannot be read: %w", err)
	}
	if err := read.Verify(v, earlier); err != nil {
		return fmt.Errorf("the log does not extend the earlier checkpoint: %w", err)
	}
	now, err := v.Open(read.Checkpoint)
	if err != nil {
		return err
	}
	p.Size, p.Root, p.key = now.Size, now.Root, s.Key
	return nil
}

// giveProof writes a proof to the requested place, and prints how to verify it.
func (e environment) giveProof(p proof, output string, asJSON bool) error {
	switch {
	case output != "":
		if err := private.WriteOutput(output, []byte(p.Proof)); err != nil {
			return err
		}
	case !asJSON:
		_, err := fmt.Fprint(e.Raw, p.Proof)
		return err
	}
	if asJSON {
		return e.JSON(p)
	}
	if p.Since != 0 || p.Record == 0 {
		fmt.Fprintf(e.Out, e.Word("proved-growth")+"\n", output, p.Size, p.Since, p.Root)
		return nil
	}
	fmt.Fprintf(e.Out, e.Word("proved")+"\n", output, p.Record, p.Size, p.Root)
	fmt.Fprintf(e.Out, "tocsin-verify --key %s %s\n", printable.ShellWord(p.key), printable.ShellWord(output))
	return nil
}
