package logcmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/cli/render"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/evidence/export"
	"github.com/tocsin-project/tocsin/internal/evidence/page"
	"github.com/tocsin-project/tocsin/internal/printable"
)

func (e environment) archiveCommand() *cobra.Command {
	var conn command.Connection
	var before, officer string
	var yes bool
	cmd := &cobra.Command{
		Use:   "archive --before DATE --officer POST DIR",
		Short: "Move old records out of the log into an export",
		Long: `Exports every record stored before DATE into DIR, verifies the folder like tocsin-verify,
and only then has the records removed from the log. Their hashes remain, and records of
the removal name the export by the hash of its manifest: archived records are proved from
DIR, all others as before. Keep DIR: it is the only copy.

The server is asked first. It refuses records that the law requires to be kept; nothing is
written then. It keeps records that are still needed: the rules that decided, and open
incidents.

After an interruption, run it again with the same DATE and DIR: a complete export is
verified again and used.`,
		Example: "  tocsin log archive --before 2026-01-01 --officer archivist /archive/2025",
		Args:    command.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			until, err := command.Moment("--before", before)
			switch {
			case err != nil:
				return &command.UsageError{Err: err}
			case until == nil || officer == "":
				return &command.UsageError{Err: errors.New("--before and --officer are required")}
			case !yes && !e.asks():
				return errNoTerminal
			}
			c, err := conn.Dial()
			if err != nil {
				return err
			}
			defer c.Close()
			q := api.RecordsRequest{From: 1, Until: until}
			if err := mayArchive(cmd.Context(), c, q, officer); err != nil {
				return err
			}
			x, err := e.exportOnce(cmd.Context(), c, a[0], q)
			if err != nil {
				return err
			}
			if err := e.verifyExport(cmd.Context(), x); err != nil {
				return err
			}
			if !conn.JSON {
				fmt.Fprintf(e.Out, e.Marks(e.Exercise, false)+e.Word("archive-verified")+"\n", x.Dir, render.Span(x.First, x.Last), x.Records, x.Manifest)
			}
			if !yes {
				if err := e.confirm(fmt.Sprintf(e.Word("archive-ask"), render.Span(x.First, x.Last))); err != nil {
					return err
				}
			}
			return e.archive(cmd.Context(), c, x, officer, conn.JSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&before, "before", "", "archive records stored before this time (RFC 3339, or a date at +08:00)")
	f.StringVar(&officer, "officer", "", "post of the officer, never a person's name")
	f.BoolVar(&yes, "yes", false, "do not ask for confirmation")
	conn.Flags(cmd)
	return cmd
}

// mayArchive checks whether the range of q would be archived, before exporting it, which
// may take long.
func mayArchive(ctx context.Context, c *client.Client, q api.RecordsRequest, officer string) error {
	log, err := certified(ctx, c, 0)
	if err != nil {
		return err
	}
	q.To = log.Size
	first, last, err := c.Range(ctx, q)
	switch {
	case err != nil:
		return err
	case last < first:
		return errNoneStored
	}
	return c.TryArchive(ctx, api.ArchiveRequest{First: first, Last: last, Officer: officer})
}

// exportOnce writes the export, or uses the one of an earlier run.
func (e environment) exportOnce(ctx context.Context, c *client.Client, dir string, q api.RecordsRequest) (*exported, error) {
	dir = filepath.Clean(dir)
	raw, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return e.export(ctx, c, dir, q)
	}
	if err != nil {
		return nil, err
	}
	var m export.Manifest // verified with the rest of the folder
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if m.First != q.From || m.Until == nil || !m.Until.Equal(*q.Until) {
		return nil, fmt.Errorf("%s holds another export, of records %s: archive into a folder of its own", dir, render.Span(m.First, m.Last))
	}
	log, err := c.Log(ctx)
	if err != nil {
		return nil, err
	}
	return &exported{
		Dir: dir, First: m.First, Last: m.Last, Records: m.Records, Removed: m.Removed, Size: m.Checkpoint.Size, Key: log.Key, Exercise: e.Exercise,
	}, nil
}

// verifyExport verifies the folder as a stranger would, with the log's key, and notes its
// manifest.
func (e environment) verifyExport(ctx context.Context, x *exported) error {
	v, err := evidence.NewVerifier(x.Key)
	if err != nil {
		return err
	}
	counter := command.NewCounter(e.ErrOut, e.Word("records"))
	report, err := page.VerifyExport(ctx, x.Dir, v, counter.Show)
	counter.End()
	if err != nil {
		return err
	}
	for _, f := range report.Findings {
		fmt.Fprintf(printable.Writer{Out: e.ErrOut}, "tocsin: %s: %s\n", filepath.Join(x.Dir, f.Path), f.Message)
	}
	if len(report.Findings) > 0 {
		return fmt.Errorf("%s does not hold: nothing was archived", x.Dir)
	}
	if x.Manifest == "" {
		x.Manifest = report.Manifest
	}
	if x.Manifest != report.Manifest {
		return fmt.Errorf("%s was changed while it was read: nothing was archived", x.Dir)
	}
	return nil
}

type archived struct {
	*exported
	Archived uint64   `json:"archived"` // records removed by this run
	Kept     uint64   `json:"kept"`     // records still needed
	Removals []uint64 `json:"removals"` // the records of the removals
}

// archive requests the removal of the exported records, part by part.
func (e environment) archive(ctx context.Context, c *client.Client, x *exported, officer string, asJSON bool) error {
	done := archived{exported: x, Removals: []uint64{}}
	counter := command.NewCounter(e.ErrOut, e.Word("records"))
	q := api.ArchiveRequest{First: x.First, Last: x.Last, Export: x.Manifest, Officer: officer}
	err := c.Archive(ctx, q, func(a *api.RemoveAnswer) error {
		done.Archived += a.Removed
		done.Kept += a.Kept
		if a.Record != 0 && a.Status == event.StatusAccepted {
			done.Removals = append(done.Removals, a.Record)
		}
		counter.Show(max(a.Next, x.First)-x.First, x.Last-x.First+1)
		return nil
	})
	counter.End()
	if err != nil {
		return err
	}
	if asJSON {
		return e.JSON(done)
	}
	_, err = fmt.Fprintf(e.Out, e.Marks(e.Exercise, false)+e.Word("archived")+"\n", done.Archived, done.Kept, x.Dir)
	return err
}
