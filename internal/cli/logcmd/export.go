package logcmd

import (
	"context"
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
	"github.com/tocsin-project/tocsin/internal/printable"
	"github.com/tocsin-project/tocsin/internal/private"
)

func (e environment) exportCommand() *cobra.Command {
	var conn command.Connection
	var since, until, from, to string
	cmd := &cobra.Command{
		Use:   "export DIR",
		Short: "Export evidence that anybody can verify offline",
		Long: `Writes records into a folder: the records, the tiles of the tree that prove each of them,
the signed checkpoint, the statute packs and register that decided, a manifest with the
hash of every file, and index.html, a readable page in Chinese and English. tocsin-verify
checks the folder offline, also years later.

--since and --until select by time of storage, --from and --to by record number; without
them the whole log is exported. Records after the last checkpoint are not exported.

The folder is written as DIR.unfinished and renamed to DIR when it is complete. The hash of
its manifest is printed: note it elsewhere, so that the folder cannot be exchanged.

A register says which facilities are critical (CII), which is confidential: export only
for readers who are allowed to know that.`,
		Example: "  tocsin log export --since 2026-01-01 --until 2026-04-01 evidence-2026-q1\n  tocsin log export --from 6 --to 16 evidence",
		Args:    command.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			q, err := exportRange(since, until, from, to)
			if err != nil {
				return err
			}
			c, err := conn.Dial()
			if err != nil {
				return err
			}
			defer c.Close()
			x, err := e.export(cmd.Context(), c, a[0], q)
			if err != nil {
				return err
			}
			if conn.JSON {
				return e.JSON(x)
			}
			fmt.Fprintf(e.Out, e.Marks(e.Exercise, false)+e.Word("exported")+"\n", x.Dir, render.Span(x.First, x.Last), x.Records, x.Removed, x.Size, x.Manifest)
			fmt.Fprintf(e.Out, "tocsin-verify --key %s %s\n", printable.ShellWord(x.Key), printable.ShellWord(x.Dir))
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&since, "since", "", "records stored at this time or later (RFC 3339, or a date at +08:00)")
	f.StringVar(&until, "until", "", "records stored before this time")
	f.StringVar(&from, "from", "", "number of the first record")
	f.StringVar(&to, "to", "", "number of the last record")
	conn.Flags(cmd)
	return cmd
}

// exportRange reads the flags that select the records.
func exportRange(since, until, from, to string) (q api.RecordsRequest, err error) {
	if q.Since, err = command.Moment("--since", since); err != nil {
		return q, &command.UsageError{Err: err}
	}
	if q.Until, err = command.Moment("--until", until); err != nil {
		return q, &command.UsageError{Err: err}
	}
	q.From = 1
	if from != "" {
		if q.From, err = command.ParseRecordNumber(from); err != nil {
			return q, err
		}
	}
	if to != "" {
		if q.To, err = command.ParseRecordNumber(to); err != nil {
			return q, err
		}
	}
	if q.To != 0 && q.To < q.From {
		return q, &command.UsageError{Err: fmt.Errorf("--to %d comes before --from %d", q.To, q.From)}
	}
	return q, nil
}

type exported struct {
	Dir      string `json:"dir"`
	Manifest string `json:"manifest"` // SHA-256, in hex
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	Records  uint64 `json:"records"`
	Removed  uint64 `json:"removed"` // records of the range that were removed
	Size     uint64 `json:"size"`    // of the checkpoint
	Key      string `json:"key"`
	Exercise bool   `json:"exercise"`
}

// unfinished is the suffix of a folder that is being written.
const unfinished = ".unfinished"

// export writes a folder of evidence. It gets its name only when it is complete.
func (e environment) export(ctx context.Context, c *client.Client, dir string, q api.RecordsRequest) (*exported, error) {
	given := filepath.Clean(dir)
	dir, err := placeOf(given)
	if err != nil {
		return nil, err
	}
	if err := mustBeFree(dir); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(dir + unfinished); err != nil { // left by an interrupted run
		return nil, err
	}
	x, err := newExporter(ctx, c, e, q)
	if err != nil {
		return nil, err
	}
	done, err := x.write(ctx, dir+unfinished)
	x.count.End()
	if err != nil {
		return nil, err
	}
	if err := publish(dir+unfinished, dir); err != nil {
		return nil, err
	}
	done.Dir = given
	return done, nil
}

// placeOf returns the real path of a folder, with links resolved. A folder without a name
// of its own is refused, because the export is written beside it.
func placeOf(dir string) (string, error) {
	if base := filepath.Base(dir); base == "." || base == ".." {
		return "", &command.UsageError{Err: fmt.Errorf("%s: name the folder, from outside it", dir)}
	}
	link, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return dir, nil
	case err != nil:
		return "", err
	case link.Mode()&fs.ModeSymlink == 0:
		return dir, nil
	}
	return filepath.EvalSymlinks(dir)
}

func mustBeFree(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: evidence goes into a folder of its own", dir)
	}
	return nil
}

// publish durably gives a folder its name. It replaces an empty folder of that name.
func publish(from, to string) error {
	if err := mustBeFree(to); err != nil {
		return err
	}
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return private.SyncFolder(filepath.Dir(to))
}
