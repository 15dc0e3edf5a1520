package event

import (
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/fault"
)

// Names differ in their case: "Data" is not data. Such a name is one fault, and says
// which name is meant; what it stands for is not missing as well.

const unknownField = "is not a field of this report: remove it, or correct its name"

// meant returns the attribute, or data, that a name is but for its case.
func meant(name string) (string, bool) {
	lower := strings.ToLower(name)
	known := slices.Contains(coreAttributes, lower) || lower == "data" || lower == "data_base64"
	return lower, known && lower != name
}

// checkCase notes members whose names are right but for their case, and takes them out
// of those that are checked further.
func (e *envelope) checkCase(f *faults) {
	e.given = slices.DeleteFunc(e.given, func(n node) bool {
		right, wrong := meant(n.name)
		if wrong {
			f.add(appendName("$", n.name), "must be written %q: names differ in their case", right)
			e.named = append(e.named, strings.TrimSuffix(right, "_base64"))
		}
		return wrong
	})
}

// joinCase makes one fault of a field that is unknown and another that is missing, where
// only the case tells them apart.
func joinCase(list []fault.Detail) []fault.Detail {
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
