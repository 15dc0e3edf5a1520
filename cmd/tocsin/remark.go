package main

import (
	"fmt"
	"strings"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// remarks are sentences of the server that people read in their language: the record and
// the API have them in English.
var remarks = []struct{ english, word string }{
	{event.LastsOn, "lasts-on"},
	{event.ClockGoesOn, "clock-goes-on"},
}

// remark shows a sentence of the server in the language of the reader, as far as it is
// known in it.
func (e *environment) remark(message string) string {
	message = printable.Line(message)
	if e.lang != "zh" {
		return message
	}
	for _, r := range remarks {
		if before, ok := strings.CutSuffix(message, r.english); ok {
			return strings.ReplaceAll(before, "; ", "；") + e.word(r.word)
		}
	}
	return message
}

// details prints the faults and warnings of an answer.
func (e *environment) details(lists ...[]fault.Detail) {
	for _, list := range lists {
		for _, d := range list {
			fmt.Fprintf(e.out, "    %s: %s\n", d.Path, e.remark(d.Message))
		}
	}
}
