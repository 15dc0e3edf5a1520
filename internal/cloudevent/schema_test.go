package cloudevent

import (
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/schemas"
)

// valueOf reads JSON that is without a fault.
func valueOf(t require.TestingT, text string) document.Value {
	var f document.Faults
	v := document.Walk([]byte(text), "$", 0, &f).Read()
	require.Empty(t, f.Details(), text)
	return v
}

const schemaBase = "https://tocsin-project.github.io/schemas/report/"

// librarySchemas are the schemas of reports as the library alone compiles them.
var librarySchemas = sync.OnceValue(func() map[string]*jsonschema.Schema {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for name, check := range formats {
		c.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(v any) error {
			if s, ok := v.(string); ok {
				return check(s)
			}
			return nil
		}})
	}
	names, err := fs.Glob(schemas.Reports, "*.json")
	for _, name := range names {
		var raw []byte
		if raw, err = fs.ReadFile(schemas.Reports, name); err != nil {
			break
		}
		var doc any
		if doc, err = jsonschema.UnmarshalJSON(strings.NewReader(string(raw))); err != nil {
			break
		}
		if err = c.AddResource(schemaBase+name, doc); err != nil {
			break
		}
	}
	if err != nil {
		panic(err)
	}
	compiled := map[string]*jsonschema.Schema{}
	for _, t := range event.ReportTypes {
		compiled[t] = c.MustCompile(schemaBase + strings.TrimPrefix(t, "tocsin.report.") + ".json")
	}
	return compiled
})

// requireAgreement checks data against the schemas of all types: they refuse what the
// library refuses and nothing else, and what they accept can be read.
func requireAgreement(t require.TestingT, data document.Value) {
	text, err := json.Marshal(data.Tree())
	require.NoError(t, err)
	for reportType, library := range librarySchemas() {
		var f document.Faults
		reportSchemas()[reportType].Check(&f, "$.data", data)
		err := library.Validate(data.Tree())
		require.Equal(t, err != nil, f.Any(), "%s: %s: %v", reportType, text, err)
		_, unreadable := event.ParseReport(text)
		require.True(t, err != nil || unreadable == nil, "%s is accepted and cannot be read: %v", text, unreadable)
	}
}

// mutate replaces, removes or adds one part of a tree.
func mutate(t *rapid.T, tree any, with []string) any {
	switch node := tree.(type) {
	case map[string]any:
		if len(node) > 0 && rapid.IntRange(0, 9).Draw(t, "into") > 0 {
			name := rapid.SampledFrom(slices.Sorted(maps.Keys(node))).Draw(t, "name")
			if rapid.IntRange(0, 9).Draw(t, "remove") == 0 {
				delete(node, name)
			} else {
				node[name] = mutate(t, node[name], with)
			}
			return node
		}
		if rapid.Bool().Draw(t, "add") {
			name := rapid.SampledFrom([]string{"since", "until", "duration", "atLeast", "desk", "name", "reason", "cause", "x"}).Draw(t, "new")
			node[name] = valueOf(t, rapid.SampledFrom(with).Draw(t, "with")).Tree()
			return node
		}
	case []any:
		if len(node) > 0 && rapid.IntRange(0, 9).Draw(t, "into") > 0 {
			i := rapid.IntRange(0, len(node)-1).Draw(t, "entry")
			if rapid.IntRange(0, 9).Draw(t, "add") == 0 {
				return append(node, "dispatch", "dispatch")
			}
			node[i] = mutate(t, node[i], with)
			return node
		}
	}
	return valueOf(t, rapid.SampledFrom(with).Draw(t, "with")).Tree()
}

func TestReportSchemas_AgreeWithTheLibrary(t *testing.T) {
	with := strings.Fields(`null true false "" "\t" "x" "dispatch" "310000" "CNY" "PT6H" "P1Y" "2025-11-01T08:00:00+08:00"
		"2025-11-01T08:00:00" "1969-12-31T23:59:59Z" 0 -1 0.5 1.5 1e3 9007199254740991 9007199254740992 [] {} ["x"] {"atLeast":1}
		{"atLeast":"PT1H"} {"atLeast":null} {"class":"other"} {"desk":"d"} [{"desk":"d"}] [{"name":"n","at":null}] [{"scope":"overall","duration":"PT1H"}]
		{"class":"central","since":"2025-11-01T08:00:00Z"} {"currency":"USD","amount":3} "` + strings.Repeat("题", 501) + `" "` + strings.Repeat("x", 256) + `"`)
	rapid.Check(t, func(t *rapid.T) {
		tree := valueOf(t, strings.Replace(fullData, `"impact"`, `"ransom":{"amount":3,"method":"x"},"alsoReported":[{"name":"12387"}],"impact"`, 1)).Tree()
		for range rapid.IntRange(0, 4).Draw(t, "mutations") {
			tree = mutate(t, tree, with)
		}
		text, err := json.Marshal(tree)
		require.NoError(t, err)
		requireAgreement(t, valueOf(t, string(text)))
	})
}

func FuzzReportSchemas(f *testing.F) {
	f.Add([]byte(fullData))
	f.Add([]byte(minimalData))
	for _, tt := range dataFaults {
		f.Add([]byte(minimalData[:len(minimalData)-1] + "," + tt.members + "}"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var found document.Faults
		w := document.Walk(data, "$.data", 1, &found)
		if v := w.Read(); !found.Any() {
			requireAgreement(t, v)
		}
	})
}
