package cloudevent

import (
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/fault"
)

// Names are case-sensitive: "Data" is not data. A name in the wrong case is one fault,
// which gives the right name; the field of the right name is not reported as missing as
// well.

const unknownField = "is not a field of this report: remove it, or correct its name"

// lowerCaseName returns the attribute, or data, that differs from a name only in case.
func lowerCaseName(name string) (string, bool) {
	lower := strings.ToLower(name)
	known := slices.Contains(coreAttributes, lower) || lower == "data" || lower == "data_base64"
	return lower, known && lower != name
}

// checkCase adds a fault for each member whose name differs from a known one only in
// case, and removes it from further checks.
func (e *envelope) checkCase(f *faults) {
	e.given = slices.DeleteFunc(e.given, func(n node) bool {
		right, wrong := lowerCaseName(n.name)
		if wrong {
			f.add(appendName("$", n.name), "must be written %q: names differ in their case", right)
			e.named = append(e.named, strings.TrimSuffix(right, "_base64"))
		}
		return wrong
	})
}

// mergeCaseFaults merges the faults of an unknown field and of a missing one whose names differ
// only in case.
func mergeCaseFaults(list []fault.Detail) []fault.Detail {
	for i := range list {
		if list[i].Message != unknownField {
			continue
		}
		missing := slices.IndexFunc(list, func(d fault.Detail) bool {
			return d.Message != unknownField && d.Path != list[i].Path && strings.EqualFold(d.Path, list[i].Path)
		})
		if missing >= 0 {
			right := list[missing].Path
			list[i].Message = "must be written " + right[strings.LastIndexByte(right, '.')+1:] + ": names differ in their case"
			list[missing].Path = "" // dropped below
		}
	}
	return slices.DeleteFunc(list, func(d fault.Detail) bool { return d.Path == "" })
}
