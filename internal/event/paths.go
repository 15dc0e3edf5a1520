package event

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// ReportPaths are the facts that a report may contain, by the paths under which an
// incident keeps them ("cause", "facts.outage"), sorted. Members that describe the report
// itself, or only group others, are left out.
var ReportPaths = pathsOfReport()

// CheckReportPath returns an error unless a path is one of ReportPaths.
func CheckReportPath(path string) error {
	if !slices.Contains(ReportPaths, path) {
		return fmt.Errorf("is no item of a report: want paths such as cause or facts.directLoss, got %q", path)
	}
	return nil
}

func pathsOfReport() []string {
	paths := make(map[string]bool)
	for prefix, t := range map[string]reflect.Type{"": reflect.TypeFor[Report](), "facts.": reflect.TypeFor[Facts]()} {
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			paths[prefix+name] = true
		}
	}
	for _, no := range []string{"facts", "facts.named", "containsNoStateSecrets", "imported", "stages", "reason", "duplicateOf"} {
		delete(paths, no)
	}
	return slices.Sorted(maps.Keys(paths))
}
