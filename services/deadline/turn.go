package deadline

import (
	"strings"

	"github.com/tocsin-project/tocsin/internal/event"
)

// operatorOf returns the operator of a timer, as a token; empty if the name is not one of
// ours.
func operatorOf(in event.Stored) string {
	name := strings.Split(event.TimerName(in.Subject), ".")
	switch {
	case len(name) > 2 && name[0] == timerEscalation:
		return name[2]
	case len(name) > 1:
		return name[1]
	}
	return ""
}

// timersOf returns the subjects of all timers of an operator.
func timersOf(operator string) []string {
	if operator == "" {
		return nil
	}
	var out []string
	for _, name := range []string{timerElapsed + "." + operator + ".>", timerReminder + "." + operator + ".>", timerEscalation + ".*." + operator + ".>"} {
		out = append(out, event.TimerSubject(name), event.DueSubject(name))
	}
	return out
}

// statutory is added to the rank of what the law demands; the house's targets come after
// it.
const statutory = 10

// rankOf orders one operator's timers that are due at once: what the law demands first,
// the gravest incidents first among them.
func rankOf(in event.Stored) int {
	body, err := event.Decode[struct {
		Grade    event.Grade `json:"grade"`
		Citation string      `json:"citation"`
		Forward  string      `json:"forward"`
	}](in)
	if err != nil {
		return 0
	}
	rank := int(body.Grade)
	if body.Citation != "" || body.Forward != "" || strings.HasPrefix(event.TimerName(in.Subject), timerElapsed+".") {
		rank += statutory
	}
	return rank
}
