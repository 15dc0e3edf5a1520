package statute

import (
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/statute/calendar"
)

// FollowUp is a line that defines what the obligor owes after the first report: facts
// that the first report may omit (补报), or a report of its own.
type FollowUp struct {
	ID         string            `json:"id"`
	For        Scope             `json:"-"`
	When       Condition         `json:"-"`      // nil: whenever the scope covers the case
	Items      []string          `json:"items"`  // paths of a report's data, each owed until it is known
	Stages     oneOrMore[string] `json:"report"` // owed until a report is one of them, such as StageFinal; empty: Items
	Within     *calendar.Limit   `json:"within"` // nil: promptly, without a number
	Clock      Clock             `json:"clock"`  // empty where Within is nil; reported is the operator's own report
	OrEarlier  []Term            `json:"orEarlier"`
	Terms      []Term            `json:"-"`         // all of these limits; nil: promptly
	Every      *calendar.Limit   `json:"every"`     // it is owed again so long after each report, until handling has ended
	OnRequest  bool              `json:"onRequest"` // owed only when a desk asks for it
	Remind     []float64         `json:"remind"`    // fractions of the time, ascending; nil: the caller's
	Citation   string            `json:"citation"`
	Quote      string            `json:"quote"` // the words in Chinese
	Confidence event.Confidence  `json:"confidence"`
	Note       Text              `json:"note"`
}

// StageFinal is the report that closes an incident (处置总结报告). A final report is this
// stage without saying so.
const StageFinal = "final"

// OwedFollowUp is a follow-up that a case triggers. The caller knows what was reported,
// and decides which of its items are still owed.
type OwedFollowUp struct {
	Statute  *Pack
	Rule     *FollowUp
	Facility *Facility // the first one that it covers
	// Confidence is the weakest of what it rests on.
	Confidence event.Confidence
}

// FollowUps returns every follow-up that the case, assessed as a, triggers at now, by
// statute, then in the order of the pack. As with Owed, only what is certain triggers;
// but the case owes each one once, whichever of its facilities it covers.
func (s *Set) FollowUps(c Case, a event.Assessment, now time.Time) []OwedFollowUp {
	return s.followUps(c, a, now, false)
}

// Requests returns the follow-ups that the case owes when a desk asks for them.
func (s *Set) Requests(c Case, a event.Assessment, now time.Time) []OwedFollowUp {
	return s.followUps(c, a, now, true)
}

func (s *Set) followUps(c Case, a event.Assessment, now time.Time, onRequest bool) []OwedFollowUp {
	asked := trigger{set: s, c: &c, now: now}
	var owed []OwedFollowUp
	for _, p := range s.packs {
		if !p.basis(&c, now).Applies() {
			continue
		}
		grade := under(a, p.ID).Grade
		for i := range p.FollowUps {
			f := &p.FollowUps[i]
			if f.OnRequest != onRequest || !asked.covers(&f.For, f.When, grade) {
				continue
			}
			if j := slices.IndexFunc(c.Facilities, func(at Facility) bool { return f.For.coversFacility(&at) }); j >= 0 {
				sure := event.Weakest(f.Confidence, asked.confidence(f.When), gradeConfidence(&c, a, p.ID, f.For.Grade))
				owed = append(owed, OwedFollowUp{Statute: p, Rule: f, Facility: &c.Facilities[j], Confidence: sure})
			}
		}
	}
	return owed
}
