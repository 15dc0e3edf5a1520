package classifier

import (
	"slices"

	"github.com/tocsin-project/tocsin/internal/event"
)

// tell decides which desks this revision reaches: those newly owed, with their
// duties, and every desk told before, as an update where no duty is new. A desk
// once told is told of every later revision, also when the grade falls or the
// incident is withdrawn: nothing is recalled in silence. What is imported
// starts no clock, not even the house's.
func (rb Rulebook) tell(prev, g *event.Graded) {
	imported := g.State.IsImported()
	g.Told = slices.Clone(prev.Told)
	for i := range g.Told {
		g.Told[i].Duties = slices.Clone(g.Told[i].Duties)
	}
	g.Escalations = []event.Escalation{}
	for _, id := range desksOf(g) {
		e := event.Escalation{Desk: id, Act: event.ActUpdate, From: g.Operator, Duties: []event.Duty{}}
		told := toldOf(g, id)
		for _, d := range g.Duties {
			if d.Desk != id {
				continue
			}
			if add(told, d) {
				e.Duties = append(e.Duties, d)
			} else {
				e.Standing = append(e.Standing, d)
			}
		}
		switch {
		case len(e.Duties) > 0:
			e.From, e.Act = e.Duties[0].From, e.Duties[0].Act
		case len(e.Standing) > 0:
			e.From = e.Standing[0].From
		}
		if desk, ok := rb.Register.Desk(id); ok {
			e.Designated = desk.Designated
			if desk.Acknowledge > 0 && !imported {
				e.AcknowledgeWithin = &desk.Acknowledge
			}
		}
		if !imported {
			e.AcknowledgeDefault = &rb.Register.Acknowledge
		}
		g.Escalations = append(g.Escalations, e)
	}
}

// desksOf lists the desks that are owed something or were told before, each
// once, the one whose duty is due first in front.
func desksOf(g *event.Graded) []string {
	var out []string
	for _, d := range g.Duties {
		if !slices.Contains(out, d.Desk) {
			out = append(out, d.Desk)
		}
	}
	for _, t := range g.Told {
		if !slices.Contains(out, t.Desk) {
			out = append(out, t.Desk)
		}
	}
	return out
}

// toldOf returns the entry of a desk, made when there is none.
func toldOf(g *event.Graded, desk string) *event.Told {
	for i := range g.Told {
		if g.Told[i].Desk == desk {
			return &g.Told[i]
		}
	}
	g.Told = append(g.Told, event.Told{Desk: desk, Since: g.Revision})
	return &g.Told[len(g.Told)-1]
}

// add notes that the desk is told under a duty, and reports whether that is
// new for any of its facilities.
func add(t *event.Told, d event.Duty) (fresh bool) {
	for _, f := range d.Facilities {
		key := d.Statute + "/" + d.Duty + "/" + d.From + "/" + f
		if !slices.Contains(t.Duties, key) {
			t.Duties = append(t.Duties, key)
			fresh = true
		}
	}
	return fresh
}
