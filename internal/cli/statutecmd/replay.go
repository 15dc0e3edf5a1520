package statutecmd

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/evidence/export"
	"github.com/tocsin-project/tocsin/internal/grading"
)

// replayOptions are the flags of replay.
type replayOptions struct {
	rules        command.Rules
	conn         command.Connection
	pack         string
	since, until string
	export       string
}

func (e environment) replayCommand() *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "replay --pack NEW --since TIME",
		Short: "Show which stored incidents a new pack would have graded or routed otherwise",
		Long: `Reads the reports and acts that were stored since a time, from the server or from an export
(tocsin log export), and decides every incident twice: by the packs in force, and by the
same with the new one. It prints what comes out otherwise: grades, who must tell whom, and
by when. It writes nothing.

NEW is a file, which replaces the pack of its id or is added, or a folder, which replaces
all packs. What differs in it is taken as in force at any time, so that it can be tried
before it is. Time passes until now: an outage that lasts rises as it would have.

Both decisions use --register and --statutes, which must be those of the server. An
incident whose first report is older than --since is left out and counted.`,
		Example: "  tocsin statute replay --pack new.yaml --since 2026-01-01\n" +
			"  tocsin statute replay --pack new-packs --since 2026-01-01 --export evidence-2026 --json",
		Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return e.replay(cmd.Context(), &o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.pack, "pack", "", "the new pack, or a folder of packs")
	f.StringVar(&o.since, "since", "", "reports stored at this time or later (RFC 3339, or a date at +08:00)")
	f.StringVar(&o.until, "until", "", "reports stored before this time")
	f.StringVar(&o.export, "export", "", "read this export instead of asking the server")
	o.rules.Flags(cmd)
	o.conn.Flags(cmd)
	return cmd
}

// replay prints every incident that comes out otherwise, and how many there were.
func (e environment) replay(ctx context.Context, o *replayOptions) error {
	q, err := o.request()
	if err != nil {
		return &command.UsageError{Err: err}
	}
	before, after, err := app.LoadTrial(o.rules.Statutes, o.rules.Register, o.pack)
	if err != nil {
		return err
	}
	r := replayer{before: before, after: after, until: clock.System{}.Now(), realm: event.Real, byKey: map[string]*incident{}}
	if e.Exercise {
		r.realm = event.Drill
	}
	count := command.NewCounter(e.ErrOut, e.Word("records"))
	err = o.read(ctx, q, count, r.take)
	count.End()
	if err != nil {
		return err
	}
	count = command.NewCounter(e.ErrOut, e.Word("incidents"))
	err = r.run(ctx, count)
	count.End()
	if err != nil {
		return err
	}
	return e.replayed(&r, o.conn.JSON)
}

// request returns what is asked of the log: causes alone, without the moments, which
// follow from the packs.
func (o *replayOptions) request() (q api.RecordsRequest, err error) {
	if o.pack == "" || o.since == "" {
		return q, errors.New("--pack and --since are required")
	}
	if q.Since, err = command.Moment("--since", o.since); err != nil {
		return q, err
	}
	if q.Until, err = command.Moment("--until", o.until); err != nil {
		return q, err
	}
	q.Subjects = event.Filters(func(k event.Kind) bool { return k.Cause && k.Name != event.KindElapsed })
	return q, nil
}

// read hands over the records that the flags select, from the export or the server.
func (o *replayOptions) read(ctx context.Context, q api.RecordsRequest, count *command.Counter, take func(evidence.Record)) error {
	if o.export != "" {
		n := uint64(0)
		return export.Records(o.export, func(r evidence.Record) error {
			n++
			count.Show(n, 0)
			take(r)
			return ctx.Err()
		})
	}
	c, err := o.conn.Dial()
	if err != nil {
		return err
	}
	defer c.Close()
	var first, last uint64
	begin := func(f, l uint64) error { first, last = f, l; return nil }
	return c.Records(ctx, q, begin, func(r evidence.Record) error {
		count.Show(r.Sequence-first+1, last-first+1)
		take(r)
		return nil
	})
}

// incident is one whose causes were read, and what became of it.
type incident struct {
	name   string
	causes []event.Stored // in ledger order; decoded when it is replayed, which takes less room
	begun  bool           // its first report is among them

	line    replayLine
	differs bool
	failed  error
}

// replayLine is an incident that comes out otherwise.
type replayLine struct {
	Operator string `json:"operator"`
	Incident string `json:"incident"`
	grading.Difference
	Exercise bool `json:"exercise"`
}

// replayer collects the causes of incidents and decides each twice.
type replayer struct {
	before, after grading.Rulebook
	until         time.Time
	realm         event.Realm
	byKey         map[string]*incident
	all           []*incident // in the order of their first record
}

// take adds a record to its incident, if it is a cause.
func (r *replayer) take(rec evidence.Record) {
	subject := r.realm.Plain(rec.Subject)
	a := event.ParseSubject(subject)
	if kind, _ := event.KindOf(a.Kind); !kind.Cause || a.Kind == event.KindElapsed {
		return
	}
	key := a.Operator + "." + a.Incident
	inc := r.byKey[key]
	if inc == nil {
		inc = &incident{name: a.Operator + "/" + a.Incident}
		r.byKey[key], r.all = inc, append(r.all, inc)
	}
	inc.causes = append(inc.causes, event.Stored{Record: event.Record{Subject: subject, Data: rec.Body}, Sequence: rec.Sequence})
}

// run decides every incident, on all processors.
func (r *replayer) run(ctx context.Context, count *command.Counter) error {
	const part = 500
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	done := uint64(0)
	for some := range slices.Chunk(r.all, part) {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			for _, inc := range some {
				r.decide(inc)
			}
			return nil
		})
		done += uint64(len(some))
		count.Show(done, uint64(len(r.all)))
	}
	_ = group.Wait() // no part fails
	return ctx.Err()
}

func (r *replayer) decide(inc *incident) {
	causes := make([]grading.Cause, 0, len(inc.causes))
	for _, s := range inc.causes {
		c, err := grading.DecodeCause(s)
		if err != nil {
			inc.failed = err
			return
		}
		inc.begun = inc.begun || c.Report != nil && c.Report.Type == event.TypeInitial
		causes = append(causes, c)
	}
	inc.causes = nil
	if !inc.begun {
		return
	}
	inc.line.Operator, inc.line.Incident = causes[0].Operator, causes[0].Incident
	before, err := r.before.Replay(causes, r.until)
	var after grading.Replayed
	if err == nil {
		after, err = r.after.Replay(causes, r.until)
	}
	if inc.failed = err; err == nil {
		inc.line.Difference, inc.differs = grading.Compare(before, after)
	}
}

// replaySummary is the last line of replay.
type replaySummary struct {
	Replayed int `json:"replayed"`
	Changed  int `json:"changed"`
	Earlier  int `json:"earlier"` // began before --since
	Failed   int `json:"failed"`
}

// replayed prints the incidents that differ, and the summary.
func (e environment) replayed(r *replayer, asJSON bool) error {
	citations := r.after.Statutes.Citations()
	var sum replaySummary
	for _, inc := range r.all {
		switch {
		case inc.failed != nil:
			sum.Failed++
			fmt.Fprintf(e.ErrOut, "tocsin: %s: %v\n", inc.name, inc.failed)
			continue
		case !inc.begun:
			sum.Earlier++
			continue
		}
		sum.Replayed++
		if !inc.differs {
			continue
		}
		sum.Changed++
		inc.line.Exercise = e.Exercise
		citations.Duties(inc.line.Added)
		citations.Duties(inc.line.Removed)
		for i := range inc.line.Moved {
			d := &inc.line.Moved[i].Duty
			d.CitationZH = citations[d.Citation]
		}
		if !asJSON {
			e.replayLine(inc.line)
		} else if err := e.JSON(inc.line); err != nil {
			return err
		}
	}
	if err := e.replaySummary(sum, asJSON); err != nil {
		return err
	}
	if sum.Failed > 0 {
		return command.ErrRefused
	}
	return nil
}

func (e environment) replaySummary(sum replaySummary, asJSON bool) error {
	if asJSON {
		return e.JSON(sum)
	}
	fmt.Fprintf(e.Out, e.Word("replay-sum")+"\n", sum.Replayed, sum.Changed)
	if sum.Earlier > 0 {
		fmt.Fprintf(e.Out, e.Word("replay-earlier")+"\n", sum.Earlier)
	}
	if sum.Failed > 0 {
		fmt.Fprintf(e.Out, e.Word("replay-failed")+"\n", sum.Failed)
	}
	return nil
}

// replayLine prints an incident that comes out otherwise.
func (e environment) replayLine(l replayLine) {
	fmt.Fprintf(e.Out, "%s%s/%s  %s", e.Marks(l.Exercise, false), l.Operator, l.Incident, e.grades(l.PeakBefore, l.Peak))
	if l.GradeBefore != l.PeakBefore || l.Grade != l.Peak {
		fmt.Fprintf(e.Out, "  (%s %s)", e.Word("replay-last"), e.grades(l.GradeBefore, l.Grade))
	}
	fmt.Fprintln(e.Out)
	for _, d := range l.Removed {
		e.replayDuty("−", d, e.due(d.DueAt))
	}
	for _, d := range l.Added {
		e.replayDuty("+", d, e.due(d.DueAt))
	}
	for _, m := range l.Moved {
		e.replayDuty("≠", m.Duty, e.due((*time.Time)(m.DueBefore))+" → "+e.due(m.Duty.DueAt))
	}
}

func (e environment) replayDuty(sign string, d event.Duty, due string) {
	fmt.Fprintf(e.Out, "  %s %s  %s %s %s  %s — %s%s\n", sign, d.Desk, e.Word(string(d.Act)), e.Word("from"), d.From, due,
		e.Citation(d.Citation, d.CitationZH), e.Confidence(d.Confidence))
}

func (e environment) grades(before, after event.Grade) string {
	if before == after {
		return e.GradeName(after)
	}
	return e.GradeName(before) + " → " + e.GradeName(after)
}

func (e environment) due(at *time.Time) string {
	if at == nil {
		return e.Word("promptly")
	}
	return e.Word("by") + " " + e.Time(at)
}
