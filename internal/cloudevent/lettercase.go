package cloudevent

import (
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/document"
)

// lowerCaseName returns the attribute, or data, that differs from a name only in case.
func lowerCaseName(name string) (string, bool) {
	lower := strings.ToLower(name)
	known := slices.Contains(coreAttributes, lower) || lower == "data" || lower == "data_base64"
	return lower, known && lower != name
}

// checkCase adds a fault for each attribute whose name differs from a known one only in
// case, and removes it from further checks: the right name is not reported as missing too.
func (e *envelope) checkCase(f *document.Faults) {
	e.given = slices.DeleteFunc(e.given, func(n document.Node) bool {
		right, wrong := lowerCaseName(n.Name)
		if wrong {
			f.Add(document.AppendName("$", n.Name), "must be written %q: names differ in their case", right)
			e.named = append(e.named, strings.TrimSuffix(right, "_base64"))
		}
		return wrong
	})
}
