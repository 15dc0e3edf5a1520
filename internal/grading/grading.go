// Package grading decides what follows from the reports of an incident. It folds one
// cause at a time (a report, a moment at which time alone changes something, a desk's
// act) into the known facts, grades them under every statute in force, and derives the
// rest: duties with their due times, the desks that are told, what is still owed, and
// when to look again.
//
// It is pure: everything it uses is an argument, the time included. The same causes in
// the same order give the same revisions, and the order in which facts are folded does
// not change what is known.
package grading

import (
	"slices"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// Rulebook has the rules that decide: the packs and the register, as loaded.
type Rulebook struct {
	Statutes *statute.Set
	Register *register.Register
}

// ReviseWith makes the next revision as Revise does, and folds with its cause those of the
// missed causes that can be folded now: earlier ones that were set aside. The revision
// leaves out of aside what was folded. The result is nil if nothing was.
func (rb Rulebook) ReviseWith(prev *event.Graded, c Cause, aside []uint64, missed []Cause) (*event.Graded, error) {
	before := event.Graded{Operator: c.Operator, Incident: c.Incident}
	if prev != nil {
		before = *prev
	}
	before.Aside = aside // so that a missed cause counts as fresh
	var changed []string
	rest := slices.Clone(aside)
	for _, m := range missed {
		state, paths, err := rb.fold(&before, m)
		if err != nil {
			continue // it stays set aside
		}
		before.State, changed = state, union(changed, paths)
		rest = minus(rest, []uint64{m.Record})
	}
	if len(rest) == len(aside) {
		return nil, nil
	}
	next, err := rb.Revise(&before, c, rest)
	if err != nil || next == nil {
		return nil, err
	}
	next.Cause.Changed = union(changed, next.Cause.Changed)
	return next, nil
}
