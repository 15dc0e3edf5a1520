package event

import (
	"strconv"
	"time"
)

// part is an element that a body holds many of. The elements of every grave report are
// written without reflection: there are some forty in the records that follow from one
// report.
type part interface{ render(o *object) }

func (d *Duty) render(o *object) {
	o.text("statute", d.Statute)
	o.text("duty", d.Duty)
	o.text("from", d.From)
	o.text("desk", d.Desk)
	o.text("act", string(d.Act))
	o.texts("facilities", d.Facilities)
	o.stamp("dueAt", d.DueAt)
	if d.StrictDueAt != nil {
		o.stamp("strictDueAt", d.StrictDueAt)
	}
	if d.LateBy != nil {
		o.duration("lateBy", d.LateBy)
	}
	o.moment("toldAt", d.ToldAt)
	o.items(d.Items)
	o.text("citation", d.Citation)
	o.text("quote", d.Quote)
	o.text("confidence", string(d.Confidence))
	if b := d.OnBehalf; b != nil {
		o.object("onBehalf", func(o *object) {
			o.text("actedBy", b.ActedBy)
			o.text("authority", b.Authority)
			o.flag("verified", b.Verified)
			o.some("officer", b.Officer)
		})
	}
}

func (h *Hit) render(o *object) {
	o.text("statute", h.Statute)
	o.text("criterion", h.Criterion)
	o.text("grade", h.Grade.String())
	o.text("citation", h.Citation)
	o.text("quote", h.Quote)
	o.text("confidence", string(h.Confidence))
}

func (e *Escalation) render(o *object) {
	o.text("desk", e.Desk)
	o.text("from", e.From)
	o.text("act", string(e.Act))
	list(o, "duties", e.Duties)
	listed(o, "standing", e.Standing)
	o.items(e.Items)
	listed(o, "held", e.Held)
	encoded(o, "transfer", e.Transfer)
	if e.AcknowledgeWithin != nil {
		o.duration("acknowledgeWithin", e.AcknowledgeWithin)
	}
	o.duration("acknowledgeDefault", e.AcknowledgeDefault)
	o.flag("designated", e.Designated)
}

func (t *Told) render(o *object) {
	o.text("desk", t.Desk)
	o.member("since")
	o.out = strconv.AppendInt(o.out, int64(t.Since), 10)
	o.texts("duties", t.Duties)
	o.items(t.Items)
	o.some("by", t.By)
}

func (f *Facility) render(o *object) {
	o.text("id", f.ID)
	o.text("region", f.Region)
	o.text("sector", f.Sector)
}

func (b *Obligation) render(o *object) {
	o.text("id", b.ID)
	o.text("kind", string(b.Kind))
	o.items(b.Items)
	o.some("report", b.Report)
	o.time("listed", b.Listed)
	if b.Since != nil {
		o.stamp("since", b.Since)
	}
	o.stamp("dueAt", b.DueAt)
	listed(o, "remind", b.Remind)
	o.some("statute", b.Statute)
	o.some("rule", b.Rule)
	o.some("within", b.Within)
	o.some("clock", b.Clock)
	o.some("citation", b.Citation)
	o.some("quote", b.Quote)
	o.some("confidence", string(b.Confidence))
	o.some("desk", b.Desk)
	o.some("officer", b.Officer)
	o.some("reason", b.Reason)
}

// items writes the items that a desk may read, unless there are none.
func (o *object) items(items []string) {
	if len(items) > 0 {
		o.texts("items", items)
	}
}

// stamp writes a time as the contract defines it, or null.
func (o *object) stamp(name string, at *time.Time) {
	if at == nil {
		o.null(name)
		return
	}
	o.member(name)
	o.out = Stamp(*at).append(o.out)
}

// duration writes a duration in ISO 8601, or null.
func (o *object) duration(name string, d *Duration) {
	if d == nil {
		o.null(name)
		return
	}
	o.text(name, FormatDuration(time.Duration(*d)))
}
