package grading

import (
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/event"
)

// tell decides which desks this revision reaches: desks with new duties, desks it was
// transferred to, and, as an update, every desk told before. A desk once told is told of
// every later revision, also when the grade falls or the incident is withdrawn: nothing
// is recalled in silence. Only a cause that changes nothing for the others (a question to
// the operator, a confirmed forward) is not sent to them. An import starts no clock, not
// even the house's.
func (rb Rulebook) tell(prev, g *event.Graded) {
	g.Told = slices.Clone(prev.Told)
	for i := range g.Told {
		g.Told[i].Duties = slices.Clone(g.Told[i].Duties)
	}
	g.Escalations = []event.Escalation{}
	for _, id := range desksOf(prev, g) {
		e := event.Escalation{Desk: id, Act: event.ActUpdate, From: g.Operator, Duties: []event.Duty{}}
		told := toldOf(g, id)
		for i := range g.Duties {
			d := &g.Duties[i]
			if d.Desk != id || isPending(g, *d) {
				continue
			}
			if add(told, *d) {
				e.Duties = append(e.Duties, *d)
				d.ToldAt = &g.At
			} else {
				e.Standing = append(e.Standing, *d)
			}
		}
		e.Transfer = handedOn(prev, g, told)
		e.PendingForwards = pendingForwardsOf(g, id)
		switch {
		case len(e.Duties) > 0:
			e.From, e.Act = e.Duties[0].From, e.Duties[0].Act
		case e.Transfer != nil:
			e.From, e.Act = e.Transfer.From, event.ActTransfer
		case isQuiet(prev, g) && told.Since != g.Revision:
			continue
		case g.Cause.Desk != "":
			e.From = g.Cause.Desk // the desk that acted
		case len(e.Standing) > 0:
			e.From = e.Standing[0].From
		}
		e.Items = told.Items
		rb.target(g, &e)
		g.Escalations = append(g.Escalations, e)
	}
}

// target sets the house's target for the desk's acknowledgement, and whether its
// department has designated this channel.
func (rb Rulebook) target(g *event.Graded, e *event.Escalation) {
	clockless := g.State.IsImported() || isOwn(g, e)
	if desk, ok := rb.Register.Desk(e.Desk); ok {
		e.Designated = desk.Designated
		if desk.Acknowledge > 0 && !clockless {
			e.AcknowledgeWithin = &desk.Acknowledge
		}
	}
	if !clockless {
		e.AcknowledgeDefault = &rb.Register.Acknowledge
	}
}

// isOwn reports whether the escalation tells a desk only of its own determination, which
// it need not acknowledge.
func isOwn(g *event.Graded, e *event.Escalation) bool {
	return e.Act == event.ActUpdate && g.Cause.Desk == e.Desk && strings.Split(g.Cause.Type, ".")[2] == event.KindDetermined
}

// isQuiet reports whether the revision changes nothing for a desk without a new duty. It
// is not quiet if time has crossed a threshold meanwhile or a set-aside cause was folded
// with it.
func isQuiet(prev, g *event.Graded) bool {
	switch strings.Split(g.Cause.Type, ".")[2] {
	case event.KindAsked, event.KindConfirmed, event.KindTransferred, event.KindElapsed:
		mended := minus(minus(prev.Aside, g.Aside), []uint64{g.Cause.Record})
		return len(mended) == 0 && (sameGrades(prev, g) || g.Withdrawal != nil)
	}
	return false
}

// handedOn returns the transfer that this revision carries out for a desk, or nil. The
// desk may read what the transferring desk may read, besides what it could read already.
func handedOn(prev, g *event.Graded, told *event.ToldDesk) (done *event.Transfer) {
	for _, t := range transfers(prev, g) {
		if t.To != told.Desk {
			continue
		}
		from := slices.IndexFunc(prev.Told, func(from event.ToldDesk) bool { return from.Desk == t.From })
		items := prev.Told[from].Items
		if told.Since < g.Revision || len(told.Duties) > 0 || done != nil {
			items = both(told.Items, items)
		}
		told.Items = items
		if len(told.Duties) == 0 {
			told.By = t.From
		}
		done = t
	}
	return done
}

// transfers returns those that this revision carries out. A desk that was not told has
// nothing to transfer.
func transfers(prev, g *event.Graded) (fresh []*event.Transfer) {
	for i := range g.State.Transferred {
		t := &g.State.Transferred[i]
		if isFresh(prev, t.Record) && slices.ContainsFunc(prev.Told, func(told event.ToldDesk) bool { return told.Desk == t.From }) {
			fresh = append(fresh, t)
		}
	}
	return fresh
}

func pendingForwardsOf(g *event.Graded, desk string) (pending []event.PendingForward) {
	for _, f := range g.PendingForwards {
		if f.Desk == desk {
			pending = append(pending, f)
		}
	}
	return pending
}

// desksOf lists, once each, the desks that have a duty or a pending forward, receive a
// transfer or were told before; the desk whose duty is due first comes first.
func desksOf(prev, g *event.Graded) []string {
	var out []string
	add := func(desk string) {
		if !slices.Contains(out, desk) {
			out = append(out, desk)
		}
	}
	for _, d := range g.Duties {
		if !isPending(g, d) {
			add(d.Desk)
		}
	}
	for _, f := range g.PendingForwards {
		add(f.Desk)
	}
	for _, t := range transfers(prev, g) {
		add(t.To)
	}
	for _, t := range g.Told {
		add(t.Desk)
	}
	return out
}

// toldOf returns the entry of a desk and creates it if there is none.
func toldOf(g *event.Graded, desk string) *event.ToldDesk {
	for i := range g.Told {
		if g.Told[i].Desk == desk {
			return &g.Told[i]
		}
	}
	g.Told = append(g.Told, event.ToldDesk{Desk: desk, Since: g.Revision})
	return &g.Told[len(g.Told)-1]
}

// add notes that the desk is told under a duty, and reports whether that is new for any
// of its facilities.
func add(t *event.ToldDesk, d event.Duty) (fresh bool) {
	if len(t.Duties) == 0 && t.By == "" {
		t.Items = d.Items
	} else {
		t.Items = both(t.Items, d.Items)
	}
	for _, f := range d.Facilities {
		key := d.Statute + "/" + d.Duty + "/" + d.From + "/" + f
		if !slices.Contains(t.Duties, key) {
			t.Duties = append(t.Duties, key)
			fresh = true
		}
	}
	return fresh
}

// both returns what two lists of items allow together; nil allows all.
func both(a, b []string) []string {
	if a == nil || b == nil {
		return nil
	}
	return union(a, b)
}
