package document

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/schemas"
)

// testFormats are formats as reports have them.
var testFormats = map[string]func(string) error{
	"date-time": func(s string) error { _, err := time.Parse(time.RFC3339, s); return err },
	"duration": func(s string) error {
		if !strings.HasPrefix(s, "P") {
			return errors.New("want an ISO 8601 duration")
		}
		return nil
	},
}

// valueOf reads JSON that is without a fault.
func valueOf(t require.TestingT, text string) Value {
	var f Faults
	v := Walk([]byte(text), "$", 0, &f).Read()
	require.Empty(t, f.Details(), text)
	return v
}

// requireAgreement checks a result against the library. A value found valid is never
// shown to the library; one found invalid decides a condition.
func requireAgreement(t require.TestingT, p *matcher, s *jsonschema.Schema, v Value) result {
	said := p.match(v)
	err := s.Validate(v.Tree())
	wrong := said == valid && err != nil || said == invalid && err == nil
	require.False(t, wrong, "the matcher says %d, the library %v of %v", said, err, v.Tree())
	return said
}

// genSchema draws a schema, with keywords that matchers support and others.
func genSchema(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		names := rapid.SliceOfNDistinct(rapid.SampledFrom([]any{"a", "b", "c"}), 1, 3, rapid.ID)
		scalars := []any{nil, true, false, "", "a", "b", "é", "2025-11-01T08:30:00Z", "PT1H", -1, 0, 1.5, 3}
		schema := map[string]any{}
		sub := func(keyword string) any {
			if depth == 0 {
				return rapid.Bool().Draw(t, keyword)
			}
			return genSchema(depth-1).Draw(t, keyword)
		}
		subs := func(keyword string) any { return []any{sub(keyword), sub(keyword)} }
		for _, keyword := range rapid.SliceOfNDistinct(rapid.SampledFrom(strings.Fields(`type type types enum const minLength maxLength
			pattern format minimum maximum minItems maxItems uniqueItems items properties properties required additionalProperties
			allOf anyOf not if $ref $ref title bool exclusiveMinimum multipleOf oneOf prefixItems contains propertyNames minProperties
			patternProperties dependentRequired unevaluatedProperties`)), 0, 4, rapid.ID).Draw(t, "keywords") {
			switch keyword {
			case "bool":
				return rapid.Bool().Draw(t, "bool")
			case "type":
				schema["type"] = rapid.SampledFrom([]string{"null", "boolean", "number", "integer", "string", "array", "object"}).Draw(t, keyword)
			case "types":
				schema["type"] = rapid.SliceOfNDistinct(rapid.SampledFrom([]any{"null", "integer", "string", "array", "object"}), 1, 4, rapid.ID).Draw(t, keyword)
			case "enum":
				schema[keyword] = rapid.SliceOfNDistinct(rapid.SampledFrom(scalars), 1, 5, rapid.ID).Draw(t, keyword)
			case "const":
				schema[keyword] = rapid.SampledFrom(append(scalars, []any{}, map[string]any{})).Draw(t, keyword)
			case "minLength", "maxLength", "minItems", "maxItems", "minProperties":
				schema[keyword] = rapid.IntRange(0, 3).Draw(t, keyword)
			case "minimum", "maximum", "exclusiveMinimum", "multipleOf":
				schema[keyword] = json.Number(rapid.SampledFrom([]string{"1", "0.1", "3", "1e3", "9007199254740991", "9007199254740993", "1e400"}).Draw(t, keyword))
			case "pattern":
				schema[keyword] = rapid.SampledFrom([]string{`^[ab]{1}$`, `\S`, `é`}).Draw(t, keyword)
			case "format":
				schema[keyword] = rapid.SampledFrom([]string{"date-time", "duration", "email"}).Draw(t, keyword)
			case "uniqueItems":
				schema[keyword] = true
			case "required":
				schema[keyword] = names.Draw(t, keyword)
			case "properties", "patternProperties":
				properties := map[string]any{}
				for _, name := range names.Draw(t, keyword) {
					properties[name.(string)] = sub(keyword)
				}
				schema[keyword] = properties
			case "dependentRequired":
				schema[keyword] = map[string]any{"a": names.Draw(t, keyword)}
			case "allOf", "anyOf", "oneOf", "prefixItems":
				schema[keyword] = subs(keyword)
			case "if":
				schema["if"], schema["then"] = sub("if"), sub("then")
				if rapid.Bool().Draw(t, "with else") {
					schema["else"] = sub("else")
				}
			case "$ref":
				schema[keyword] = rapid.SampledFrom([]string{"#", "#/$defs/a", "#/$defs/b"}).Draw(t, keyword)
			case "title":
				schema[keyword] = "x"
			default:
				schema[keyword] = sub(keyword)
			}
		}
		return schema
	})
}

// genValue draws a JSON value out of few, so that schemas accept some of them.
func genValue(depth int) *rapid.Generator[string] {
	scalar := rapid.SampledFrom(strings.Fields(`null true false "" "a" "b" "é" "aé" "abcd" "2025-11-01T08:30:00Z" "PT1H" "x@example.com"
		-0 0 1 3 0.1 1.5 1e3 1e21 1e-7 9007199254740991 9007199254740992 9007199254740994 1.7976931348623157e308 5e-324`))
	if depth == 0 {
		return scalar
	}
	return rapid.Custom(func(t *rapid.T) string {
		list := func() []string { return rapid.SliceOfN(genValue(depth-1), 0, 4).Draw(t, "list") }
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return scalar.Draw(t, "scalar")
		case 1:
			return "[" + strings.Join(list(), ",") + "]"
		default:
			members := list()
			for i := range members {
				members[i] = fmt.Sprintf("%q:%s", "abcd"[i:i+1], members[i])
			}
			return "{" + strings.Join(members, ",") + "}"
		}
	})
}

func compileSchema(t require.TestingT, text string) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	require.NoError(t, err)
	c := newCompiler(testFormats)
	require.NoError(t, c.AddResource("x:schema", doc))
	s, err := c.Compile("x:schema")
	require.NoError(t, err, text)
	return s
}

func TestMatcher(t *testing.T) {
	for _, tt := range []struct {
		schema, value string
		want          result
	}{
		{`{"type":["integer","null"]}`, `3.0`, valid},
		{`{"type":"integer"}`, `3.5`, invalid},
		{`{"enum":["a",null,true]}`, `null`, valid},
		{`{"enum":["a",null,true]}`, `false`, invalid},
		{`{"enum":["a",1]}`, `"a"`, uncertain},
		{`{"enum":["a"],"oneOf":[true,true]}`, `"a"`, uncertain},
		{`{"minimum":0.1}`, `0.1`, valid},
		{`{"minimum":9007199254740993}`, `9007199254740992`, uncertain}, // the bound is not a float64
		{`{"uniqueItems":true}`, `["a","b"]`, valid},
		{`{"uniqueItems":true}`, `["a","b","a"]`, invalid},
		{`{"uniqueItems":true}`, `[["a"],"a"]`, uncertain},
		{`{"uniqueItems":true}`, `["0"` + manyStrings(fewNames) + `]`, uncertain},
		{`{"not":{"type":"null"}}`, `1`, valid},
		{`{"not":{"multipleOf":2}}`, `1`, uncertain},
		{`{"anyOf":[{"multipleOf":2},{"type":"number"}]}`, `1`, valid},
		{`{"anyOf":[{"multipleOf":2},{"type":"null"}]}`, `1`, uncertain},
		{`{"if":{"multipleOf":2},"then":{"type":"number"},"else":{"type":"number"}}`, `1`, valid},
		{`{"if":{"multipleOf":2},"then":{"type":"number"}}`, `1`, valid},
		{`{"if":{"multipleOf":2},"else":{"type":"null"}}`, `1`, uncertain},
		{`{"required":["a"],"additionalProperties":false}`, `{"a":1}`, invalid},
		{`{"additionalProperties":{"type":"null"}}`, `{"a":null}`, valid},
		{`{"properties":{"b":{}},"additionalProperties":{"type":"null"}}`, `{"a":1,"b":1}`, invalid},
		{`{"format":"email"}`, `"x"`, uncertain},
		{`{"properties":{"a":{"$ref":"#"}}}`, `{"b":1}`, valid},
		{`{"properties":{"a":{"$ref":"#"}}}`, `{"a":{}}`, uncertain},
		{`{"$ref":"#"}`, `1`, uncertain},
		{`false`, `1`, uncertain},
	} {
		s := compileSchema(t, tt.schema)
		require.Equal(t, tt.want, requireAgreement(t, newMatchers(testFormats).matcher(s), s, valueOf(t, tt.value)), "%s: %.40s", tt.schema, tt.value)
	}
}

func manyStrings(n int) (list string) {
	for i := range n {
		list += fmt.Sprintf(`,"%d"`, i+1)
	}
	return list
}

func TestMatcher_AgreesWithTheLibrary(t *testing.T) {
	said := make(map[result]int)
	check := func(t *rapid.T) {
		root := map[string]any{"$defs": map[string]any{"a": genSchema(1).Draw(t, "a"), "b": genSchema(1).Draw(t, "b")}}
		if schema, ok := genSchema(2).Draw(t, "schema").(map[string]any); ok {
			maps.Copy(root, schema)
		}
		text, err := json.Marshal(root)
		require.NoError(t, err)
		s := compileSchema(t, string(text))
		p := newMatchers(testFormats).matcher(s)
		for range 20 {
			said[requireAgreement(t, p, s, valueOf(t, genValue(3).Draw(t, "value")))]++
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 10 {
			check(t)
		}
	})
	tried := said[invalid] + said[uncertain] + said[valid]
	for _, v := range []result{invalid, uncertain, valid} {
		require.Greater(t, said[v], tried/20, said)
	}
}

// The matchers of reports, which every report goes through, support every keyword.
func TestMatcher_SupportsTheSchemasOfReports(t *testing.T) {
	for _, name := range []string{"initial.v1.json", "progress.v1.json", "final.v1.json", "withdrawal.v1.json"} {
		m := newMatchers(testFormats)
		m.matcher(MustCompile(schemas.Reports, name, testFormats).compiled)
		require.Greater(t, len(m.made), 20, name)
		for schema, made := range m.made {
			require.False(t, made.incomplete, schema.Location)
		}
	}
}
