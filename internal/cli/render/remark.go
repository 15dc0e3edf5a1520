package render

import (
	"fmt"
	"strings"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// remarks are sentences of the server that are translated for the user: the record and
// the API have them in English.
var remarks = []struct{ english, word string }{
	{event.OngoingWarning, "lasts-on"},
	{event.OngoingNoteEnd, "clock-goes-on"},
}

// remark translates a sentence of the server into the user's language, as far as the
// translation is known.
func (p *Printer) remark(message string) string {
	message = printable.Line(message)
	if p.Lang != "zh" {
		return message
	}
	for _, r := range remarks {
		if before, ok := strings.CutSuffix(message, r.english); ok {
			return strings.ReplaceAll(before, "; ", "；") + p.Word(r.word)
		}
	}
	return message
}

// Details prints the faults and warnings of an answer.
func (p *Printer) Details(lists ...[]fault.Detail) {
	for _, list := range lists {
		for _, d := range list {
			fmt.Fprintf(p.Out, "    %s: %s\n", d.Path, p.remark(d.Message))
		}
	}
}
