package render

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/printable"
)

func (p *Printer) storyRead(r *event.Reading) {
	what := p.Word("read-story")
	if r.Record > 0 {
		what = fmt.Sprintf("#%d", r.Record)
	}
	fmt.Fprintf(p.Out, "  %s  %s", r.Reader, what)
}

// signature describes who signed the act of a desk or a removal, when by their own clock
// if that is signed too, and whether the signature is valid; empty without a signature.
func (p *Printer) signature(s api.StoryEntry) string {
	act, err := evidence.Verifier{}.ActOf(evidence.Record{Sequence: s.Record, Subject: s.Subject, Body: s.Body})
	switch {
	case err != nil:
		return "  " + p.Word("story-forged") + ": " + printable.Line(err.Error())
	case act == nil || act.Signed == nil:
		return ""
	}
	if at := act.Signed.SignedAt(); !at.IsZero() {
		return "  " + fmt.Sprintf(p.Word("story-signed-at"), act.Signed.By, p.Time(&at))
	}
	return "  " + fmt.Sprintf(p.Word("story-signed"), act.Signed.By)
}

// Story prints one record of an incident for people. The first line is short;
// explanations follow below it, indented. A body that cannot be decoded is still in the
// story.
func (p *Printer) Story(s api.StoryEntry) error {
	fmt.Fprintf(p.Out, "#%-6d %s  %s%s", s.Record, p.Time(&s.At), p.storyMarks(s), p.Kind(s.Type))
	kind, known := event.KindOf(s.Type)
	if !known {
		_, err := fmt.Fprintln(p.Out)
		return err
	}
	body := kind.Body()
	if err := json.Unmarshal(s.Body, body); err != nil {
		_, err = fmt.Fprintf(p.Out, "  (%v)\n", err)
		return err
	}
	p.body(kind, body)
	_, err := fmt.Fprintln(p.Out, p.signature(s))
	return err
}

// body prints the content of a record: by the summary of its kind, or in a way of its
// own.
func (p *Printer) body(kind event.Kind, body any) {
	switch b := body.(type) {
	case *event.Accepted:
		p.storyAccepted(b)
	case *event.Graded:
		p.storyGraded(b)
	case *event.Escalated:
		p.storyEscalated(b)
	case *event.Acknowledgement:
		fmt.Fprintf(p.Out, "  %s  %s", strings.SplitN(b.Escalation, ".", 2)[0], b.Officer)
	case *event.Unhandled:
		fmt.Fprintf(p.Out, "  #%d %s → %s: %s", b.Record, b.Service, b.Desk, printable.Line(b.Error))
	case *event.Elapsed:
		fmt.Fprintf(p.Out, "  %s  (%s)", p.Time(&b.At), fmt.Sprintf(p.Word("revision"), b.Revision))
	case *event.Reminder:
		fmt.Fprintf(p.Out, "  %s", p.Reminder(*b))
	case *event.Removal:
		p.storyRemoved(*b)
	case *event.Reading:
		p.storyRead(b)
	default:
		p.summary(kind, body)
	}
}

// Kind names a kind of record.
func (p *Printer) Kind(name string) string {
	if kind, ok := event.KindOf(name); ok {
		return p.Pick(kind.Words)
	}
	return name
}

// storyMarks returns the marks of what must not be mistaken for a live incident: a
// drill's records, and those known only from an archive.
func (p *Printer) storyMarks(s api.StoryEntry) string {
	var body struct {
		Imported bool        `json:"imported"` // of an escalation
		State    event.State `json:"state"`    // of a revision
		Event    struct {
			Data struct {
				Imported bool `json:"imported"`
			} `json:"data"`
		} `json:"event"` // of a report
	}
	_ = json.Unmarshal(s.Body, &body) // an unreadable body has no marks
	marks := p.Marks(p.Exercise, body.Imported || body.State.IsImported())
	if body.Event.Data.Imported { // it starts no clock, but may be about an incident with running clocks
		marks += "[" + p.Word("imported-report") + "] "
	}
	return marks
}

// below prints a line that explains the one above.
func (p *Printer) below(format string, args ...any) {
	fmt.Fprintf(p.Out, "\n        "+format, args...)
}

func (p *Printer) storyAccepted(a *event.Accepted) {
	kind := strings.TrimSuffix(strings.TrimPrefix(a.Type, "tocsin.report."), ".v1")
	fmt.Fprintf(p.Out, "  %s  %s  %s", p.Word("type-"+kind), a.Report, a.Digest[:min(12, len(a.Digest))])
	for _, l := range a.Late {
		p.below("%s", p.Lateness(l))
	}
	for _, d := range a.Warnings {
		p.below("%s: %s", d.Path, d.Message)
	}
}

func (p *Printer) storyGraded(g *event.Graded) {
	fmt.Fprintf(p.Out, "  %s: %s (%s)", fmt.Sprintf(p.Word("revision"), g.Revision), p.GradeName(g.Grade), p.Word(g.Change.Kind))
	if note := event.OngoingNoteIn(g.Change.Reason); note != "" {
		p.below("%s", printable.Line(note))
	}
	if out := g.Cause.Outdated; len(out) > 0 {
		p.below("%s: %s", p.Word("outdated"), strings.Join(out, ", "))
	}
	for _, line := range p.Law(g.Law) {
		p.below("%s", line)
	}
	for _, h := range g.Hits {
		p.below("%s — %s%s", h.Criterion, p.Citation(h.Citation, h.CitationZH), p.Confidence(h.Confidence)+p.Kinds(h))
	}
	for _, lost := range g.Change.Lost {
		p.below("− %s", lost)
	}
	for _, x := range g.Escalations {
		for _, d := range x.Standing {
			if d.LateBy != nil {
				p.below("→ %s  %s", x.Desk, p.corrected(d))
			}
		}
	}
	if d := g.State.Determined; d != nil {
		p.below("%s", p.determination(*d))
	}
	if g.Next != nil {
		p.below("%s", p.NextRise(g.Next))
	}
	for _, d := range g.Possible {
		p.below("%s", p.Possible(d))
	}
	for _, h := range g.PendingForwards {
		p.below("%s → %s: %s", h.Desk, h.To, p.PendingForward(g.Operator, g.Incident, h, p.Exercise))
	}
	for _, o := range g.Owed {
		p.below("%s: %s", p.Word("owed"), p.Obligation(o))
	}
}

func (p *Printer) storyEscalated(x *event.Escalated) {
	received := event.Stamp(x.Cause.At)
	fmt.Fprintf(p.Out, "  %s  %s", x.Desk, p.Word(string(x.Act)))
	if x.Act != event.ActNotice { // the desk that it names as silent did not send it
		fmt.Fprintf(p.Out, " %s %s", p.Word("from"), x.From)
	}
	if x.Late {
		fmt.Fprintf(p.Out, "  %s%s", p.Word("late"), p.whose(x.DueAt, received))
	}
	if x.Notice != nil {
		p.below("%s", p.Notice(api.RowOf(x, 0, nil, nil, x.ReportedAt), *x.Notice))
	}
	if t := x.Transfer; t != nil {
		p.below(p.Word("transferred-by"), t.From, t.Officer, printable.Line(t.Reason))
	}
	for _, d := range x.Duties {
		p.below("%s%s", p.Citation(d.Citation, d.CitationZH), p.Confidence(d.Confidence))
		if d.LateBy != nil {
			fmt.Fprintf(p.Out, "  %s%s", p.lateBy(*d.LateBy), p.whose(d.DueAt, received))
		}
		if d.StrictDueAt != nil {
			fmt.Fprintf(p.Out, "  "+p.Word("strictly"), p.Time(d.StrictDueAt))
		}
	}
	for _, d := range x.Standing {
		if d.LateBy != nil {
			p.below("%s", p.corrected(d))
		}
	}
}

// Next prints which desk is notified of a silence.
func (p *Printer) Next(desk string) {
	if desk != "" {
		fmt.Fprintf(p.Out, "  %s %s", p.Word("next-desk"), desk)
	}
}

// Reminder describes a reminder: its recipient and the item that is due.
func (p *Printer) Reminder(r event.Reminder) string {
	what := r.Obligation
	if r.Forward != "" {
		what = p.Word("forward") + " → " + r.Forward
	}
	if len(r.Items) > 0 {
		what += " " + strings.Join(r.Items, ", ")
	}
	text := fmt.Sprintf("%s: %s  %s %s", r.To, what, p.Word("by"), p.Time(&r.DueAt))
	if r.Passed {
		text += "  " + p.Word("owed-late")
	}
	if r.Desk != "" {
		text += "  " + r.Desk
	}
	if r.Citation != "" {
		text += "  — " + p.Citation(r.Citation, "") + p.Confidence(r.Confidence)
	}
	return text
}

func (p *Printer) storyRemoved(r event.Removal) {
	fmt.Fprintf(p.Out, "  %s", removedSpan(r))
	if r.Type != "" {
		fmt.Fprintf(p.Out, " %s", p.Kind(r.Type))
	}
	if r.Basis == event.BasisRetention {
		fmt.Fprintf(p.Out, p.Word("by-age"), r.Export, printable.Line(r.Officer))
	} else {
		fmt.Fprintf(p.Out, p.Word("by-order"), printable.Line(r.Order), printable.Line(r.Officer))
	}
	if r.Reason != "" {
		fmt.Fprintf(p.Out, ": %s", printable.Line(r.Reason))
	}
}

// removedSpan names the records of a removal, with their number where some in between are
// kept.
func removedSpan(r event.Removal) string {
	text := Span(r.First, r.Last())
	if n := r.Count(); n != r.Last()-r.First+1 {
		text += fmt.Sprintf(" (%d)", n)
	}
	return text
}

// Span names records by their numbers.
func Span(first, last uint64) string {
	if last <= first {
		return fmt.Sprintf("#%d", first)
	}
	return fmt.Sprintf("#%d–#%d", first, last)
}
