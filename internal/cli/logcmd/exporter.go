package logcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/evidence/export"
	"github.com/tocsin-project/tocsin/internal/evidence/page"
	"github.com/tocsin-project/tocsin/internal/printable"
)

type exporter struct {
	client *client.Client
	realm  event.Realm
	log    *api.LogState
	asked  api.RecordsRequest
	count  *command.Counter
	out    *export.Writer
	page   *page.Page
	made   export.Manifest
	signed evidence.Checkpoint
	done   exported
}

func newExporter(ctx context.Context, c *client.Client, e environment, q api.RecordsRequest) (*exporter, error) {
	log, err := certified(ctx, c, q.To)
	if err != nil {
		return nil, err
	}
	q.To = min(q.To, log.Size)
	if q.To == 0 {
		q.To = log.Size
	}
	x := &exporter{client: c, log: log, asked: q, count: command.NewCounter(e.ErrOut, e.Word("records"))}
	if e.Exercise {
		x.realm = event.Drill
	}
	for _, d := range log.Damage {
		fmt.Fprintf(printable.Writer{Out: e.ErrOut}, "tocsin: %s\n", e.Word("damage-"+d.Kind)+": "+d.Detail)
	}
	return x, nil
}

func (x *exporter) write(ctx context.Context, dir string) (*exported, error) {
	defer func() {
		if x.out != nil {
			x.out.Abandon() // after Close it does nothing
		}
	}()
	err := x.client.RecordsStored(ctx, x.asked, func(first, last uint64) error { return x.begin(ctx, dir, first, last) }, x.add)
	if err != nil {
		return nil, err
	}
	if err := x.context(ctx); err != nil {
		return nil, err
	}
	err = x.out.AddFile(page.File, func(w io.Writer) error { return x.page.Write(w, page.Version, x.made, x.signed) })
	if err != nil {
		return nil, err
	}
	manifest, err := x.out.Close()
	if err != nil {
		return nil, err
	}
	x.done.Manifest, x.done.Size, x.done.Key = manifest, x.log.Size, x.log.Key
	x.done.First, x.done.Last, x.done.Exercise = x.made.First, x.made.Last, x.realm == event.Drill
	x.done.Removed = x.made.Last + 1 - x.made.First - x.done.Records
	return &x.done, nil
}

var errNoneStored = errors.New("no record that the checkpoint covers was stored in that time")

// begin opens the folder once the range is known.
func (x *exporter) begin(ctx context.Context, dir string, first, last uint64) (err error) {
	if last < first {
		return errNoneStored
	}
	m := export.Manifest{Key: strings.TrimSpace(x.log.Key), First: first, Last: last, Since: x.asked.Since, Until: x.asked.Until, Made: clock.System{}.Now().UTC(), Page: page.Version,
		StoredLate: map[uint64]time.Time{}}
	v, err := evidence.NewVerifier(x.log.Key)
	if err != nil {
		return err
	}
	if x.signed, err = v.Open(x.log.Checkpoint); err != nil {
		return err
	}
	x.page, x.made = page.New(), m
	x.out, err = export.Create(dir, m, x.log.Checkpoint, x.client.Tiles(ctx))
	return err
}

func (x *exporter) add(r evidence.Record, storedLate time.Time) error {
	if !storedLate.IsZero() {
		x.made.StoredLate[r.Sequence] = storedLate
	}
	if err := x.out.Add(r); err != nil {
		return err
	}
	x.done.Records++
	x.count.Show(r.Sequence-x.made.First+1, x.made.Last-x.made.First+1)
	x.page.Add(r)
	return nil
}

// context adds what is needed to read the range and is not in it: removals of its
// records, and the rules of its decisions.
func (x *exporter) context(ctx context.Context) error {
	q := api.RecordsRequest{From: 1, To: x.log.Size, Subjects: []string{event.AllRemoved, event.RulesSubject("*")}}
	return x.client.Records(ctx, q, func(uint64, uint64) error { return nil }, func(r evidence.Record) error {
		if x.made.First <= r.Sequence && r.Sequence <= x.made.Last {
			return nil
		}
		needed, err := x.needs(r)
		if err != nil || !needed {
			return err
		}
		if err := x.out.AddContext(r); err != nil {
			return err
		}
		x.page.Add(r)
		return nil
	})
}

func (x *exporter) needs(r evidence.Record) (bool, error) {
	switch a := event.ParseSubject(x.realm.Plain(r.Subject)); a.Kind {
	case event.KindRules:
		return x.page.Names(a.Last), nil
	case event.KindRemoved:
		var removal event.Removal
		if err := evidence.Decode(r.Body, &removal); err != nil {
			return false, err
		}
		return removal.First <= x.made.Last && removal.Last() >= x.made.First, nil
	}
	return false, nil
}
