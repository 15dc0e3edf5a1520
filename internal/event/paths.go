package event

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// ReportPaths are the facts that a report may contain, by the paths under which an
// incident keeps them ("cause", "facts.outage"), sorted. Members that describe the report
// itself, or only group others, are left out.
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
