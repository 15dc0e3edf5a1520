package statute

import (
	"io/fs"
	"os"
	"path"
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

// A fact that is a number or a word is in the schema of reports, in the struct of facts
// and in the schema of packs. CONTRIBUTING.md says so.
func TestAddingAFact_TouchesThreeFiles(t *testing.T) {
	root := os.DirFS("../..")
	for _, name := range []string{"otherThreat", "systemLoss"} {
		var files []string
		for _, dir := range []string{"cmd", "internal", "schemas", "services"} {
			require.NoError(t, fs.WalkDir(root, dir, func(file string, d fs.DirEntry, err error) error {
				isCode := path.Ext(file) == ".go" && !strings.HasSuffix(file, "_test.go")
				if err != nil || d.IsDir() || !isCode && path.Ext(file) != ".json" {
					return err
				}
				raw, err := fs.ReadFile(root, file)
				if strings.Contains(strings.ToLower(string(raw)), strings.ToLower(name)) {
					files = append(files, file)
				}
				return err
			}))
		}
		require.Equal(t, []string{"internal/event/report.go", "schemas/report/common.v1.json", "schemas/statutes/pack.v1.json"}, files, name)
	}
}
