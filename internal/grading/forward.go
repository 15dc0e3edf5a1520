package grading

import (
	"slices"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
)

// setPending makes pending the forwards that await a person: those of a desk whose
// register entry has forward: confirm, until somebody there confirms or nine tenths of
// the time have passed. A leg (one desk to another) is pending as a whole, and stays open
// once it has been told. setPending also marks for every forward whether a person has
// checked it: a confirmation covers what was owed when it was made.
func (r resolver) setPending(g *event.Graded) {
	if g.State.IsImported() {
		return // an archived report starts no clock and needs no confirmation
	}
	for i := range g.Duties {
		d := &g.Duties[i]
		desk, ok := r.rb.Register.Desk(d.From)
		if !ok || desk.Forward != register.ForwardConfirm {
			continue
		}
		if officer, ok := confirmed(r.prev, g, *d); ok {
			on := *d.OnBehalf
			on.Verified, on.Officer = true, officer
			d.OnBehalf = &on
			continue
		}
		if isOpen(r.prev, d.From, d.Desk) {
			continue
		}
		j := slices.IndexFunc(g.PendingForwards, func(f event.PendingForward) bool { return f.Desk == d.From && f.To == d.Desk })
		if j < 0 {
			g.PendingForwards = append(g.PendingForwards, event.PendingForward{Desk: d.From, To: d.Desk, Since: r.received})
			j = len(g.PendingForwards) - 1
		}
		f := &g.PendingForwards[j]
		if since := r.arose(*d); since.Before(f.Since) {
			f.Since = since
		}
		f.Duties = append(f.Duties, *d)
	}
	for i := range g.PendingForwards {
		r.rb.time(r.prev, &g.PendingForwards[i])
	}
	g.PendingForwards = slices.DeleteFunc(g.PendingForwards, func(f event.PendingForward) bool { return !f.Until.After(g.At) })
	if len(g.PendingForwards) == 0 {
		g.PendingForwards = nil
	}
}

// arose returns when a duty arose: when a threshold was crossed, or now.
func (r resolver) arose(d event.Duty) time.Time {
	at := r.received
	for _, f := range d.Facilities {
		if c, ok := r.crossed[d.Statute+"/"+d.Duty+"/"+f]; ok && c.at.Before(at) {
			at = c.at
		}
	}
	return at
}

// time sets when the desk is reminded of a pending leg and when the leg is sent without a
// person: by the earliest due time of its duties, or by the house's target if all of them
// are "promptly". A later revision does not extend the wait.
func (rb Rulebook) time(prev *event.Graded, f *event.PendingForward) {
	i := slices.IndexFunc(prev.PendingForwards, func(before event.PendingForward) bool { return before.Desk == f.Desk && before.To == f.To })
	if i >= 0 {
		f.Since = prev.PendingForwards[i].Since
	}
	due := f.Since.Add(time.Duration(rb.Register.Acknowledge))
	limited := slices.IndexFunc(f.Duties, func(d event.Duty) bool { return d.DueAt != nil })
	if limited >= 0 {
		due = *f.Duties[limited].DueAt // duties are sorted by due time
	}
	marks := moments(f.Since, due, rb.Register.Remind)
	f.Remind, f.Until = marks[0], marks[len(marks)-1]
	if i >= 0 && prev.PendingForwards[i].Until.Before(f.Until) {
		f.Remind, f.Until = prev.PendingForwards[i].Remind, prev.PendingForwards[i].Until
	}
}

// isPending reports whether a duty awaits a person.
func isPending(g *event.Graded, d event.Duty) bool {
	return slices.ContainsFunc(g.PendingForwards, func(f event.PendingForward) bool { return f.Desk == d.From && f.To == d.Desk })
}

// isOpen reports whether a leg was told before.
func isOpen(prev *event.Graded, from, to string) bool {
	return slices.ContainsFunc(prev.Told, func(t event.ToldDesk) bool {
		return t.Desk == to && slices.ContainsFunc(t.Duties, func(key string) bool { return strings.Split(key, "/")[2] == from })
	})
}

// confirmed returns the officer who confirmed a duty, with this revision or with an
// earlier one that already had the duty.
func confirmed(prev, g *event.Graded, d event.Duty) (officer string, ok bool) {
	for _, c := range slices.Backward(g.State.Confirmed) {
		if c.Desk == d.From && (c.To == "" || c.To == d.Desk) && isFresh(prev, c.Record) {
			return c.Officer, true
		}
	}
	for _, before := range prev.Duties {
		looked := before.OnBehalf != nil && before.OnBehalf.Verified
		if looked && sameDuty(before, d) && len(minus(d.Facilities, before.Facilities)) == 0 {
			return before.OnBehalf.Officer, true
		}
	}
	return "", false
}

func sameDuty(a, b event.Duty) bool {
	return a.Statute == b.Statute && a.Duty == b.Duty && a.From == b.From && a.Desk == b.Desk
}

// moments returns the given fractions of the time from since to due.
func moments(since, due time.Time, fractions []float64) []time.Time {
	out := make([]time.Time, len(fractions))
	for i, f := range fractions {
		out[i] = since.Add(time.Duration(f * float64(due.Sub(since)))).UTC()
	}
	return out
}
