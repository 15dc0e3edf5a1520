package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/event"
)

// Law describes which instruments apply, by the reason, with their first days in force:
// one line for each reason.
func (p *Printer) Law(list []event.Instrument) (lines []string) {
	var order []event.Basis
	named := map[event.Basis][]string{}
	for _, i := range list {
		if named[i.Basis] == nil {
			order = append(order, i.Basis)
		}
		named[i.Basis] = append(named[i.Basis], fmt.Sprintf("%s (%s)", i.Statute, i.From))
	}
	for _, basis := range order {
		lines = append(lines, p.Word("law-"+string(basis))+": "+strings.Join(named[basis], ", "))
	}
	return lines
}

// NextRise describes when time alone raises the grade, to which, and how sure that is.
func (p *Printer) NextRise(n *event.Next) string {
	return fmt.Sprintf("%s %s: %s%s", p.Word("rises"), p.Time(&n.At), p.GradeName(n.Grade), p.Confidence(n.Confidence))
}

// Kinds describes the kinds of incident that a hit's clause names and the facts show, in
// the words of the clause; empty where there are none.
func (p *Printer) Kinds(h event.Hit) string {
	if len(h.Kinds) == 0 {
		return ""
	}
	quotes := make([]string, len(h.Kinds))
	for i, k := range h.Kinds {
		quotes[i] = k.Quote
	}
	return fmt.Sprintf(" (%s: %s)", p.Word("kind-met"), strings.Join(quotes, "、"))
}

// Possible describes a duty that would be owed if facts that are not known were so. The
// facts that a grade depends on are many, and are left out.
func (p *Printer) Possible(d event.PossibleDuty) string {
	text := strings.Join(append(slices.Clone(d.Desks), d.To...), ", ") + "  " + p.Word(string(d.Act))
	if d.From != "" {
		text += " " + p.Word("from") + " " + d.From
	}
	open := fmt.Sprintf(p.Word("if-facts"), strings.Join(d.Facts, ", "))
	if d.Grade != event.Ungraded {
		open = fmt.Sprintf(p.Word("if-grade"), p.GradeName(d.Grade))
	}
	return fmt.Sprintf("%s: %s  %s — %s%s", p.Word("possible"), text, open, p.Citation(d.Citation, d.CitationZH), p.Confidence(d.Confidence))
}
