package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// row prints one line on an escalation.
func (e *environment) row(r event.EscalationRow) {
	if r.Exercise {
		fmt.Fprintf(e.out, "[%s] ", e.word("exercise"))
	}
	fmt.Fprintf(e.out, "%s  %s  %s", e.time(&r.ReportedAt), e.gradeName(r.Grade), e.word(string(r.Act)))
	if r.Act == event.ActUpdate {
		fmt.Fprintf(e.out, " (%s)", e.word(r.Change))
	}
	fmt.Fprintf(e.out, "  %s %s → %s  %s/%s", e.word("from"), r.From, r.Desk, r.Operator, r.Incident)
	if r.DueAt != nil {
		fmt.Fprintf(e.out, "  %s %s", e.word("by"), e.time(r.DueAt))
	}
	e.lateDuties(r)
	if r.Notice != nil {
		fmt.Fprintf(e.out, "  %s", e.notice(r, *r.Notice))
	}
	fmt.Fprintf(e.out, "  [%s]", e.word(r.State))
	if r.AcknowledgedBy != "" {
		fmt.Fprintf(e.out, " %s", r.AcknowledgedBy)
	}
	fmt.Fprintf(e.out, "  %s\n", r.Escalation)
}

// lateDuties prints which duties were late, by how much and under which
// article, and the strict reading of those that have one.
func (e *environment) lateDuties(r event.EscalationRow) {
	said := false
	for _, d := range r.Duties {
		if d.LateBy != nil {
			said = true
			fmt.Fprintf(e.out, "  %s, %s%s", e.lateBy(*d.LateBy), d.Citation, e.confidence(d.Confidence))
		}
	}
	if r.Late && !said {
		fmt.Fprintf(e.out, "  %s", e.word("late"))
	}
	if strict := strictest(r.Duties); strict != nil {
		fmt.Fprintf(e.out, "  "+e.word("strictly"), e.time(strict))
	}
}

// strictest is the earliest limit that counts from discovery, where a duty has
// both readings.
func strictest(duties []event.Duty) (at *time.Time) {
	for _, d := range duties {
		if d.StrictDueAt != nil && (at == nil || d.StrictDueAt.Before(*at)) {
			at = d.StrictDueAt
		}
	}
	return at
}

func (e *environment) lateBy(d event.Duration) string {
	return fmt.Sprintf(e.word("late-by"), e.length(time.Duration(d)))
}

// lateness says which duty a report missed. It names no facility and no desk,
// as the record does not.
func (e *environment) lateness(l event.Lateness) string {
	return fmt.Sprintf("%s, %s%s, %s %s", e.lateBy(l.By), l.Citation, e.confidence(l.Confidence), e.word("by"), e.time(&l.DueAt))
}

// duty prints one duty with its limit.
func (e *environment) duty(d event.Duty) {
	due := e.word("promptly")
	if d.DueAt != nil {
		due = e.word("by") + " " + e.time(d.DueAt)
	}
	if d.LateBy != nil {
		due += " (" + e.lateBy(*d.LateBy) + ")"
	}
	fmt.Fprintf(e.out, "  → %s  %s %s %s  %s — %s%s\n", d.Desk, e.word(string(d.Act)), e.word("from"), d.From, due, d.Citation, e.confidence(d.Confidence))
	if d.StrictDueAt != nil {
		fmt.Fprintf(e.out, "      "+e.word("strictly")+"\n", e.time(d.StrictDueAt))
	}
}

// notice says what another desk did not do, or what this one holds: ids and
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
		return fmt.Sprintf(e.word("held"), n.Forward, at(n.Until), confirmCommand(n.Desk, r.Operator, r.Incident, n.Forward))
	}
	return e.word(n.Kind)
}

func confirmCommand(desk, operator, incident, to string) string {
	return fmt.Sprintf("tocsin desk confirm %s %s/%s --to %s --officer POST", desk, operator, incident, to)
}

// change prints how the grade moved, and why.
func (e *environment) change(c event.Change) {
	switch c.Kind {
	case event.ChangeWithdrawn, event.ChangeReinstated:
		fmt.Fprintf(e.out, "    %s: %s\n", e.word(c.Kind), c.Reason)
	case event.ChangeRaised, event.ChangeLowered:
		fmt.Fprintf(e.out, "    %s: %s → %s  (%s)\n", e.word(c.Kind), e.gradeName(c.From), e.gradeName(c.To), c.Reason)
		for _, lost := range c.Lost {
			fmt.Fprintf(e.out, "      − %s\n", lost)
		}
		for _, gained := range c.Gained {
			fmt.Fprintf(e.out, "      + %s\n", gained)
		}
	}
}

// escalation prints all that a desk should see at once.
func (e *environment) escalation(full *event.Escalated, r event.EscalationRow) {
	e.row(r)
	if r.Title != "" {
		fmt.Fprintf(e.out, "    %s\n", r.Title)
	}
	if u := full.Unhandled; u != nil {
		fmt.Fprintf(e.out, "    %s #%d (%s): %s\n", e.word("review"), u.Record, u.Service, u.Error)
	}
	e.change(full.Change)
	if d := full.Determined; d != nil {
		fmt.Fprintf(e.out, "    %s\n", e.determination(*d))
	}
	if t := full.Transfer; t != nil {
		fmt.Fprintf(e.out, "    "+e.word("transferred-by")+"\n", t.From, t.Officer, t.Reason)
	}
	if full.Peak > full.Grade {
		fmt.Fprintf(e.out, "    %s %s\n", e.word("peak"), e.gradeName(full.Peak))
	}
	if full.Next != nil {
		fmt.Fprintf(e.out, "    %s %s: %s\n", e.word("rises"), e.time(&full.Next.At), e.gradeName(full.Next.Grade))
	}
	for _, d := range full.Duties {
		fmt.Fprint(e.out, "  ")
		e.duty(d)
		if d.OnBehalf != nil {
			fmt.Fprintf(e.out, "      %s\n", e.onBehalf(*d.OnBehalf))
		}
	}
	if !full.Designated && len(full.Duties) > 0 {
		fmt.Fprintf(e.out, "    %s\n", e.word("undesignated"))
	}
	for _, h := range full.Held {
		fmt.Fprintf(e.out, "    %s\n", e.held(full.Operator, full.Incident, h))
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
	return fmt.Sprintf("%s: %s  %s (%s): %s", e.word("determined"), e.gradeName(d.Grade), d.Desk, d.Officer, d.Reason)
}

// held says that a forward awaits a person, until when, and what to do.
func (e *environment) held(operator, incident string, h event.Held) string {
	return fmt.Sprintf(e.word("held"), h.To, e.time(&h.Until), confirmCommand(h.Desk, operator, incident, h.To))
}

// obligation says what is owed, until when, and who demands it.
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
		fmt.Fprintf(&b, "  "+e.word("asked-by"), o.Desk, o.Officer, o.Reason)
	case o.Citation != "":
		b.WriteString("  — " + o.Citation + e.confidence(o.Confidence))
	}
	return b.String()
}

// obligationDue says when it is due: at a time, some time after what has not
// come about yet, or promptly.
func (e *environment) obligationDue(o event.Obligation) string {
	switch {
	case o.DueAt != nil:
		return e.word("by") + " " + e.time(o.DueAt)
	case o.Within != "":
		return fmt.Sprintf(e.word("after-"+o.Clock), e.limit(o.Within))
	}
	return e.word("promptly")
}

// limit says a limit of a statute in words; whole days are calendar days and
// stay days.
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

// length says a length of time in its two greatest units, cut off below.
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
