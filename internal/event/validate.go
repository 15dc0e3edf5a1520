package event

import (
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/tocsin-project/tocsin/schemas"
)

const schemaBase = "https://tocsin-project.github.io/schemas/report/"

// reportSchemas compiles the embedded schemas, by CloudEvents type. It panics
// when they are not valid schemas, which a test rules out.
var reportSchemas = sync.OnceValue(func() map[string]*jsonschema.Schema {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.RegisterFormat(&jsonschema.Format{Name: "date-time", Validate: checkString(func(s string) error {
		_, err := parseInstant(s)
		return err
	})})
	c.RegisterFormat(&jsonschema.Format{Name: "duration", Validate: checkString(func(s string) error {
		_, err := ParseDuration(s)
		return err
	})})
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
	compiled := make(map[string]*jsonschema.Schema)
	for _, t := range ReportTypes {
		compiled[t] = c.MustCompile(schemaBase + strings.TrimPrefix(t, "tocsin.report.") + ".json")
	}
	return compiled
})

func checkString(check func(string) error) func(any) error {
	return func(v any) error {
		if s, ok := v.(string); ok {
			return check(s)
		}
		return nil
	}
}

// rfc3339 is the form of a date-time (RFC 3339, section 5.6), in upper case;
// that the day exists is for time.Parse to say.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// parseInstant reads an RFC 3339 time with zone. The years are bounded because
// records, indexes and clocks further on count nanoseconds in 64 bits.
func parseInstant(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	// The library also takes one-digit hours, a comma and zones of 24 hours.
	if err != nil || !rfc3339.MatchString(s) {
		return t, errors.New("must be an RFC 3339 date and time with a zone, such as 2025-11-01T08:30:00+08:00")
	}
	if t = t.UTC(); t.Year() < 1970 || t.Year() > 2200 {
		return t, errors.New("must lie between the years 1970 and 2200")
	}
	return t, nil
}

// checkData adds every fault of the data of a report of the given type; path
// is where the data stands.
func checkData(f *faults, path, reportType string, data any) {
	err := reportSchemas()[reportType].Validate(data)
	if invalid := (*jsonschema.ValidationError)(nil); errors.As(err, &invalid) {
		(&schemaFaults{faults: f, root: path, data: data}).add(invalid)
	}
	report, _ := data.(map[string]any)
	facts, _ := report["facts"].(map[string]any)
	path = appendName(path, "facts")
	outages, _ := facts["outage"].([]any)
	for i, o := range outages {
		checkTimes(f, appendIndex(appendName(path, "outage"), i), o)
	}
	checkTimes(f, appendName(path, "siteUnreachable"), facts["siteUnreachable"])
	checkTimes(f, appendName(path, "defacement"), facts["defacement"])
	checkShares(f, appendName(path, "populationShare"), facts["populationShare"])
}

// checkTimes refuses an end before its beginning. What is not a time at all,
// the schema has refused.
func checkTimes(f *faults, path string, v any) {
	times, _ := v.(map[string]any)
	since, _ := times["since"].(string)
	until, _ := times["until"].(string)
	if since == "" || until == "" {
		return
	}
	begin, err1 := parseInstant(since)
	end, err2 := parseInstant(until)
	if err1 == nil && err2 == nil && end.Before(begin) {
		f.add(appendName(path, "until"), "must not be before since")
	}
}

// checkShares refuses two shares for one region, which would contradict each
// other.
func checkShares(f *faults, path string, v any) {
	list, _ := v.([]any)
	seen := make(map[[2]string]int)
	for i, entry := range list {
		share, _ := entry.(map[string]any)
		level, _ := share["level"].(string)
		region, ok := share["region"].(string)
		if !ok {
			continue
		}
		if first, twice := seen[[2]string{level, region}]; twice {
			f.add(appendName(appendIndex(path, i), "region"), "is given twice: see entry %d", first)
			continue
		}
		seen[[2]string{level, region}] = i
	}
}

// schemaFaults turns the tree of a validation error into faults that an
// operator can act on.
type schemaFaults struct {
	*faults
	root string
	data any
}

const besideDuration = "must not stand beside duration: give since, with until once it has ended, or duration"

// Some rules of the schemas take several keywords to write; what they mean
// together is said here, by the end of the keyword's location. A name is the
// member that the fault belongs to.
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
			s.faults.add(appendName(path, name), "is not a field of this report: remove it, or correct its name")
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

// path writes a location, in which only the data tells an index from a name.
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

// explain says in words what a failed keyword demands.
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

// oneOfTypes names the wanted types. An object beside a plain value is a
// bound; that null is allowed too helps nobody who sent something else.
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
