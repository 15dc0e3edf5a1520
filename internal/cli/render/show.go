package render

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// Lateness describes the duty that a report missed. It names no facility and no desk,
// like the record.
func (p *Printer) Lateness(l event.Lateness) string {
	return fmt.Sprintf("%s, %s%s, %s %s", p.lateBy(l.By), p.Citation(l.Citation, l.CitationZH), p.Confidence(l.Confidence), p.Word("by"), p.Time(&l.DueAt))
}

// Duty prints one duty with its limit. An import's duty has no limit, which is not the
// same as "promptly".
func (p *Printer) Duty(d event.Duty, r api.EscalationRow) {
	due := p.Word("promptly")
	switch {
	case r.Imported:
		due = p.Word("no-clock")
	case d.DueAt != nil:
		due = p.Word("by") + " " + p.Time(d.DueAt) + p.CalendarEnds(d.CalendarEnds)
	}
	if d.LateBy != nil {
		due += " (" + p.lateBy(*d.LateBy) + ")" + p.whose(d.DueAt, r.ReceivedAt)
	}
	fmt.Fprintf(p.Out, "  → %s  %s %s %s  %s — %s%s\n", d.Desk, p.Word(string(d.Act)), p.Word("from"), d.From, due, p.Citation(d.Citation, d.CitationZH), p.Confidence(d.Confidence))
	if d.StrictDueAt != nil {
		fmt.Fprintf(p.Out, "      "+p.Word("strictly")+"\n", p.Time(d.StrictDueAt))
	}
}

// Notice describes what another desk did not do, or what this one has to confirm: ids and
// times only.
func (p *Printer) Notice(r api.EscalationRow, n event.Notice) string {
	at := func(t *time.Time) string {
		if t == nil {
			return "–"
		}
		return p.Time(t)
	}
	switch n.Kind {
	case event.NoticeOverdue:
		return fmt.Sprintf(p.Word("notice-overdue"), n.Desk, n.Escalation, at(n.Since), at(n.AcknowledgeBy))
	case event.NoticeAway:
		return fmt.Sprintf(p.Word("notice-away"), n.Desk, at(n.Since), n.Escalation, at(n.AcknowledgeBy))
	case event.NoticeReminder:
		return fmt.Sprintf(p.Word("held"), n.Forward, at(n.Until), confirmCommand(n.Desk, r.Operator, r.Incident, n.Forward, r.Exercise))
	}
	return p.Word(n.Kind)
}

// confirmCommand is the command to type: in a drill it must not act on the real record.
func confirmCommand(desk, operator, incident, to string, exercise bool) string {
	realm := ""
	if exercise {
		realm = " --exercise"
	}
	return fmt.Sprintf("tocsin desk confirm %s %s/%s --to %s --officer POST%s", desk, operator, incident, to, realm)
}

// change prints how the grade moved, and why.
func (p *Printer) change(c event.Change) {
	switch c.Kind {
	case event.ChangeWithdrawn, event.ChangeReinstated:
		fmt.Fprintf(p.Out, "    %s: %s\n", p.Word(c.Kind), p.remark(c.Reason))
	case event.ChangeRaised, event.ChangeLowered:
		fmt.Fprintf(p.Out, "    %s: %s → %s  (%s)\n", p.Word(c.Kind), p.GradeName(c.From), p.GradeName(c.To), p.remark(c.Reason))
		for _, lost := range c.Lost {
			fmt.Fprintf(p.Out, "      − %s\n", lost)
		}
		for _, gained := range c.Gained {
			fmt.Fprintf(p.Out, "      + %s\n", gained)
		}
	default:
		if note := event.OngoingNoteIn(c.Reason); note != "" {
			fmt.Fprintf(p.Out, "    %s\n", p.remark(note))
		}
	}
}

// Escalation prints everything that a desk should see at once.
func (p *Printer) Escalation(full *event.Escalated, r api.EscalationRow) {
	p.Row(r)
	if r.Title != "" {
		fmt.Fprintf(p.Out, "    %s\n", printable.Line(r.Title))
	}
	if u := full.Unhandled; u != nil {
		fmt.Fprintf(p.Out, "    %s #%d (%s): %s\n", p.Word("review"), u.Record, u.Service, printable.Line(u.Error))
	}
	p.change(full.Change)
	if out := full.Cause.Outdated; len(out) > 0 {
		fmt.Fprintf(p.Out, "    %s: %s\n", p.Word("outdated"), strings.Join(out, ", "))
	}
	if d := full.Determined; d != nil {
		fmt.Fprintf(p.Out, "    %s\n", p.determination(*d))
	}
	if t := full.Transfer; t != nil {
		fmt.Fprintf(p.Out, "    "+p.Word("transferred-by")+"\n", t.From, t.Officer, printable.Line(t.Reason))
	}
	if full.Peak > full.Grade {
		fmt.Fprintf(p.Out, "    %s %s\n", p.Word("peak"), p.GradeName(full.Peak))
	}
	if full.Next != nil {
		fmt.Fprintf(p.Out, "    %s\n", p.NextRise(full.Next))
	}
	for _, d := range full.Duties {
		fmt.Fprint(p.Out, "  ")
		p.Duty(d, r)
		if d.OnBehalf != nil {
			fmt.Fprintf(p.Out, "      %s\n", p.onBehalf(*d.OnBehalf))
		}
	}
	for _, d := range full.Possible {
		fmt.Fprintf(p.Out, "    %s\n", p.Possible(d))
	}
	if !full.Designated && len(full.Duties) > 0 {
		fmt.Fprintf(p.Out, "    %s\n", p.Word("undesignated"))
	}
	for _, h := range full.PendingForwards {
		fmt.Fprintf(p.Out, "    %s\n", p.PendingForward(full.Operator, full.Incident, h, r.Exercise))
	}
	for _, o := range full.Owed {
		fmt.Fprintf(p.Out, "    %s: %s\n", p.Word("owed"), p.Obligation(o))
	}
}

func (p *Printer) onBehalf(o event.OnBehalf) string {
	if o.Verified {
		return fmt.Sprintf(p.Word("confirmed-by"), o.Officer) + o.Authority
	}
	return p.Word("onBehalf") + ": " + o.Authority
}

func (p *Printer) determination(d event.Determination) string {
	return fmt.Sprintf("%s: %s  %s (%s): %s", p.Word("determined"), p.GradeName(d.Grade), d.Desk, d.Officer, printable.Line(d.Reason))
}

// PendingForward describes a forward that awaits confirmation, until when, and what to do.
func (p *Printer) PendingForward(operator, incident string, h event.PendingForward, exercise bool) string {
	return fmt.Sprintf(p.Word("held"), h.To, p.Time(&h.Until), confirmCommand(h.Desk, operator, incident, h.To, exercise))
}

// Obligation describes what is owed, until when, and who demands it.
func (p *Printer) Obligation(o event.Obligation) string {
	var b strings.Builder
	b.WriteString(p.Word("owes-" + string(o.Kind)))
	if o.Report != "" {
		b.WriteString(" " + p.stages(append([]string{o.Report}, o.OrReports...)))
	}
	if len(o.Items) > 0 {
		b.WriteString(" " + strings.Join(o.Items, ", "))
	}
	b.WriteString("  " + p.obligationDue(o))
	if o.Desk != "" {
		fmt.Fprintf(&b, "  "+p.Word("asked-by"), o.Desk, o.Officer, printable.Line(o.Reason))
	}
	if o.Citation != "" {
		b.WriteString("  — " + p.Citation(o.Citation, o.CitationZH) + p.Confidence(o.Confidence))
	}
	return b.String()
}

// obligationDue describes when it is due: at a time, some time after an event that has
// not happened yet, or promptly.
func (p *Printer) obligationDue(o event.Obligation) string {
	switch {
	case o.DueAt != nil:
		return p.Word("by") + " " + p.Time(o.DueAt) + p.CalendarEnds(o.CalendarEnds)
	case o.Within == "":
		return p.Word("promptly")
	}
	return p.after(o.Clock, p.Limit(o.Within))
}

// CalendarEnds says that a due time lies beyond the last day that its calendar knows.
func (p *Printer) CalendarEnds(day string) string {
	if day == "" {
		return ""
	}
	return fmt.Sprintf(p.Word("calendar-ends"), day)
}

// stages names stages of which any is enough.
func (p *Printer) stages(list []string) string {
	names := make([]string, len(list))
	for i, stage := range list {
		names[i] = p.Stage(stage)
	}
	return strings.Join(names, " / ")
}

// after describes a limit whose clock has not started.
func (p *Printer) after(clock, limit string) string {
	if kind, line, found := strings.Cut(clock, "/"); found { // stage/ID, latest/ID
		return fmt.Sprintf(p.Word("after-"+kind), limit, p.Stage(line))
	}
	return fmt.Sprintf(p.Word("after-"+clock), limit)
}

// Day is the length of a day on the clock.
const Day = 24 * time.Hour

// Length renders a duration in its two greatest units, rounded down.
func (p *Printer) Length(d time.Duration) string {
	units := []struct {
		word string
		size time.Duration
	}{{"unit-d", Day}, {"unit-h", time.Hour}, {"unit-m", time.Minute}, {"unit-s", time.Second}, {"unit-ms", time.Millisecond}}
	var b strings.Builder
	for i, u := range units {
		n := d / u.size
		if n == 0 && i+1 < len(units) {
			continue
		}
		fmt.Fprintf(&b, "%d%s", n, p.Word(u.word))
		if i < 3 { // seconds need no milliseconds
			if rest := d % u.size / units[i+1].size; rest > 0 {
				fmt.Fprintf(&b, "%d%s", rest, p.Word(units[i+1].word))
			}
		}
		break
	}
	return b.String()
}
