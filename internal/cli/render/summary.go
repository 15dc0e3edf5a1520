package render

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// labels are the words before the members of a summary that do not speak for themselves.
var labels = map[string]string{"acknowledgeBy": "target", "dueAt": "by", "next": "next-desk", "since": "since"}

// summary prints the members of a body that the table of kinds names, without those that
// are empty.
func (p *Printer) summary(kind event.Kind, body any) {
	for _, name := range kind.Summary {
		text := p.member(reflect.ValueOf(body).Elem(), name)
		switch label := labels[name]; {
		case text == "":
		case name == "reason":
			fmt.Fprintf(p.Out, ": %s", text)
		case name == "to":
			fmt.Fprintf(p.Out, "  → %s", text)
		case label != "":
			fmt.Fprintf(p.Out, "  %s %s", p.Word(label), text)
		default:
			fmt.Fprintf(p.Out, "  %s", text)
		}
	}
}

// member returns the text of the field with this JSON name.
func (p *Printer) member(body reflect.Value, name string) string {
	for i := range body.NumField() {
		tag, _, _ := strings.Cut(body.Type().Field(i).Tag.Get("json"), ",")
		if tag != name {
			continue
		}
		switch v := body.Field(i).Interface().(type) {
		case time.Time:
			return p.Time(&v)
		case *time.Time:
			if v == nil {
				return ""
			}
			return p.Time(v)
		case event.Grade:
			if v == event.Ungraded {
				return ""
			}
			return p.GradeName(v)
		case []string:
			return strings.Join(v, ", ")
		default:
			return printable.Line(fmt.Sprint(v))
		}
	}
	return ""
}
