package classifier

import (
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
)

// hold sets aside the forwards that await a person: those of a desk whose
// register says forward: confirm, until somebody there confirms or nine tenths
// of the time have passed. A leg (one desk towards another) is held as a whole,
// and once it has been told it is open. It also says of every forward whether a
// person has looked.
func (rb Rulebook) hold(prev, g *event.Graded, since time.Time) {
	if g.State.IsImported() {
		return // a report from an archive starts no clock and asks nobody
	}
	for i := range g.Duties {
		d := &g.Duties[i]
		desk, ok := rb.Register.Desk(d.From)
		if !ok || desk.Forward != register.ForwardConfirm {
			continue
		}
		if c, ok := confirmed(g.State, d.From, d.Desk); ok {
			on := *d.OnBehalf
			on.Verified, on.Officer = true, c.Officer
			d.OnBehalf = &on
			continue
		}
		if isOpen(prev, d.From, d.Desk) {
			continue
		}
		j := slices.IndexFunc(g.Held, func(h event.Held) bool { return h.Desk == d.From && h.To == d.Desk })
		if j < 0 {
			g.Held = append(g.Held, event.Held{Desk: d.From, To: d.Desk, Since: since})
			j = len(g.Held) - 1
		}
		g.Held[j].Duties = append(g.Held[j].Duties, *d)
	}
	for i := range g.Held {
		rb.time(prev, &g.Held[i])
	}
	g.Held = slices.DeleteFunc(g.Held, func(h event.Held) bool { return !h.Until.After(g.At) })
	if len(g.Held) == 0 {
		g.Held = nil
	}
}

// time says when a held leg is reminded of and when it goes without a person:
// by the earliest due time of its duties, or the house's target where all of
// them say "promptly". A leg that was held before is not held longer.
func (rb Rulebook) time(prev *event.Graded, h *event.Held) {
	i := slices.IndexFunc(prev.Held, func(before event.Held) bool { return before.Desk == h.Desk && before.To == h.To })
	if i >= 0 {
		h.Since = prev.Held[i].Since
	}
	due := h.Since.Add(time.Duration(rb.Register.Acknowledge))
	limited := slices.IndexFunc(h.Duties, func(d event.Duty) bool { return d.DueAt != nil })
	if limited >= 0 {
		due = *h.Duties[limited].DueAt // duties stand in the order of their due times
	}
	marks := moments(h.Since, due, rb.Register.Remind)
	h.Remind, h.Until = marks[0], marks[len(marks)-1]
	if i >= 0 && prev.Held[i].Until.Before(h.Until) {
		h.Remind, h.Until = prev.Held[i].Remind, prev.Held[i].Until
	}
}

// isHeld reports whether a duty awaits a person.
func isHeld(g *event.Graded, d event.Duty) bool {
	return slices.ContainsFunc(g.Held, func(h event.Held) bool { return h.Desk == d.From && h.To == d.Desk })
}

// isOpen reports whether a leg was told of before.
func isOpen(prev *event.Graded, from, to string) bool {
	return slices.ContainsFunc(prev.Duties, func(d event.Duty) bool {
		return d.From == from && d.Desk == to && !isHeld(prev, d)
	})
}

func confirmed(s event.State, from, to string) (event.Confirmation, bool) {
	i := slices.IndexFunc(s.Confirmed, func(c event.Confirmation) bool { return c.Desk == from && (c.To == "" || c.To == to) })
	if i < 0 {
		return event.Confirmation{}, false
	}
	return s.Confirmed[i], true
}

// moments are the given fractions of the time from since to due.
func moments(since, due time.Time, fractions []float64) []time.Time {
	out := make([]time.Time, len(fractions))
	for i, f := range fractions {
		out[i] = since.Add(time.Duration(f * float64(due.Sub(since)))).UTC()
	}
	return out
}
