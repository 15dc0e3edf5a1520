package ledger

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
)

// description is the OpenAPI document as served.
type description struct {
	t   *testing.T
	doc map[string]any
}

func (w *web) description() *description {
	resp, body := w.want("/openapi.json")
	require.Equal(w.t, "application/openapi+json", resp.Header.Get("Content-Type"))
	return &description{w.t, decoded[map[string]any](w.t, body)}
}

// each visits every object of the document with its JSON pointer.
func each(at string, v any, visit func(at string, object map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(at, v)
		for k, inner := range v {
			each(at+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(k), inner, visit)
		}
	case []any:
		for _, inner := range v {
			each(at+"/-", inner, visit)
		}
	}
}

// at returns what a JSON pointer refers to, or nil.
func (d *description) at(pointer string) any {
	var v any = d.doc
	for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "#/"), "/") {
		object, _ := v.(map[string]any)
		v = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
	}
	return v
}

// strict compiles the schema at a pointer so that unnamed fields are errors: every field
// of an answer must be described.
func (d *description) strict(pointer string) *jsonschema.Schema {
	d.t.Helper()
	raw, err := json.Marshal(d.doc)
	require.NoError(d.t, err)
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	require.NoError(d.t, err)
	each("#", doc, func(_ string, object map[string]any) {
		if _, ok := object["properties"]; ok && object["additionalProperties"] == true {
			object["additionalProperties"] = false
		}
	})
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	require.NoError(d.t, c.AddResource("http://example.com/openapi.json", doc))
	s, err := c.Compile("http://example.com/openapi.json" + pointer)
	require.NoError(d.t, err, pointer)
	return s
}

var templated = regexp.MustCompile(`\{([^}]*)\}`)

// The description is valid OpenAPI 3.1.
func TestOpenAPI_IsValid(t *testing.T) {
	t.Parallel()
	d := onWeb(t, nil).description()
	require.Regexp(t, `^3\.1\.\d+$`, d.doc["openapi"])
	require.NotEmpty(t, d.at("#/info/title"))
	require.NotEmpty(t, d.at("#/info/version"))
	refs := 0
	each("#", d.doc, func(at string, object map[string]any) {
		if ref, ok := object["$ref"].(string); ok {
			refs++
			require.NotNil(t, d.at(ref), "%s at %s", ref, at)
		}
	})
	require.Greater(t, refs, 20)
	meta, err := jsonschema.NewCompiler().Compile("https://json-schema.org/draft/2020-12/schema")
	require.NoError(t, err)
	schemas := d.at("#/components/schemas").(map[string]any)
	for name, s := range schemas {
		require.NoError(t, meta.Validate(s), name)
		d.strict("#/components/schemas/" + name)
	}

	ids := map[string]bool{}
	operations := 0
	for path, item := range d.at("#/paths").(map[string]any) {
		require.True(t, strings.HasPrefix(path, "/v1/"), path)
		require.NotContains(t, path, "...")
		for method, op := range item.(map[string]any) {
			require.Contains(t, []string{"get"}, method)
			operations++
			op := op.(map[string]any)
			id := op["operationId"].(string)
			require.False(t, ids[id], id)
			ids[id] = true
			require.NotEmpty(t, op["summary"], id)
			var want, got []string
			for _, m := range templated.FindAllStringSubmatch(path, -1) {
				want = append(want, m[1])
			}
			names := map[string]bool{}
			for _, p := range asList(op["parameters"]) {
				p := p.(map[string]any)
				name, in := p["name"].(string), p["in"].(string)
				require.False(t, names[in+name], "%s: %s twice", id, name)
				names[in+name] = true
				require.Contains(t, []string{"path", "query", "header"}, in)
				require.NotEmpty(t, p["description"], "%s: %s", id, name)
				require.NoError(t, meta.Validate(p["schema"]))
				if in == "path" {
					got = append(got, name)
					require.Equal(t, true, p["required"])
				}
			}
			require.ElementsMatch(t, want, got, path)
			responses := op["responses"].(map[string]any)
			require.Contains(t, responses, "200")
			require.Contains(t, responses, "503")
			for status, r := range responses {
				require.Regexp(t, `^[2345]\d\d$`, status)
				require.NotEmpty(t, r.(map[string]any)["description"], id)
				if status >= "400" {
					require.Equal(t, "#/components/schemas/Problem", d.at("#/paths/"+strings.ReplaceAll(path, "/", "~1")+"/get/responses/"+status+"/content/application~1problem+json/schema/$ref"))
				}
			}
		}
	}
	require.Equal(t, 10, operations)
}

func asList(v any) []any { l, _ := v.([]any); return l }

// Answers match the description, field by field: every operation, with a page of
// everything.
func TestOpenAPI_DescribesEveryAnswer(t *testing.T) {
	t.Parallel()
	w := onWeb(t, nil)
	sample(t, w.env)
	several(t, w.env)
	d := w.description()
	for path, asked := range map[string]string{
		"/v1/escalations":                     "/v1/escalations",
		"/v1/incidents":                       "/v1/incidents",
		"/v1/stats":                           "/v1/stats?by=statute",
		"/v1/incidents/{operator}/{incident}": "/v1/incidents/grid-east/x",
		"/v1/log":                             "/v1/log",
		"/v1/log/records/{record}":            "/v1/log/records/1",
	} {
		content := "#/paths/" + strings.ReplaceAll(path, "/", "~1") + "/get/responses/200/content/"
		_, body := w.want(asked)
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, d.strict(content+"application~1json/schema").Validate(instance), "%s", body)
		if d.at(content+"application~1jsonl") == nil {
			continue
		}
		line := d.strict(content + "application~1jsonl/schema")
		_, body = w.want(asked, "Accept", "application/jsonl")
		require.NotEmpty(t, body)
		for text := range strings.Lines(body) {
			instance, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			require.NoError(t, err)
			require.NoError(t, line.Validate(instance), text)
		}
		require.NotNil(t, d.at(content+"text~1csv/schema"))
	}
	problem := d.strict("#/components/schemas/Problem")
	for _, path := range []string{"/v1/escalations?cursor=x", "/v1/none", "/v1/incidents/a/b", "/v1/stats"} {
		resp, body := w.get(path)
		require.GreaterOrEqual(t, resp.StatusCode, 400)
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, problem.Validate(instance), body)
	}
	// The check can fail.
	row := d.strict("#/components/schemas/EscalationRow")
	require.Error(t, row.Validate(map[string]any{"escalation": "a"}))
}

// The description lists the words of the vocabulary.
func TestOpenAPI_ListsTheVocabulary(t *testing.T) {
	t.Parallel()
	d := onWeb(t, nil).description()
	listed := func(path, name string) []string {
		for _, p := range asList(d.at("#/paths/" + strings.ReplaceAll(path, "/", "~1") + "/get/parameters")) {
			if p := p.(map[string]any); p["name"] == name {
				var out []string
				for _, v := range asList(p["schema"].(map[string]any)["enum"]) {
					out = append(out, v.(string))
				}
				return out
			}
		}
		return nil
	}
	var grades []string
	for _, g := range append(slices.Clone(event.Grades), event.Ungraded) {
		grades = append(grades, g.String())
	}
	for _, path := range []string{"/v1/escalations", "/v1/incidents", "/v1/stats"} {
		require.Equal(t, grades, listed(path, "grade"), path)
	}
	require.Equal(t, api.StatsDimensions, listed("/v1/stats", "by"))
	require.Contains(t, d.at("#/paths/~1v1~1escalations/get/responses/200/content"), "text/event-stream")
	require.NotContains(t, d.at("#/components/schemas/QueryAnswer/properties"), "errors")
}
