package statute

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

// A criterion may name every fact of a report, and none that a report cannot contain.
func TestFacts_AreThoseOfReports(t *testing.T) {
	for _, path := range event.ReportPaths {
		if strings.HasPrefix(path, "facts.") {
			require.True(t, slices.ContainsFunc(facts, func(f fact) bool { return f.path == path }), "%s is not in the table of internal/statute/fact.go", path)
		}
	}
	for _, f := range facts {
		member := strings.Join(strings.SplitN(f.path, ".", 3)[:min(2, strings.Count(f.path, ".")+1)], ".")
		require.Contains(t, event.ReportPaths, member)
	}
}
