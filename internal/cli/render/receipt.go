package render

import (
	"fmt"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// Receipt prints a receipt for people.
func (p *Printer) Receipt(r *event.Receipt) {
	fmt.Fprintf(p.Out, "%s  %s/%s  %s", p.Word(r.Status), printable.Line(r.Operator), printable.Line(r.Incident), printable.Line(r.Report))
	if r.Record != 0 {
		fmt.Fprintf(p.Out, "  #%d  %s", r.Record, p.Time(r.ReceivedAt))
	}
	if r.Durability != "" {
		fmt.Fprintf(p.Out, "  (%s: %s)", p.Word("durability"), r.Durability)
	}
	if r.Exercise {
		fmt.Fprintf(p.Out, "  [%s]", p.Word("exercise"))
	}
	fmt.Fprintln(p.Out)
	for _, l := range r.Late {
		fmt.Fprintf(p.Out, "    %s\n", p.Lateness(l))
	}
	for _, line := range p.Law(r.Law) {
		fmt.Fprintf(p.Out, "    %s\n", line)
	}
	for _, d := range r.Possible {
		fmt.Fprintf(p.Out, "    %s\n", p.Possible(d))
	}
	p.Details(r.Errors, r.Warnings)
}
