package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// stories print the content of a record by its kind. The first line is short;
// explanations follow below it, indented.
var stories = map[string]func(*environment, event.StoryEntry) error{
	event.KindAccepted:     storyBody((*environment).storyAccepted),
	event.KindGraded:       storyBody((*environment).storyGraded),
	event.KindEscalated:    storyBody((*environment).storyEscalated),
	event.KindAcknowledged: storyBody((*environment).storyAcknowledged),
	event.KindUnhandled:    storyBody((*environment).storyUnhandled),
	event.KindElapsed:      storyBody((*environment).storyElapsed),
	event.KindOverdue:      storyBody((*environment).storyOverdue),
	event.KindAway:         storyBody((*environment).storyAway),
	event.KindReminded:     storyBody((*environment).storyReminded),
	event.KindAsked:        storyBody((*environment).storyAct),
	event.KindDetermined:   storyBody((*environment).storyAct),
	event.KindTransferred:  storyBody((*environment).storyAct),
	event.KindConfirmed:    storyBody((*environment).storyAct),
	event.KindClosed:       storyBody((*environment).storyAct),
	event.KindRemoved:      storyBody((*environment).storyRemoved),
	event.KindRead:         storyBody((*environment).storyRead),
}

// storyRead prints who was shown what.
func (e *environment) storyRead(r event.Reading) {
	what := e.word("read-story")
	if r.Record > 0 {
		what = fmt.Sprintf("#%d", r.Record)
	}
	fmt.Fprintf(e.out, "  %s  %s", r.Who, what)
}

// storyBody decodes a body for print; a body that cannot be decoded is still in the
// story.
func storyBody[T any](print func(*environment, T)) func(*environment, event.StoryEntry) error {
	return func(e *environment, s event.StoryEntry) error {
		var body T
		if err := json.Unmarshal(s.Body, &body); err != nil {
			_, err = fmt.Fprintf(e.out, "  (%v)\n", err)
			return err
		}
		print(e, body)
		_, err := fmt.Fprintln(e.out, e.signature(s))
		return err
	}
}

// signature describes who signed the act of a desk or a removal, when by their own clock
// if that is signed too, and whether the signature is valid; empty without a signature.
func (e *environment) signature(s event.StoryEntry) string {
	act, err := evidence.Verifier{}.ActOf(evidence.Record{Sequence: s.Record, Subject: s.Subject, Body: s.Body})
	switch {
	case err != nil:
		return "  " + e.word("story-forged") + ": " + printable.Line(err.Error())
	case act == nil || act.Signed == nil:
		return ""
	}
	if at := act.Signed.SignedAt(); !at.IsZero() {
		return "  " + fmt.Sprintf(e.word("story-signed-at"), act.Signed.By, e.time(&at))
	}
	return "  " + fmt.Sprintf(e.word("story-signed"), act.Signed.By)
}

// story prints one record of an incident for people.
func (e *environment) story(s event.StoryEntry) error {
	fmt.Fprintf(e.out, "#%-6d %s  %s%s", s.Record, e.time(&s.At), e.storyMarks(s), e.word("story-"+s.Type))
	if print, ok := stories[s.Type]; ok {
		return print(e, s)
	}
	_, err := fmt.Fprintln(e.out)
	return err
}

// storyMarks returns the marks of what must not be mistaken for a live incident: a
// drill's records, and those known only from an archive.
func (e *environment) storyMarks(s event.StoryEntry) string {
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
	marks := e.marks(e.exercise, body.Imported || body.State.IsImported())
	if body.Event.Data.Imported { // it starts no clock, but may be about an incident with running clocks
		marks += "[" + e.word("imported-report") + "] "
	}
	return marks
}

// below prints a line that explains the one above.
func (e *environment) below(format string, args ...any) {
	fmt.Fprintf(e.out, "\n        "+format, args...)
}

func (e *environment) storyAccepted(a event.Accepted) {
	kind := strings.TrimSuffix(strings.TrimPrefix(a.Type, "tocsin.report."), ".v1")
	fmt.Fprintf(e.out, "  %s  %s  %s", e.word("type-"+kind), a.Report, a.Digest[:min(12, len(a.Digest))])
	for _, l := range a.Late {
		e.below("%s", e.lateness(l))
	}
	for _, d := range a.Warnings {
		e.below("%s: %s", d.Path, d.Message)
	}
}

func (e *environment) storyGraded(g event.Graded) {
	fmt.Fprintf(e.out, "  %s: %s (%s)", fmt.Sprintf(e.word("revision"), g.Revision), e.gradeName(g.Grade), e.word(g.Change.Kind))
	if note := event.ClockNote(g.Change.Reason); note != "" {
		e.below("%s", printable.Line(note))
	}
	if out := g.Cause.Outdated; len(out) > 0 {
		e.below("%s: %s", e.word("outdated"), strings.Join(out, ", "))
	}
	for _, h := range g.Hits {
		e.below("%s — %s%s", h.Criterion, h.Citation, e.confidence(h.Confidence))
	}
	for _, lost := range g.Change.Lost {
		e.below("− %s", lost)
	}
	for _, x := range g.Escalations {
		for _, d := range x.Standing {
			if d.LateBy != nil {
				e.below("→ %s  %s", x.Desk, e.corrected(d))
			}
		}
	}
	if d := g.State.Determined; d != nil {
		e.below("%s", e.determination(*d))
	}
	if g.Next != nil {
		e.below("%s %s: %s", e.word("rises"), e.time(&g.Next.At), e.gradeName(g.Next.Grade))
	}
	for _, h := range g.Held {
		e.below("%s → %s: %s", h.Desk, h.To, e.held(g.Operator, g.Incident, h, e.exercise))
	}
	for _, o := range g.Owed {
		e.below("%s: %s", e.word("owed"), e.obligation(o))
	}
}

func (e *environment) storyEscalated(x event.Escalated) {
	received := event.Stamp(x.Cause.At)
	fmt.Fprintf(e.out, "  %s  %s", x.Desk, e.word(string(x.Act)))
	if x.Act != event.ActNotice { // the desk that it names as silent did not send it
		fmt.Fprintf(e.out, " %s %s", e.word("from"), x.From)
	}
	if x.Late {
		fmt.Fprintf(e.out, "  %s%s", e.word("late"), e.whose(x.DueAt, received))
	}
	if x.Notice != nil {
		e.below("%s", e.notice(x.Row(0, nil, nil, x.ReportedAt), *x.Notice))
	}
	if t := x.Transfer; t != nil {
		e.below(e.word("transferred-by"), t.From, t.Officer, printable.Line(t.Reason))
	}
	for _, d := range x.Duties {
		e.below("%s%s", d.Citation, e.confidence(d.Confidence))
		if d.LateBy != nil {
			fmt.Fprintf(e.out, "  %s%s", e.lateBy(*d.LateBy), e.whose(d.DueAt, received))
		}
		if d.StrictDueAt != nil {
			fmt.Fprintf(e.out, "  "+e.word("strictly"), e.time(d.StrictDueAt))
		}
	}
	for _, d := range x.Standing {
		if d.LateBy != nil {
			e.below("%s", e.corrected(d))
		}
	}
}

func (e *environment) storyAcknowledged(a event.Acknowledgement) {
	fmt.Fprintf(e.out, "  %s  %s", strings.SplitN(a.Escalation, ".", 2)[0], a.Officer)
}

func (e *environment) storyUnhandled(u event.Unhandled) {
	fmt.Fprintf(e.out, "  #%d %s → %s: %s", u.Record, u.Service, u.Desk, printable.Line(u.Error))
}

func (e *environment) storyElapsed(x event.Elapsed) {
	fmt.Fprintf(e.out, "  %s  (%s)", e.time(&x.At), fmt.Sprintf(e.word("revision"), x.Revision))
}

func (e *environment) storyOverdue(o event.Overdue) {
	fmt.Fprintf(e.out, "  %s  %s  %s %s", o.Desk, o.Escalation, e.word("target"), e.time(&o.AcknowledgeBy))
	e.next(o.Next)
}

func (e *environment) storyAway(a event.Away) {
	fmt.Fprintf(e.out, "  %s  %s %s  %s", a.Desk, e.word("since"), e.time(&a.Since), a.Escalation)
	e.next(a.Next)
}

// next prints which desk is notified of a silence.
func (e *environment) next(desk string) {
	if desk != "" {
		fmt.Fprintf(e.out, "  %s %s", e.word("next-desk"), desk)
	}
}

func (e *environment) storyReminded(r event.Reminder) { fmt.Fprintf(e.out, "  %s", e.reminder(r)) }

// reminder describes who was reminded of what.
func (e *environment) reminder(r event.Reminder) string {
	what := r.Obligation
	if r.Forward != "" {
		what = e.word("forward") + " → " + r.Forward
	}
	if len(r.Items) > 0 {
		what += " " + strings.Join(r.Items, ", ")
	}
	text := fmt.Sprintf("%s: %s  %s %s", r.To, what, e.word("by"), e.time(&r.DueAt))
	if r.Passed {
		text += "  " + e.word("owed-late")
	}
	if r.Desk != "" {
		text += "  " + r.Desk
	}
	if r.Citation != "" {
		text += "  — " + r.Citation + e.confidence(r.Confidence)
	}
	return text
}

// storyRemoved prints which records were removed, and by what right.
func (e *environment) storyRemoved(r event.Removal) {
	fmt.Fprintf(e.out, "  %s", removedSpan(r))
	if r.Type != "" {
		fmt.Fprintf(e.out, " %s", e.word("story-"+r.Type))
	}
	if r.Why == event.WhyRetention {
		fmt.Fprintf(e.out, e.word("by-age"), r.Export, printable.Line(r.Officer))
	} else {
		fmt.Fprintf(e.out, e.word("by-order"), printable.Line(r.Order), printable.Line(r.Officer))
	}
	if r.Reason != "" {
		fmt.Fprintf(e.out, ": %s", printable.Line(r.Reason))
	}
}

// removedSpan names the records of a removal, with their number where some in between are
// kept.
func removedSpan(r event.Removal) string {
	text := span(r.First, r.Last())
	if n := r.Count(); n != r.Last()-r.First+1 {
		text += fmt.Sprintf(" (%d)", n)
	}
	return text
}

// storyAct prints a desk's act, with the post and the reason.
func (e *environment) storyAct(a event.DeskAct) {
	fmt.Fprintf(e.out, "  %s  %s", a.Desk, a.Officer)
	if a.Grade != event.Ungraded {
		fmt.Fprintf(e.out, "  %s", e.gradeName(a.Grade))
	}
	if a.To != "" {
		fmt.Fprintf(e.out, "  → %s", a.To)
	}
	if len(a.Items) > 0 {
		fmt.Fprintf(e.out, "  %s", strings.Join(a.Items, ", "))
	}
	if a.DueAt != nil {
		fmt.Fprintf(e.out, "  %s %s", e.word("by"), e.time(a.DueAt))
	}
	if a.Reason != "" {
		fmt.Fprintf(e.out, ": %s", printable.Line(a.Reason))
	}
}
