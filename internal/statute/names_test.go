package statute

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"

	"github.com/tocsin-project/tocsin/internal/statute/site"
)

// Every item, fact and value has a name in both languages, and nothing else has.
func TestNames_AreThoseOfReports(t *testing.T) {
	want := slices.Concat(event.ReportPaths, []string{
		"facts", "facts.defacement.reposts", "facts.defacement.views", "facts.defacement.finding",
		"scope.overall", "scope.main-function", "page.home", "page.other", "level.province", "level.prefecture",
	})
	for kind, values := range map[string][]string{
		"owner": site.Owners, "siteLevel": site.Levels, "size": site.Sizes,
		"word": slices.Concat(seriousness, wideness[1:], kindsOfIncident),
	} {
		for _, v := range values {
			if v != "" {
				want = append(want, kind+"."+v)
			}
		}
	}
	slices.Sort(want)
	require.Equal(t, want, slices.Sorted(maps.Keys(names())))
	for path, name := range names() {
		require.NotEmpty(t, name.ZH, path)
		require.NotEmpty(t, name.EN, path)
	}
	for _, f := range facts {
		require.Contains(t, names(), f.path)
	}
	require.Equal(t, Text{"facts.weather", "facts.weather"}, NameOf("facts.weather"))
}
