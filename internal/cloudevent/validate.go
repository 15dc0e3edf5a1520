package cloudevent

import (
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/schemas"
)

const schemaBase = "https://tocsin-project.github.io/schemas/report/"

// reportSchema is a compiled schema, and the matcher made from it.
type reportSchema struct {
	schema  *jsonschema.Schema
	matcher *matcher
}

// formats are the formats of strings that the schemas use, as we define them.
var formats = map[string]func(string) error{
	"date-time": func(s string) error { _, err := event.ParseInstant(s); return err },
	"duration":  func(s string) error { _, err := event.ParseDuration(s); return err },
}

// reportSchemas returns the compiled embedded schemas by CloudEvents type. It panics when
// they are not valid schemas, which a test rules out.
var reportSchemas = sync.OnceValue(func() map[string]reportSchema {
	c := newCompiler()
	names, err := fs.Glob(schemas.Reports, "*.json")
	for _, name := range names {
		f, openErr := schemas.Reports.Open(name)
		if openErr != nil {
			panic(openErr)
		}
		doc, readErr := jsonschema.UnmarshalJSON(f)
		err = errors.Join(err, readErr, f.Close(), c.AddResource(schemaBase+name, doc))
	}
	if err != nil {
		panic(fmt.Errorf("report schemas: %w", err))
	}
	compiled := make(map[string]reportSchema)
	for _, t := range event.ReportTypes {
		s := c.MustCompile(schemaBase + strings.TrimPrefix(t, "tocsin.report.") + ".json")
		compiled[t] = reportSchema{s, make(matcherCache).matcher(s)}
	}
	return compiled
})

func newCompiler() *jsonschema.Compiler {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	for name, check := range formats {
		c.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(v any) error {
			if s, ok := v.(string); ok {
				return check(s)
			}
			return nil
		}})
	}
	return c
}

// checkData adds every fault of the data of a report of the given type; path is the path
// of the data.
func checkData(f *faults, path, reportType string, data value) {
	s := reportSchemas()[reportType]
	if s.matcher.match(data) != valid {
		tree := data.tree()
		if broken := (*jsonschema.ValidationError)(nil); errors.As(s.schema.Validate(tree), &broken) {
			(&schemaFaults{faults: f, root: path, data: tree}).add(broken)
			f.list = mergeCaseFaults(f.list)
		}
	}
	facts := data.member("facts")
	for i, outage := range facts.member("outage").items {
		if endsTooEarly(outage) {
			f.add(appendIndex(path+".facts.outage", i)+".until", endBeforeBeginning)
		}
	}
	for _, name := range []string{"siteUnreachable", "defacement"} {
		if endsTooEarly(facts.member(name)) {
			f.add(path+".facts."+name+".until", endBeforeBeginning)
		}
	}
	checkShares(f, path, facts.member("populationShare"))
}

const endBeforeBeginning = "must not be before since"

// endsTooEarly reports whether the end precedes the beginning. The schema has already
// refused values that are not times.
func endsTooEarly(times value) bool {
	since, until := times.member("since").str(), times.member("until").str()
	if since == "" || until == "" {
		return false
	}
	begin, err1 := event.ParseInstant(since)
	end, err2 := event.ParseInstant(until)
	return err1 == nil && err2 == nil && end.Before(begin)
}

// checkShares refuses two shares for one region, which would contradict each other.
func checkShares(f *faults, path string, list value) {
	seen := make(map[[2]string]int)
	for i, share := range list.items {
		region := share.member("region")
		if region.kind() != jsonString {
			continue
		}
		key := [2]string{share.member("level").str(), region.str()}
		if first, twice := seen[key]; twice {
			f.add(appendIndex(path+".facts.populationShare", i)+".region", "is given twice: see entry %d", first)
			continue
		}
		seen[key] = i
	}
}

// schemaFaults converts the tree of a validation error into faults that an operator can
// act on.
type schemaFaults struct {
	*faults
	root string
	data any
}

const besideDuration = "must not be given together with duration: give since, with until once it has ended, or duration"

// Some rules of the schemas take several keywords to express; this table gives their
// joint meaning, by the end of the keyword's location. A name is the member that the
// fault belongs to.
var composed = []struct{ location, name, message string }{
	{"/times/then/properties/since", "", besideDuration},
	{"/times/then/properties/until", "", besideDuration},
	{"/times/else", "since", "is required, unless duration is given"},
	{"/times/else/properties/since", "", "is required, unless duration is given"},
	{"/timesIfKnown/then/properties/since", "", besideDuration},
	{"/timesIfKnown/then/properties/until", "", besideDuration},
	{"/timesIfKnown/else/then", "since", "is required beside until"},
	{"/timesIfKnown/else/then/properties/since", "", "is required beside until"},
	{"/alsoReportedItem", "desk", "is required, unless name is given"},
	{"/withdrawal.v1.json#", "reason", "is required, unless cause or other says why the report is withdrawn"},
}

func (s *schemaFaults) add(e *jsonschema.ValidationError) {
	path := s.path(e.InstanceLocation)
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			if !s.addComposed(e.SchemaURL, path, name) {
				s.faults.add(appendName(path, name), "is required")
			}
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			s.faults.add(appendName(path, name), unknownField)
		}
	case *kind.AnyOf:
		s.addComposed(e.SchemaURL, path, "")
	case *kind.UniqueItems:
		s.faults.add(appendIndex(path, k.Duplicates[1]), "is given twice: see entry %d", k.Duplicates[0])
	default:
		if len(e.Causes) == 0 {
			if !s.addComposed(e.SchemaURL, path, "") {
				s.faults.add(path, "%s", explain(k))
			}
			return
		}
		for _, cause := range e.Causes {
			s.add(cause)
		}
	}
}

func (s *schemaFaults) addComposed(schemaURL, path, missing string) bool {
	for _, c := range composed {
		if !strings.HasSuffix(schemaURL, c.location) || (missing != "" && missing != c.name) {
			continue
		}
		if c.name != "" {
			path = appendName(path, c.name)
		}
		s.faults.add(path, "%s", c.message)
		return true
	}
	return false
}

// path renders a location. Only the data tells an index from a name.
func (s *schemaFaults) path(location []string) string {
	path, v := s.root, s.data
	for _, token := range location {
		switch parent := v.(type) {
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i >= len(parent) {
				return path
			}
			path, v = appendIndex(path, i), parent[i]
		case map[string]any:
			path, v = appendName(path, token), parent[token]
		}
	}
	return path
}

var patterns = map[string]string{
	"^[0-9]{6}$":        "must be a GB/T 2260 code of six digits",
	"^[A-Z]{3}$":        "must be an ISO 4217 code of three capital letters",
	"^[0-9a-fA-F]{64}$": "must be 64 hexadecimal digits",
}

// explain describes what a failed keyword demands.
func explain(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return "must be " + oneOfTypes(k.Want) + ", not " + typeNames[k.Got]
	case *kind.Enum:
		return "must be one of " + values(k.Want)
	case *kind.Const:
		return "must be " + values([]any{k.Want})
	case *kind.Format:
		return k.Err.Error()
	case *kind.Pattern:
		if s, ok := patterns[k.Want]; ok {
			return s
		}
		return "must match " + k.Want
	case *kind.MinLength:
		if k.Want == 1 {
			return "must not be empty"
		}
		return fmt.Sprintf("must have at least %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %d characters, not %d", k.Want, k.Got)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d entries, not %d", k.Want, k.Got)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d entries, not %d", k.Want, k.Got)
	case *kind.Minimum:
		return "must be ≥ " + decimal(k.Want)
	case *kind.Maximum:
		return "must be ≤ " + decimal(k.Want)
	default:
		return fmt.Sprintf("breaks the rule %s of its schema", strings.Join(k.KeywordPath(), "/"))
	}
}

func decimal(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}

var typeNames = map[string]string{
	"string": "a string", "number": "a number", "integer": "a whole number", "object": "an object",
	"array": "a list", "boolean": "true or false", "null": "null",
}

// oneOfTypes names the wanted types. An object beside a plain value is a bound. It leaves
// out null, which does not help a sender of another type.
func oneOfTypes(want []string) string {
	var words []string
	bound := false
	for _, t := range want {
		switch {
		case t == "null":
		case t == "object" && slices.ContainsFunc(want, func(t string) bool { return t != "object" && t != "null" }):
			bound = true
		default:
			words = append(words, typeNames[t])
		}
	}
	if bound {
		words = append(words, `{"atLeast": …}`)
	}
	return strings.Join(words, " or ")
}

func values(list []any) string {
	var words []string
	for _, v := range list {
		if v != nil {
			words = append(words, fmt.Sprint(v))
		}
	}
	return strings.Join(words, ", ")
}
