package cloudevent

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

const minimalData = `{"facilities":["dispatch"],"discoveredAt":"2025-11-01T08:30:00+08:00","containsNoStateSecrets":true}`

const fullData = `{
 "about":"incident","facilities":["dispatch"],"discoveredAt":"2025-11-01T08:30:00+08:00",
 "occurredAt":"2025-11-01T08:00:00+08:00","kind":"network-attack","title":"调度系统中断","ownGrade":"major",
 "place":{"region":"310000","address":"上海"},"contact":{"post":"值班长","phone":"021-12345678"},
 "containsNoStateSecrets":true,"crimeSuspected":true,
 "facts":{"outage":[{"facility":"dispatch","scope":"overall","since":"2025-11-01T08:00:00+08:00"}],
  "peopleAffected":{"atLeast":100000},"personalInformationPersons":null,
  "populationShare":[{"level":"province","region":"310000","share":0.3}],
  "directLoss":{"amount":{"atLeast":5e6},"currency":"CNY"},"systemLoss":"serious"},
 "impact":"调度中断，影响供电","measures":"已切换备用系统","cause":"初步分析为勒索软件",
 "attachments":[{"name":"log.txt","mediaType":"text/plain","size":1e3,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]
}`

const head = `"specversion":"1.0","id":"r-1","source":"urn:tocsin:operator:grid-east","type":"tocsin.report.initial.v1","subject":"inc-1"`

const fullEvent = `{` + head + `,"time":"2025-11-01T08:45:00.5+08:00","datacontenttype":"application/json","data":` + fullData + `}`

func withData(data string) string { return `{` + head + `,"data":` + data + `}` }

// requireFaults checks that err carries exactly these faults, each as its path,
// a space and a part of its message, in order.
func requireFaults(t *testing.T, err error, want ...string) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, fault.Reject, fault.KindOf(err))
	got := fault.DetailsOf(err)
	text := fmt.Sprintf("%q", got)
	require.Len(t, got, len(want), text)
	for i, w := range want {
		path, message, _ := strings.Cut(w, " ")
		require.Equal(t, path, got[i].Path, text)
		require.Contains(t, got[i].Message, message, text)
	}
}

func TestParse(t *testing.T) {
	e, err := Parse([]byte("\n" + fullEvent + "\n"))
	require.NoError(t, err)
	require.Equal(t, "r-1", e.ID)
	require.Equal(t, "urn:tocsin:operator:grid-east", e.Source)
	require.Equal(t, event.TypeInitial, e.Type)
	require.Equal(t, "inc-1", e.Subject)
	require.Equal(t, time.Date(2025, 11, 1, 0, 45, 0, 5e8, time.UTC), e.Time)
	require.Equal(t, fullData, string(e.Data))
	require.Equal(t, fullEvent, string(e.Raw))
	digest, err := evidence.CanonicalDigest([]byte(fullData))
	require.NoError(t, err)
	require.Equal(t, digest, e.Digest)
	require.Equal(t, event.Number{Value: 100000, AtLeast: true}, *e.Report.Facts.PeopleAffected)
	require.Nil(t, e.Report.Facts.PersonalInformationPersons)
	require.Equal(t, event.Major, e.Report.OwnGrade)
	require.Equal(t, float64(1000), e.Report.Attachments[0].Size)
	require.Equal(t, "调度系统中断", e.Report.Title)
}

func TestParse_KeepsItsOwnBytes(t *testing.T) {
	raw := []byte(withData(minimalData))
	e, err := Parse(raw)
	require.NoError(t, err)
	clear(raw)
	require.Equal(t, minimalData, string(e.Data))
	require.True(t, e.Time.IsZero())
	require.Equal(t, event.AboutIncident, e.Report.About)
}

func TestParse_Base64(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte(" " + minimalData + "\n"))
	e, err := Parse([]byte(`{"data_base64": "` + encoded + `" ,` + head + `}`))
	require.NoError(t, err)
	require.Equal(t, minimalData, string(e.Data))
	require.Equal(t, `{"data":`+minimalData+` ,`+head+`}`, string(e.Raw))
	again, err := Parse(e.Raw)
	require.NoError(t, err)
	require.Equal(t, e, again)
}

func TestParse_Accepts(t *testing.T) {
	for name, raw := range map[string]string{
		"unset attributes":  `{` + head + `,"time":null,"dataschema":null,"data_base64":null,"data":` + minimalData + `}`,
		"extensions":        `{` + head + `,"traceparent":"00-1","n":-5,"flag":true,"data":` + minimalData + `}`,
		"JSON by suffix":    `{` + head + `,"datacontenttype":"application/vnd.x+json; charset=utf-8","data":` + minimalData + `}`,
		"source as path":    strings.Replace(withData(minimalData), "urn:tocsin:operator:grid-east", "/operators/grid-east?x=%20", 1),
		"surrogate pair":    withData(strings.Replace(minimalData, `{`, `{"title":"\ud83d\ude00\u8c03",`, 1)),
		"escaped name":      withData(strings.Replace(minimalData, `{`, `{"\u0074itle":"x",`, 1)),
		"integer as 1.5e1":  withData(strings.Replace(minimalData, `{`, `{"facts":{"peopleAffected":1.5e1},`, 1)),
		"integer as 5.0":    withData(strings.Replace(minimalData, `{`, `{"facts":{"peopleAffected":{"atLeast":5.0}},`, 1)),
		"nothing but a tab": withData(strings.Replace(minimalData, `{`, `{"other":"\t",`, 1)),
	} {
		_, err := Parse([]byte(raw))
		require.NoError(t, err, name)
	}
}

func TestParse_Syntax(t *testing.T) {
	tests := []struct {
		name, raw string
		want      []string
	}{
		{"empty", " ", []string{"$ is empty"}},
		{"no object", `[1]`, []string{"$ must be a JSON object"}},
		{"trailing bytes", withData(minimalData) + "{}", []string{"$ has 2 more bytes behind its end"}},
		{"trailing vertical tab", withData(minimalData) + "\v", []string{"$ has 1 more bytes behind its end"}},
		{"duplicate attribute", `{` + head + `,"id":"r-2","data":` + minimalData + `}`, []string{"$.id is given twice"}},
		{"duplicate by escape", `{` + head + `,"\u0069d":"r-2","data":` + minimalData + `}`, []string{"$.id is given twice"}},
		{"duplicate deep down", withData(`{"facts":{"outage":[{"scope":"overall","duration":"PT1H","scope":"overall"}]},` + minimalData[1:]),
			[]string{"$.data.facts.outage[0].scope is given twice"}},
		{"duplicate, then broken", `{"id":"1","id":"2",`, []string{"$ does not end", "$.id is given twice"}},
		{"invalid UTF-8", withData(`{"title":"` + "\xff" + `",` + minimalData[1:]), []string{"$.data.title is not valid UTF-8"}},
		{"lone surrogate", withData(`{"title":"\ud800x",` + minimalData[1:]), []string{`$.data.title contains a lone surrogate \ud800`}},
		{"surrogates in the wrong order", withData(`{"title":"\ude00\ud83d",` + minimalData[1:]),
			[]string{`$.data.title contains a lone surrogate \ude00`, `$.data.title contains a lone surrogate \ud83d`}},
		{"control character", withData("{\"title\":\"a\nb\"," + minimalData[1:]), []string{"$.data.title expecting non-control character"}},
		{"unknown escape", withData(`{"title":"\x",` + minimalData[1:]), []string{"$.data.title invalid escape sequence"}},
		{"two byte order marks", "\uFEFF\uFEFF" + withData(minimalData), []string{`$ invalid character '\ufeff' at start of value`}},
		{"number out of range", withData(`{"facts":{"peopleAffected":1e400},` + minimalData[1:]), []string{"$.data.facts.peopleAffected beyond the range"}},
		{"number with leading zero", withData(`{"facts":{"peopleAffected":01},` + minimalData[1:]), []string{"$.data.facts expecting ',' or '}'"}},
		{"incomplete number", withData(`{"facts":{"peopleAffected":1.},` + minimalData[1:]), []string{"$.data.facts.peopleAffected in number (expecting digit)"}},
		{"cut short", withData(minimalData)[:150], []string{"$.data.facilities[0] does not end"}},
		{"literal", withData(`nul`), []string{"$.data in literal null"}},
		{"too deep", withData(strings.Repeat("[", 64) + strings.Repeat("]", 64)), []string{"$.data" + strings.Repeat("[0]", 63) + " nested more than 64 deep"}},
		{"too many values", `{"x":[0` + strings.Repeat(",0", 20_000) + `]}`, []string{"$ has more than 20000 values"}},
		{"too large", `{"x":"` + strings.Repeat("x", MaxBytes) + `"}`, []string{"$ at most 262144 are taken"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.raw))
			requireFaults(t, err, tt.want...)
		})
	}
}

func TestParse_Attributes(t *testing.T) {
	replace := func(old, new string) string { return strings.Replace(fullEvent, old, new, 1) }
	add := func(member string) string { return `{` + member + `,` + fullEvent[1:] }
	tests := []struct {
		name, raw string
		want      []string
	}{
		{"nothing", `{}`, []string{"$.data is required", "$.id is required", "$.source is required", "$.specversion is required", "$.subject is required", "$.type is required"}},
		{"specversion", replace(`"1.0"`, `"0.3"`), []string{`$.specversion must be "1.0"`}},
		{"specversion as number", replace(`"1.0"`, `1.0`), []string{`$.specversion must be a string`}},
		{"empty id", replace(`"r-1"`, `""`), []string{"$.id must not be empty"}},
		{"long id", replace(`r-1`, strings.Repeat("号", 257)), []string{"$.id at most 256 characters"}},
		{"id with control", replace(`r-1`, `r\u0000`), []string{"$.id control characters"}},
		{"null id", replace(`"r-1"`, `null`), []string{"$.id is required"}},
		{"source with space", replace(`urn:tocsin:operator:grid-east`, `grid east`), []string{"$.source must be a URI-reference"}},
		{"source in Chinese", replace(`urn:tocsin:operator:grid-east`, `电网`), []string{"$.source must be a URI-reference"}},
		{"source with bad escape", replace(`grid-east`, `%zz`), []string{"$.source must be a URI-reference"}},
		{"source like a scheme", replace(`urn:tocsin:operator:grid-east`, `1a:b`), []string{"$.source must be a URI-reference"}},
		{"type", replace(`initial.v1`, `initial.v2`), []string{"$.type must be one of tocsin.report.initial.v1, tocsin.report.progress.v1, tocsin.report.final.v1, tocsin.report.withdrawal.v1"}},
		{"no subject", replace(`,"subject":"inc-1"`, ``), []string{"$.subject is required"}},
		{"time without zone", replace(`08:45:00.5+08:00`, `08:45:00.5`), []string{"$.time must be an RFC 3339"}},
		{"time with space", replace(`01T08:45:00.5`, `01 08:45:00.5`), []string{"$.time must be an RFC 3339"}},
		{"time in no year of ours", replace(`2025-11-01T08:45`, `0001-11-01T08:45`), []string{"$.time between the years 1970 and 2200"}},
		{"time as number", replace(`"2025-11-01T08:45:00.5+08:00"`, `5`), []string{"$.time must be a string"}},
		{"XML", replace(`application/json`, `application/xml`), []string{"$.datacontenttype must be a JSON media type"}},
		{"relative dataschema", add(`"dataschema":"x"`), []string{"$.dataschema must be an absolute URI"}},
		{"upper-case extension", add(`"traceParent":"x"`), []string{"$.traceParent lower-case letters and digits"}},
		{"odd extension", add(`"a-b":"x"`), []string{"$['a-b'] lower-case letters and digits"}},
		{"empty extension", add(`"":"x"`), []string{"$[''] lower-case letters and digits"}},
		{"quoted extension", add(`"it's\n":"x"`), []string{`$['it\'s\u000a'] lower-case letters and digits`}},
		{"object extension", add(`"ext":{}`), []string{"$.ext no list or object"}},
		{"list extension", add(`"ext":[]`), []string{"$.ext no list or object"}},
		{"fraction extension", add(`"ext":1.5`), []string{"$.ext whole number of 32 bits"}},
		{"large extension", add(`"ext":2147483648`), []string{"$.ext whole number of 32 bits"}},
		{"data beside data_base64", add(`"data_base64":"e30="`), []string{"$.data_base64 must not be given together with data"}},
		{"data_base64 as object", `{` + head + `,"data_base64":{}}`, []string{"$.data_base64 must be a string"}},
		{"data_base64 malformed", `{` + head + `,"data_base64":"%"}`, []string{"$.data_base64 is not base64"}},
		{"data_base64 not JSON", `{` + head + `,"data_base64":"YWJj"}`, []string{"$.data_base64 is not JSON at byte 0"}},
		{"data_base64 bad report", `{` + head + `,"data_base64":"e30="}`,
			[]string{"$.data.containsNoStateSecrets is required", "$.data.discoveredAt is required", "$.data.facilities is required"}},
		{"data null", withData(`null`), []string{"$.data must be an object, not null"}},
		{"data string", withData(`"{}"`), []string{"$.data must be an object, not a string"}},
		{"everything at once", strings.NewReplacer(`"r-1"`, `""`, `"dispatch"],"disc`, `""],"title":"x","disc`, `"inc-1"`, `7`).Replace(fullEvent),
			[]string{"$.data.facilities[0] must not be empty", "$.data.title is given twice", "$.id must not be empty", "$.subject must be a string"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.raw))
			requireFaults(t, err, tt.want...)
		})
	}
}

// A refusal always stays small enough for a message.
func TestParse_BoundsItsFaults(t *testing.T) {
	var b strings.Builder
	for i := range 15000 {
		fmt.Fprintf(&b, `"X%d":0,`, i)
	}
	_, err := Parse([]byte(`{` + b.String() + head + `,"data":` + minimalData + `}`))
	list := fault.DetailsOf(err)
	require.Len(t, list, 501)
	require.Equal(t, "has 14500 more faults that are not listed", list[500].Message)

	_, err = Parse([]byte(withData(`{"` + strings.Repeat("长", 50000) + `":1,` + minimalData[1:])))
	require.Less(t, len(err.Error()), 1000)
}

func TestDigestIgnoresFormatting(t *testing.T) {
	for _, other := range []string{
		`{"containsNoStateSecrets": true, "discoveredAt":"2025-11-01T08:30:00+08:00", "facilities":["dispatch"]}`,
		`{"facilities":["\u0064ispatch"],"discoveredAt":"2025-11-01T08:30:00+08:00","containsNoStateSecrets":true}`,
	} {
		a, err := Parse([]byte(withData(minimalData)))
		require.NoError(t, err)
		b, err := Parse([]byte(withData(other)))
		require.NoError(t, err)
		require.Equal(t, a.Digest, b.Digest)
	}
	_, err := evidence.CanonicalDigest([]byte(`{"a":1,"a":2}`))
	require.Error(t, err)
}

// genJSON draws a JSON value; names and strings come from all planes, because
// RFC 8785 orders names by UTF-16.
func genJSON(depth int) *rapid.Generator[string] {
	text := rapid.Custom(func(t *rapid.T) string {
		quoted, err := jsontext.AppendQuote(nil, rapid.String().Draw(t, "text"))
		require.NoError(t, err)
		return string(quoted)
	})
	number := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint(rapid.Float64().Draw(t, "number")) })
	scalars := []*rapid.Generator[string]{text, number, rapid.SampledFrom([]string{"true", "false", "null", "-0", "1E3", "0.10"})}
	if depth == 0 {
		return rapid.OneOf(scalars...)
	}
	list := rapid.Custom(func(t *rapid.T) string {
		return "[ " + strings.Join(rapid.SliceOfN(genJSON(depth-1), 0, 4).Draw(t, "list"), "\n, ") + "]"
	})
	object := rapid.Custom(func(t *rapid.T) string {
		var members []string
		for _, name := range rapid.SliceOfNDistinct(text, 0, 5, rapid.ID).Draw(t, "names") {
			members = append(members, name+" : "+genJSON(depth-1).Draw(t, "value"))
		}
		return "{" + strings.Join(members, " ,") + "}"
	})
	return rapid.OneOf(append(scalars, list, object)...)
}

func TestWalk_TakesAnyJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := genJSON(3).Draw(t, "json")
		var want any
		require.NoError(t, json.Unmarshal([]byte(text), &want))
		require.Equal(t, want, valueOf(t, text).Tree())
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(fullEvent)))
	raw := []byte(fullEvent)
	for b.Loop() {
		if _, err := Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseParts(b *testing.B) {
	raw := []byte(fullEvent)
	var f document.Faults
	tree := document.Walk(raw, "$", 0, &f).Read().Member("data")
	data := []byte(fullData)
	for name, part := range map[string]func(){
		"walk":   func() { w := document.Walk(raw, "$", 0, &f); w.Read(); w.Done() },
		"schema": func() { checkData(&f, "$.data", event.TypeInitial, tree) },
		"digest": func() { _, _ = evidence.CanonicalDigest(data) },
		"report": func() { _, _ = event.ParseReport(data) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				part()
			}
		})
	}
}
