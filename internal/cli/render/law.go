package render

import (
	"fmt"
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
