package event

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// ReportPaths are the facts that a report may tell, by the paths under which
// they are known of an incident ("cause", "facts.outage"), sorted. What speaks
// of the report itself, or only groups others, is none.
var ReportPaths = pathsOfReport()

func pathsOfReport() []string {
	paths := make(map[string]bool)
	for prefix, t := range map[string]reflect.Type{"": reflect.TypeFor[Report](), "facts.": reflect.TypeFor[Facts]()} {
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			paths[prefix+name] = true
		}
	}
	for _, no := range []string{"facts", "containsNoStateSecrets", "imported", "reason", "duplicateOf"} {
		delete(paths, no)
	}
	return slices.Sorted(maps.Keys(paths))
}
