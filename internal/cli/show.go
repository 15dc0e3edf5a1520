package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// lateness describes the duty that a report missed. It names no facility and no desk,
// like the record.
func (e *environment) lateness(l event.Lateness) string {
	return fmt.Sprintf("%s, %s%s, %s %s", e.lateBy(l.By), l.Citation, e.confidence(l.Confidence), e.word("by"), e.time(&l.DueAt))
}

// duty prints one duty with its limit. An import's duty has no limit, which is not the
// same as "promptly".
func (e *environment) duty(d event.Duty, r event.EscalationRow) {
	due := e.word("promptly")
	switch {
	case r.Imported:
		due = e.word("no-clock")
	case d.DueAt != nil:
		due = e.word("by") + " " + e.time(d.DueAt)
	}
	if d.LateBy != nil {
		due += " (" + e.lateBy(*d.LateBy) + ")" + e.whose(d.DueAt, r.ReceivedAt)
	}
	fmt.Fprintf(e.out, "  → %s  %s %s %s  %s — %s%s\n", d.Desk, e.word(string(d.Act)), e.word("from"), d.From, due, d.Citation, e.confidence(d.Confidence))
	if d.StrictDueAt != nil {
		fmt.Fprintf(e.out, "      "+e.word("strictly")+"\n", e.time(d.StrictDueAt))
	}
}

// notice describes what another desk did not do, or what this one has to confirm: ids and
// times only.
func (e *environment) notice(r event.EscalationRow, n event.Notice) string {
	at := func(t *time.Time) string {
		if t == nil {
			return "–"
		}
		return e.time(t)
	}
	switch n.Kind {
	case event.NoticeOverdue:
		return fmt.Sprintf(e.word("notice-overdue"), n.Desk, n.Escalation, at(n.Since), at(n.AcknowledgeBy))
	case event.NoticeAway:
		return fmt.Sprintf(e.word("notice-away"), n.Desk, at(n.Since), n.Escalation, at(n.AcknowledgeBy))
	case event.NoticeReminder:
		return fmt.Sprintf(e.word("held"), n.Forward, at(n.Until), confirmCommand(n.Desk, r.Operator, r.Incident, n.Forward, r.Exercise))
	}
	return e.word(n.Kind)
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
func (e *environment) change(c event.Change) {
	switch c.Kind {
	case event.ChangeWithdrawn, event.ChangeReinstated:
		fmt.Fprintf(e.out, "    %s: %s\n", e.word(c.Kind), e.remark(c.Reason))
	case event.ChangeRaised, event.ChangeLowered:
		fmt.Fprintf(e.out, "    %s: %s → %s  (%s)\n", e.word(c.Kind), e.gradeName(c.From), e.gradeName(c.To), e.remark(c.Reason))
		for _, lost := range c.Lost {
			fmt.Fprintf(e.out, "      − %s\n", lost)
		}
		for _, gained := range c.Gained {
			fmt.Fprintf(e.out, "      + %s\n", gained)
		}
	default:
		if note := event.ClockNote(c.Reason); note != "" {
			fmt.Fprintf(e.out, "    %s\n", e.remark(note))
		}
	}
}

// escalation prints everything that a desk should see at once.
func (e *environment) escalation(full *event.Escalated, r event.EscalationRow) {
	e.row(r)
	if r.Title != "" {
		fmt.Fprintf(e.out, "    %s\n", printable.Line(r.Title))
	}
	if u := full.Unhandled; u != nil {
		fmt.Fprintf(e.out, "    %s #%d (%s): %s\n", e.word("review"), u.Record, u.Service, printable.Line(u.Error))
	}
	e.change(full.Change)
	if out := full.Cause.Outdated; len(out) > 0 {
		fmt.Fprintf(e.out, "    %s: %s\n", e.word("outdated"), strings.Join(out, ", "))
	}
	if d := full.Determined; d != nil {
		fmt.Fprintf(e.out, "    %s\n", e.determination(*d))
	}
	if t := full.Transfer; t != nil {
		fmt.Fprintf(e.out, "    "+e.word("transferred-by")+"\n", t.From, t.Officer, printable.Line(t.Reason))
	}
	if full.Peak > full.Grade {
		fmt.Fprintf(e.out, "    %s %s\n", e.word("peak"), e.gradeName(full.Peak))
	}
	if full.Next != nil {
		fmt.Fprintf(e.out, "    %s %s: %s\n", e.word("rises"), e.time(&full.Next.At), e.gradeName(full.Next.Grade))
	}
	for _, d := range full.Duties {
		fmt.Fprint(e.out, "  ")
		e.duty(d, r)
		if d.OnBehalf != nil {
			fmt.Fprintf(e.out, "      %s\n", e.onBehalf(*d.OnBehalf))
		}
	}
	if !full.Designated && len(full.Duties) > 0 {
		fmt.Fprintf(e.out, "    %s\n", e.word("undesignated"))
	}
	for _, h := range full.Held {
		fmt.Fprintf(e.out, "    %s\n", e.held(full.Operator, full.Incident, h, r.Exercise))
	}
	for _, o := range full.Owed {
		fmt.Fprintf(e.out, "    %s: %s\n", e.word("owed"), e.obligation(o))
	}
}

func (e *environment) onBehalf(o event.OnBehalf) string {
	if o.Verified {
		return fmt.Sprintf(e.word("confirmed-by"), o.Officer) + o.Authority
	}
	return e.word("onBehalf") + ": " + o.Authority
}

func (e *environment) determination(d event.Determination) string {
	return fmt.Sprintf("%s: %s  %s (%s): %s", e.word("determined"), e.gradeName(d.Grade), d.Desk, d.Officer, printable.Line(d.Reason))
}

// held describes a forward that awaits a person, until when, and what to do.
func (e *environment) held(operator, incident string, h event.Held, exercise bool) string {
	return fmt.Sprintf(e.word("held"), h.To, e.time(&h.Until), confirmCommand(h.Desk, operator, incident, h.To, exercise))
}

// obligation describes what is owed, until when, and who demands it.
func (e *environment) obligation(o event.Obligation) string {
	var b strings.Builder
	b.WriteString(e.word("owes-" + string(o.Kind)))
	if o.Report != "" {
		b.WriteString(" " + e.word("report-"+o.Report))
	}
	if len(o.Items) > 0 {
		b.WriteString(" " + strings.Join(o.Items, ", "))
	}
	b.WriteString("  " + e.obligationDue(o))
	switch {
	case o.Desk != "":
		fmt.Fprintf(&b, "  "+e.word("asked-by"), o.Desk, o.Officer, printable.Line(o.Reason))
	case o.Citation != "":
		b.WriteString("  — " + o.Citation + e.confidence(o.Confidence))
	}
	return b.String()
}

// obligationDue describes when it is due: at a time, some time after an event that has
// not happened yet, or promptly.
func (e *environment) obligationDue(o event.Obligation) string {
	switch {
	case o.DueAt != nil:
		return e.word("by") + " " + e.time(o.DueAt)
	case o.Within != "":
		return fmt.Sprintf(e.word("after-"+o.Clock), e.limit(o.Within))
	}
	return e.word("promptly")
}

// limit renders a limit of a statute in words; whole days are calendar days and remain
// days.
func (e *environment) limit(iso string) string {
	d, err := event.ParseDuration(iso)
	switch {
	case err != nil:
		return iso
	case d%day == 0:
		return fmt.Sprintf(e.word("days"), d/day)
	}
	return e.length(d)
}

const day = 24 * time.Hour

// length renders a duration in its two greatest units, rounded down.
func (e *environment) length(d time.Duration) string {
	units := []struct {
		word string
		size time.Duration
	}{{"unit-d", day}, {"unit-h", time.Hour}, {"unit-m", time.Minute}, {"unit-s", time.Second}, {"unit-ms", time.Millisecond}}
	var b strings.Builder
	for i, u := range units {
		n := d / u.size
		if n == 0 && i+1 < len(units) {
			continue
		}
		fmt.Fprintf(&b, "%d%s", n, e.word(u.word))
		if i < 3 { // seconds need no milliseconds
			if rest := d % u.size / units[i+1].size; rest > 0 {
				fmt.Fprintf(&b, "%d%s", rest, e.word(units[i+1].word))
			}
		}
		break
	}
	return b.String()
}
