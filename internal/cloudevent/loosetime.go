package cloudevent

import (
	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// strictTimeOf applies event.StrictTimeOf to a string.
func strictTimeOf(n *document.Node) (strict string, ok bool) {
	if n.Type != document.TypeString {
		return "", false
	}
	return event.StrictTimeOf(n.Name, n.Text)
}

// warnOfTimes warns of each time of the data that is not in the strict form.
func warnOfTimes(warnings []fault.Detail, path string, data document.Value) []fault.Detail {
	for i := range data { // nearly always none is found
		if _, found := strictTimeOf(&data[i]); found {
			return appendLooseTimes(warnings, path, data)
		}
	}
	return warnings
}

func appendLooseTimes(warnings []fault.Detail, path string, v document.Value) []fault.Detail {
	if len(v) == 0 {
		return warnings
	}
	if strict, ok := strictTimeOf(&v[0]); ok {
		return append(warnings, looseTime(path, v[0].Text, strict))
	}
	i := 0
	for e := range v.Entries {
		at := document.AppendIndex(path, i)
		if v.Type() == document.TypeObject {
			at = document.AppendName(path, e[0].Name)
		}
		warnings = appendLooseTimes(warnings, at, e)
		i++
	}
	return warnings
}

func looseTime(path, given, strict string) fault.Detail {
	return fault.Detail{Path: path, Message: "is written as " + given + " and counts as " + strict + ": write T and Z in capitals, and no leap second"}
}
