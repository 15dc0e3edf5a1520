package statute

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/statute/calendar"
)

// Term is one limit with what it counts from.
type Term struct {
	Within calendar.Limit `json:"within"`
	Clock  Clock          `json:"clock"`
	// LapsesBefore is a clock: the limit does not count if the operator says that it
	// started after the limit had ended. Empty: it always counts.
	LapsesBefore Clock `json:"lapsesBefore"`
}

// termsOf returns the limits of a line, of which the one that ends first counts; none:
// promptly.
func termsOf(within *calendar.Limit, clock Clock, more []Term) []Term {
	if within == nil {
		return nil
	}
	return append([]Term{{Within: *within, Clock: clock}}, more...)
}

// Due is when the first of some limits ends.
type Due struct {
	Since time.Time
	At    time.Time
	Term  Term
}

// FirstDue returns the first end of the terms whose clocks run, or nil if none does: start
// returns when a clock started, stated when the operator says that it did; each returns
// nil if it has not.
func FirstDue(terms []Term, start, stated func(Clock) *time.Time, p calendar.Place) (first *Due) {
	for _, t := range terms {
		since := start(t.Clock)
		if since == nil {
			continue
		}
		due := Due{*since, t.Within.After(*since, p).UTC(), t}
		if t.LapsesBefore != "" {
			if other := stated(t.LapsesBefore); other != nil && due.At.Before(*other) {
				continue
			}
		}
		if first == nil || due.At.Before(first.At) {
			first = &due
		}
	}
	return first
}

// Clocks that start at another line of the same pack: stage/ID when the stage or the duty
// ID was first carried out, latest/ID when it last was.
const (
	clockStage  = "stage/"
	clockLatest = "latest/"
)

// Line returns the stage or duty at which the clock starts, and whether the last time
// counts; an empty id if the clock is another one.
func (c Clock) Line() (id string, latest bool) {
	if id, ok := strings.CutPrefix(string(c), clockLatest); ok {
		return id, true
	}
	id, ok := strings.CutPrefix(string(c), clockStage)
	if !ok {
		return "", false
	}
	return id, false
}

// HasStage reports whether a report may say that it is a stage of the pack.
func (p *Pack) HasStage(stage string) bool {
	return slices.ContainsFunc(p.FollowUps, func(f FollowUp) bool { return slices.Contains(f.Stages, stage) })
}

// Duty returns the duty of an id.
func (p *Pack) Duty(id string) (*DutyRule, bool) {
	i := slices.IndexFunc(p.Duties, func(d DutyRule) bool { return d.ID == id })
	if i < 0 {
		return nil, false
	}
	return &p.Duties[i], true
}

// checkClocks finds clocks that start at a line that the pack does not have.
func (p *Pack) checkClocks(doc *document.Document) {
	check := func(path string, c Clock) {
		id, _ := c.Line()
		if id == "" || p.HasStage(id) {
			return
		}
		if d, ok := p.Duty(id); !ok || d.From.Role != RoleOperator {
			doc.Fail(path, "the pack has neither a stage nor a duty of the operator %q", id)
		}
	}
	terms := func(path string, within *calendar.Limit, clock Clock, more []Term) {
		if within != nil {
			check(path+".clock", clock)
		}
		for i, t := range more {
			check(fmt.Sprintf("%s.orEarlier[%d].clock", path, i), t.Clock)
			check(fmt.Sprintf("%s.orEarlier[%d].lapsesBefore", path, i), cmp.Or(t.LapsesBefore, ClockDiscovered))
		}
	}
	for i := range p.Duties {
		d := &p.Duties[i]
		terms(fmt.Sprintf("$.duties[%d]", i), d.Within, d.Clock, d.OrEarlier)
	}
	for i := range p.FollowUps {
		f := &p.FollowUps[i]
		terms(fmt.Sprintf("$.followUps[%d]", i), f.Within, f.Clock, f.OrEarlier)
	}
}

// checkConsequences finds consequences of lines that the pack does not have.
func (p *Pack) checkConsequences(doc *document.Document) {
	for i, c := range p.Consequences {
		for j, id := range c.Of {
			_, isDuty := p.Duty(id)
			if !isDuty && !slices.ContainsFunc(p.FollowUps, func(f FollowUp) bool { return f.ID == id }) {
				doc.Fail(fmt.Sprintf("$.consequences[%d].of[%d]", i, j), "the pack has neither a duty nor a follow-up %q", id)
			}
		}
	}
}
