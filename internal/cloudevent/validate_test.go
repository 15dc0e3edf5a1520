package cloudevent

import (
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/schemas"
)

// eventWith returns an event of the given type whose data is a valid report
// with the members added.
func eventWith(reportType, members string) []byte {
	data := `"containsNoStateSecrets":true`
	switch reportType {
	case event.TypeInitial:
		data = minimalData[1 : len(minimalData)-1]
	case event.TypeWithdrawal:
		data += `,"reason":"false-alarm"`
	}
	if members != "" {
		data += "," + members
	}
	return []byte(strings.Replace(withData(`{`+data+`}`), event.TypeInitial, reportType, 1))
}

func TestParse_DataOfEachType(t *testing.T) {
	for _, reportType := range event.ReportTypes {
		e, err := Parse(eventWith(reportType, ""))
		require.NoError(t, err, reportType)
		require.True(t, e.Report.ContainsNoStateSecrets)
		_, err = Parse([]byte(strings.Replace(withData(`{}`), event.TypeInitial, reportType, 1)))
		switch reportType {
		case event.TypeInitial:
			requireFaults(t, err, "$.data.containsNoStateSecrets is required", "$.data.discoveredAt is required", "$.data.facilities is required")
		case event.TypeWithdrawal:
			requireFaults(t, err, "$.data.containsNoStateSecrets is required", "$.data.reason is required: say why the report is withdrawn, here or in cause or other")
		default:
			requireFaults(t, err, "$.data.containsNoStateSecrets is required")
		}
	}
}

// Every optional field may be null: in a progress report that makes a fact unknown again,
// and in the others it means the same as its absence.
func TestParse_NullMakesAFactUnknown(t *testing.T) {
	for _, reportType := range event.ReportTypes {
		var schema struct {
			Properties map[string]any `json:"properties"`
			Required   []string       `json:"required"`
		}
		readSchema(t, strings.TrimPrefix(reportType, "tocsin.report.")+".json", &schema)
		for field := range schema.Properties {
			if slices.Contains(schema.Required, field) || field == "facts" || field == "reason" {
				continue
			}
			_, err := Parse(eventWith(reportType, `"`+field+`":null`))
			require.NoError(t, err, "%s: %s", reportType, field)
		}
		var common struct {
			Defs map[string]struct {
				Properties map[string]any `json:"properties"`
			} `json:"$defs"`
		}
		readSchema(t, "common.v1.json", &common)
		for fact := range common.Defs["facts"].Properties {
			_, err := Parse(eventWith(reportType, `"facts":{"`+fact+`":null}`))
			require.NoError(t, err, "%s: facts.%s", reportType, fact)
		}
	}
}

func TestParse_AcceptsData(t *testing.T) {
	const since = `"since":"2025-11-01T08:00:00+08:00"`
	const until = `"until":"2025-11-01T00:00:00Z"`
	for _, members := range []string{
		`"facts":{}`,
		`"facts":{"outage":[{"scope":"overall",` + since + `}]}`,
		`"facts":{"outage":[{"scope":"overall",` + since + `,` + until + `}]}`,
		`"facts":{"outage":[{"scope":"main-function","duration":"PT6H","since":null,"until":null,"facility":null}]}`,
		`"facts":{"outage":[{"scope":"overall",` + since + `,"until":null,"duration":null}]}`,
		`"facts":{"siteUnreachable":{"class":"central","duration":{"atLeast":"PT2H"}}}`,
		`"facts":{"siteUnreachable":{"owner":"news","level":"provincial","duration":"PT2H"}}`,
		`"facts":{"siteUnreachable":{"owner":"platform","level":null,"size":"super-large","class":null,"duration":"PT2H"}}`,
		`"facts":{"defacement":{"class":"other","reposts":{"atLeast":5000},"views":null,"page":"home","finding":"especially-wide"}}`,
		`"facts":{"defacement":{"class":"prefecture",` + since + `,` + until + `}}`,
		`"facts":{"defacement":{"class":"prefecture","duration":"P1DT6H"}}`,
		`"facts":{"peopleAffected":9007199254740991,"directLoss":{"amount":0.5,"currency":"XXX"}}`,
		`"facts":{"populationShare":[{"level":"province","region":"650000","share":1},{"level":"prefecture","region":"650100","share":{"atLeast":0}}]}`,
		`"facts":{"dataThreat":"none","otherThreat":"especially-serious"}`,
		`"ransom":{"amount":{"atLeast":3},"currency":"USD","method":"比特币","demandedAt":"2025-11-01T00:00:00.123Z"}`,
		`"alsoReported":[{"name":"12387","at":"2025-11-01T00:00:00Z"},{"desk":"national-cyberspace","channel":"telephone","reference":"7"}]`,
		`"imported":true,"crimeReference":"沪公(网)字1号","handledAt":"2025-11-01T00:00:00Z"`,
	} {
		for _, reportType := range event.ReportTypes {
			_, err := Parse(eventWith(reportType, members))
			require.NoError(t, err, "%s: %s", reportType, members)
		}
	}
}

// dataFaults are members added to an initial report, and the expected faults.
var dataFaults = []struct {
	members string
	want    []string
}{
	{`"tittle":"x"`, []string{"$.data.tittle is not a known field: remove it"}},
	{`"Title":"x"`, []string{"$.data.Title must be written \"title\": names differ"}},
	{`"reason":"duplicate"`, []string{"$.data.reason is not a known field"}},
	{`"duplicateOf":"inc-0"`, []string{"$.data.duplicateOf is not a known field"}},
	{`"facts":null`, []string{"$.data.facts must be an object, not null"}},
	{`"facts":{"people":1}`, []string{"$.data.facts.people is not a known field"}},
	{`"about":"drill"`, []string{"$.data.about must be one of incident, threat"}},
	{`"kind":"virus"`, []string{"$.data.kind must be one of malware, network-attack,"}},
	{`"ownGrade":"ungraded"`, []string{"$.data.ownGrade must be one of general, relatively-large, major, especially-grave"}},
	{`"title":7`, []string{"$.data.title must be a string, not a number"}},
	{`"title":"` + strings.Repeat("题", 501) + `"`, []string{"$.data.title must have at most 500 characters, not 501"}},
	{`"impact":"` + strings.Repeat("x", 20001) + `"`, []string{"$.data.impact must have at most 20000 characters"}},
	{`"occurredAt":"yesterday"`, []string{"$.data.occurredAt must be an RFC 3339"}},
	{`"occurredAt":"2025-11-01T08:00:00"`, []string{"$.data.occurredAt must be an RFC 3339"}},
	{`"occurredAt":"2025-02-30T08:00:00Z"`, []string{"$.data.occurredAt must be an RFC 3339"}},
	{`"occurredAt":"9999-12-31T23:59:59-12:00"`, []string{"$.data.occurredAt must lie between"}},
	{`"crimeSuspected":"yes"`, []string{"$.data.crimeSuspected must be true or false, not a string"}},
	{`"place":{"region":"31000","street":"x"}`, []string{"$.data.place.region must be a GB/T 2260 code", "$.data.place.street is not a known field"}},
	{`"contact":{"post":"值班长","name":"张三"}`, []string{"$.data.contact.name is not a known field"}},
	{`"ransom":{"currency":"yuan"}`, []string{"$.data.ransom.currency must be an ISO 4217 code"}},
	{`"facts":{"peopleAffected":1.5}`, []string{`$.data.facts.peopleAffected must be a whole number or {"atLeast": …}, not a number`}},
	{`"facts":{"peopleAffected":"many"}`, []string{`$.data.facts.peopleAffected must be a whole number or {"atLeast": …}, not a string`}},
	{`"facts":{"peopleAffected":-1}`, []string{"$.data.facts.peopleAffected must be at least 0"}},
	{`"facts":{"peopleAffected":9007199254740992}`, []string{"$.data.facts.peopleAffected must be at most 9007199254740991"}},
	{`"facts":{"peopleAffected":{"atLeast":-1}}`, []string{"$.data.facts.peopleAffected.atLeast must be at least 0"}},
	{`"facts":{"peopleAffected":{"atleast":1}}`, []string{`$.data.facts.peopleAffected.atleast must be written "atLeast"`}},
	{`"facts":{"directLoss":{"amount":null}}`, []string{"$.data.facts.directLoss.amount must be a number or", "$.data.facts.directLoss.currency is required"}},
	{`"facts":{"directLoss":5000000}`, []string{"$.data.facts.directLoss must be an object, not a number"}},
	{`"facts":{"systemLoss":"grave"}`, []string{"$.data.facts.systemLoss must be one of none, relatively-serious, serious, especially-serious"}},
	{`"facts":{"populationShare":[{"level":"county","region":"650000","share":1.2}]}`,
		[]string{"$.data.facts.populationShare[0].level must be one of province, prefecture", "$.data.facts.populationShare[0].share must be at most 1"}},
	{`"facts":{"populationShare":[{"level":"province","region":"650000","share":0.1},{"level":"province","region":"650000","share":0.2}]}`,
		[]string{"$.data.facts.populationShare[1].region is given twice: see entry 0"}},
	{`"facts":{"outage":[{"scope":"overall"}]}`, []string{"$.data.facts.outage[0].since is required: give since, with until once it has ended, or duration"}},
	{`"facts":{"outage":[{"scope":"overall","since":null}]}`, []string{"$.data.facts.outage[0].since is required, unless duration is given"}},
	{`"facts":{"outage":[{"scope":"overall","until":"2025-11-01T08:00:00Z"}]}`, []string{"$.data.facts.outage[0].since is required: give since, with until once it has ended, or duration"}},
	{`"facts":{"outage":[{"duration":"PT1H","since":"2025-11-01T08:00:00+08:00"}]}`, []string{"$.data.facts.outage[0].scope is required", "$.data.facts.outage[0].since must not be given together with duration"}},
	{`"facts":{"outage":[{"scope":"overall","duration":"1h"}]}`, []string{"$.data.facts.outage[0].duration is not an ISO 8601 duration"}},
	{`"facts":{"outage":[{"scope":"overall","duration":"P1Y"}]}`, []string{"$.data.facts.outage[0].duration years and months have no fixed length"}},
	{`"facts":{"outage":[{"scope":"overall","duration":{"atLeast":"x"}}]}`, []string{"$.data.facts.outage[0].duration.atLeast is not an ISO 8601 duration"}},
	{`"facts":{"outage":[{"scope":"overall","since":"2025-11-01T08:00:00+08:00","until":"2025-10-31T23:59:59.999Z"}]}`, []string{"$.data.facts.outage[0].until must not be before since"}},
	{`"facts":{"siteUnreachable":{"class":"national"}}`,
		[]string{"$.data.facts.siteUnreachable.class must be one of central, provincial, prefecture, other", "$.data.facts.siteUnreachable.since is required: give since"}},
	{`"facts":{"siteUnreachable":{"level":"central","duration":"PT2H"}}`, []string{"$.data.facts.siteUnreachable.owner is required"}},
	{`"facts":{"defacement":{"owner":null,"size":"big","page":"home"}}`, []string{"$.data.facts.defacement.owner", "$.data.facts.defacement.size must be one of super-large, large, other"}},
	{`"facts":{"defacement":{"class":"other","until":"2025-11-01T08:00:00Z"}}`, []string{"$.data.facts.defacement.since is required: until is given"}},
	{`"facts":{"defacement":{"class":"other","duration":"PT1H","since":"2025-11-01T08:00:00+08:00"}}`, []string{"$.data.facts.defacement.since must not be given together with duration"}},
	{`"facts":{"defacement":{"class":"other","finding":"wild"}}`, []string{"$.data.facts.defacement.finding must be one of none, relatively-wide, wide, especially-wide"}},
	{`"attachments":[{"name":"","size":1.5,"sha256":"00"}]`,
		[]string{"$.data.attachments[0].name must not be empty", "$.data.attachments[0].sha256 must be 64 hexadecimal digits", "$.data.attachments[0].size must be a whole number, not a number"}},
	{`"alsoReported":[{"channel":"telephone"}]`, []string{"$.data.alsoReported[0].desk is required: give desk or name"}},
	{`"attachments":{}`, []string{"$.data.attachments must be a list, not an object"}},
}

func TestParse_FaultsOfData(t *testing.T) {
	for _, tt := range dataFaults {
		t.Run(tt.members[:min(60, len(tt.members))], func(t *testing.T) {
			_, err := Parse(eventWith(event.TypeInitial, tt.members))
			requireFaults(t, err, tt.want...)
		})
	}
}

func TestParse_FaultsOfAnInitialReport(t *testing.T) {
	for data, want := range map[string]string{
		strings.Replace(minimalData, `["dispatch"]`, `[]`, 1):                           "$.data.facilities must have at least one item",
		strings.Replace(minimalData, `["dispatch"]`, `null`, 1):                         "$.data.facilities must be a list, not null",
		strings.Replace(minimalData, `["dispatch"]`, `["a","b","a"]`, 1):                "$.data.facilities[2] is given twice: see entry 0",
		strings.Replace(minimalData, `"2025-11-01T08:30:00+08:00"`, `null`, 1):          "$.data.discoveredAt must be a string, not null",
		strings.Replace(minimalData, `Secrets":true`, `Secrets":false`, 1):              "$.data.containsNoStateSecrets must be true",
		strings.Replace(minimalData, `"dispatch"`, `"`+strings.Repeat("x", 257)+`"`, 1): "$.data.facilities[0] must have at most 256 characters",
	} {
		_, err := Parse([]byte(withData(data)))
		requireFaults(t, err, want)
	}
}

func TestParse_WithdrawalNeedsAReason(t *testing.T) {
	withdrawal := func(members string) []byte {
		return []byte(strings.Replace(withData(`{"containsNoStateSecrets":true`+members+`}`), event.TypeInitial, event.TypeWithdrawal, 1))
	}
	for _, members := range []string{``, `,"reason":null`, `,"reason":""`, `,"reason":" "`, `,"cause":"","duplicateOf":"inc-0"`} {
		_, err := Parse(withdrawal(members))
		requireFaults(t, err, "$.data.reason is required")
	}
	for _, members := range []string{`,"reason":"误报"`, `,"cause":"演练误发"`, `,"other":"x","reason":null`, `,"reason":"duplicate","duplicateOf":"inc-0"`} {
		_, err := Parse(withdrawal(members))
		require.NoError(t, err)
	}
}

func readSchema(t *testing.T, name string, v any) {
	t.Helper()
	b, err := fs.ReadFile(schemas.Reports, name)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, v))
}

// Every property is described in Chinese and in English, at itself or at the schema that
// it refers to.
func TestSchemas_DescribeEveryProperty(t *testing.T) {
	names, err := fs.Glob(schemas.Reports, "*.json")
	require.NoError(t, err)
	require.Len(t, names, len(event.ReportTypes)+1)
	var common map[string]any
	readSchema(t, "common.v1.json", &common)
	defs := common["$defs"].(map[string]any)
	for _, name := range names {
		var schema map[string]any
		readSchema(t, name, &schema)
		require.Equal(t, schemaBase+name, schema["$id"])
		require.Equal(t, "https://json-schema.org/draft/2020-12/schema", schema["$schema"])
		requireDescription(t, name, schema)
		requireDescribed(t, name, schema, defs)
	}
}

func requireDescribed(t *testing.T, path string, node any, defs map[string]any) {
	switch node := node.(type) {
	case []any:
		for _, n := range node {
			requireDescribed(t, path, n, defs)
		}
	case map[string]any:
		for key, n := range node {
			if key == "if" || key == "then" || key == "else" || key == "anyOf" {
				continue // conditions on properties that are described beside them
			}
			requireDescribed(t, path+"/"+key, n, defs)
		}
		properties, _ := node["properties"].(map[string]any)
		for name, p := range properties {
			property := p.(map[string]any)
			if _, ok := property["description"]; !ok {
				ref, _ := property["$ref"].(string)
				_, target, _ := strings.Cut(ref, "#/$defs/")
				property, _ = defs[target].(map[string]any)
			}
			requireDescription(t, path+"."+name, property)
		}
	}
}

func requireDescription(t *testing.T, path string, schema map[string]any) {
	t.Helper()
	text, _ := schema["description"].(string)
	require.True(t, strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Han, r) }), "%s: %q", path, text)
	require.True(t, strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Latin, r) }), "%s: %q", path, text)
}

// The schemas have every field of the contract and refuse any that they do not have.
// Outside programs rely on these names; there may be more.
func TestSchemas_MatchTheContract(t *testing.T) {
	report := strings.Fields(`about facilities discoveredAt occurredAt handledAt kind title ownGrade place contact
		containsNoStateSecrets crimeSuspected crimeReference facts ransom impact measures trend cause leads plan support
		scene other attachments alsoReported imported`)
	var common struct {
		Defs map[string]struct {
			Properties map[string]any `json:"properties"`
			Additional *bool          `json:"additionalProperties"`
		} `json:"$defs"`
	}
	readSchema(t, "common.v1.json", &common)
	for _, reportType := range event.ReportTypes {
		want := report
		if reportType == event.TypeWithdrawal {
			want = append(slices.Clone(report), "reason", "duplicateOf")
		}
		var schema struct {
			Properties map[string]any `json:"properties"`
			Additional *bool          `json:"additionalProperties"`
		}
		readSchema(t, strings.TrimPrefix(reportType, "tocsin.report.")+".json", &schema)
		require.Subset(t, keys(schema.Properties), want, reportType)
		require.False(t, *schema.Additional)
	}
	for def, fields := range map[string]string{
		"facts": `outage siteUnreachable defacement peopleAffected personalInformationPersons populationShare directLoss
			systemLoss dataThreat otherThreat`,
		"outage":           "facility scope since until duration",
		"siteUnreachable":  "owner level size class since until duration",
		"defacement":       "owner level size class since until duration page reposts views finding",
		"share":            "level region share",
		"money":            "amount currency",
		"place":            "region address",
		"contact":          "post phone",
		"ransom":           "amount currency method demandedAt",
		"attachment":       "name mediaType size sha256",
		"alsoReportedItem": "desk name channel at reference",
		"count":            "atLeast",
		"amount":           "atLeast",
		"span":             "atLeast",
	} {
		require.Subset(t, keys(common.Defs[def].Properties), strings.Fields(fields), def)
		require.NotNil(t, common.Defs[def].Additional, def)
		require.False(t, *common.Defs[def].Additional, def)
	}
}

func keys(m map[string]any) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	return list
}
