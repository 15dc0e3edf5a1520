package grading

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// Replayed is what an incident has come to under a rulebook.
type Replayed struct {
	Grade event.Grade
	Peak  event.Grade
	// Duties are all that ever arose, each in its last form, by statute and duty.
	Duties []event.Duty
}

// Replay folds the reports and acts of one incident, in ledger order, and lets time pass
// until a moment. The moments at which time alone changes something follow from this
// rulebook: recorded ones, which follow from another, must not be among the causes. As in
// the service, a cause that cannot be folded is left out, as long as another can be.
func (rb Rulebook) Replay(causes []Cause, until time.Time) (Replayed, error) {
	r := replay{rb: rb}
	var failed error
	for _, c := range causes {
		if err := r.pass(c.At); err != nil {
			return Replayed{}, err
		}
		next, err := rb.Revise(r.last, c, nil)
		if err != nil {
			failed = err
			continue
		}
		r.add(next)
	}
	if r.last == nil {
		return Replayed{}, cmp.Or(failed, errors.New("it has no report"))
	}
	if err := r.pass(until); err != nil {
		return Replayed{}, err
	}
	return r.result(), nil
}

// replay is an incident that is folded.
type replay struct {
	rb     Rulebook
	last   *event.Graded
	duties []event.Duty
}

// pass makes the revisions that time alone makes, up to a moment.
func (r *replay) pass(until time.Time) error {
	for r.last != nil && r.last.RegradeAt != nil && !r.last.RegradeAt.After(until) {
		at := *r.last.RegradeAt
		next, err := r.rb.Revise(r.last, Cause{Record: r.last.Through, Operator: r.last.Operator, Incident: r.last.Incident, At: at}, nil)
		if err != nil {
			return fmt.Errorf("at %s: %w", at, err)
		}
		if next == nil || next.RegradeAt != nil && !next.RegradeAt.After(at) {
			return nil
		}
		r.add(next)
	}
	return nil
}

func (r *replay) add(next *event.Graded) {
	r.last = next
	for _, d := range next.Duties {
		i := slices.IndexFunc(r.duties, func(known event.Duty) bool { return compareLine(known, d) == 0 })
		if i < 0 {
			r.duties = append(r.duties, d)
		} else {
			r.duties[i] = d
		}
	}
}

func (r *replay) result() Replayed {
	slices.SortFunc(r.duties, compareLine)
	return Replayed{Grade: r.last.Grade, Peak: r.last.Peak, Duties: r.duties}
}

// compareLine orders duties; two are the same where one party owes another the same line
// for the same facilities.
func compareLine(a, b event.Duty) int {
	return cmp.Or(strings.Compare(a.Statute, b.Statute), strings.Compare(a.Duty, b.Duty), strings.Compare(a.From, b.From),
		strings.Compare(a.Desk, b.Desk), slices.Compare(a.Facilities, b.Facilities))
}

// Difference is how an incident comes out under two rulebooks.
type Difference struct {
	GradeBefore event.Grade  `json:"gradeBefore"`
	Grade       event.Grade  `json:"grade"`
	PeakBefore  event.Grade  `json:"peakBefore"`
	Peak        event.Grade  `json:"peak"`
	Added       []event.Duty `json:"added"`   // duties of the second alone
	Removed     []event.Duty `json:"removed"` // of the first alone
	Moved       []MovedDuty  `json:"moved"`   // with another due time
}

// MovedDuty is a duty with its due time under the first of two rulebooks.
type MovedDuty struct {
	Duty      event.Duty   `json:"duty"`
	DueBefore *event.Stamp `json:"dueBefore"` // null: promptly
}

// Compare returns how an incident comes out differently, and whether it does: in a grade,
// in who must tell whom, or by when.
func Compare(before, after Replayed) (Difference, bool) {
	d := Difference{
		GradeBefore: before.Grade, Grade: after.Grade, PeakBefore: before.Peak, Peak: after.Peak,
		Added: []event.Duty{}, Removed: []event.Duty{}, Moved: []MovedDuty{},
	}
	for _, duty := range after.Duties {
		i, found := slices.BinarySearchFunc(before.Duties, duty, compareLine)
		switch {
		case !found:
			d.Added = append(d.Added, duty)
		case compareDue(before.Duties[i].DueAt, duty.DueAt) != 0:
			d.Moved = append(d.Moved, MovedDuty{duty, (*event.Stamp)(before.Duties[i].DueAt)})
		}
	}
	for _, duty := range before.Duties {
		if _, found := slices.BinarySearchFunc(after.Duties, duty, compareLine); !found {
			d.Removed = append(d.Removed, duty)
		}
	}
	same := d.Grade == d.GradeBefore && d.Peak == d.PeakBefore && len(d.Added)+len(d.Removed)+len(d.Moved) == 0
	return d, !same
}
