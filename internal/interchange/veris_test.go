package interchange

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/fault"
)

// incidentLine is a least incident with its members changed: a null takes one
// away.
func incidentLine(t testing.TB, change map[string]string) string {
	t.Helper()
	members := map[string]jsontext.Value{
		"incident_id":       jsontext.Value(`"i-1"`),
		"security_incident": jsontext.Value(`"Confirmed"`),
		"summary":           jsontext.Value(`"A pump stopped"`),
		"timeline":          jsontext.Value(`{"incident":{"year":2020}}`),
	}
	for name, value := range change {
		members[name] = jsontext.Value(value)
	}
	b, err := json.Marshal(members)
	require.NoError(t, err)
	return string(b)
}

func TestVERISFacts(t *testing.T) {
	duration := func(d string) string { return `{"availability":{"duration":` + d + `}}` }
	outage := func(d string) string {
		return `{"outage":[{"facility":"plant","scope":"main-function","duration":` + d + `}]}`
	}
	persons := func(variety, total string) string {
		return `{"confidentiality":{"data_disclosure":"Yes","data":[{"variety":"System"},{"variety":"` + variety + `"}],"data_total":` + total + `}}`
	}
	for _, c := range []struct{ member, value, want string }{
		{"attribute", persons("Personal", "12"), `{"personalInformationPersons":12}`},
		{"attribute", persons("Medical", "12"), `{"personalInformationPersons":12}`},
		{"attribute", persons("Bank", "0"), `{"personalInformationPersons":0}`},
		{"attribute", persons("Payment", "1.2e10"), `{"personalInformationPersons":12000000000}`},
		{"attribute", persons("Personal", "9007199254740991"), `{"personalInformationPersons":9007199254740991}`},
		{"attribute", persons("Credentials", "12"), ``},
		{"attribute", persons("Personal", "null"), ``},
		{"attribute", `{"confidentiality":{"data_total":5}}`, ``},

		{"attribute", duration(`{"unit":"Seconds","value":90}`), outage(`"PT1M30S"`)},
		{"attribute", duration(`{"unit":"Minutes","value":30}`), outage(`"PT30M"`)},
		{"attribute", duration(`{"unit":"Hours","value":7.5}`), outage(`"PT7H30M"`)},
		{"attribute", duration(`{"unit":"Days","value":4}`), outage(`"P4D"`)},
		{"attribute", duration(`{"unit":"Weeks","value":2}`), outage(`"P14D"`)},
		{"attribute", duration(`{"unit":"Months","value":2}`), outage(`{"atLeast":"P56D"}`)},
		{"attribute", duration(`{"unit":"Years","value":1}`), outage(`{"atLeast":"P365D"}`)},
		{"attribute", duration(`{"unit":"Days","value":0}`), outage(`"PT0S"`)},
		{"attribute", duration(`{"unit":"Hours"}`), ``},
		{"attribute", duration(`{"value":3}`), ``},
		{"attribute", duration(`{"unit":"NA","value":3}`), ``},
		{"attribute", duration(`{"unit":"Unknown","value":3}`), ``},
		{"attribute", duration(`{"unit":"Never"}`), ``},

		{"impact", `{"overall_amount":500,"iso_currency_code":"CNY"}`, `{"directLoss":{"amount":500,"currency":"CNY"}}`},
		{"impact", `{"overall_amount":500.25,"iso_currency_code":"USD"}`, `{"directLoss":{"amount":500.25,"currency":"USD"}}`},
		{"impact", `{"overall_amount":1000000000000}`, `{"directLoss":{"amount":1000000000000,"currency":"XXX"}}`},
		{"impact", `{"overall_amount":-0.0,"iso_currency_code":"Unknown"}`, `{"directLoss":{"amount":0,"currency":"XXX"}}`},
		{"impact", `{"iso_currency_code":"GBP","overall_rating":"Major"}`, ``},
		{"attribute", `null`, ``},
	} {
		e := one(t, VERIS, plant, incidentLine(t, map[string]string{c.member: c.value}))
		var data struct{ Facts jsontext.Value }
		require.NoError(t, json.Unmarshal(e.Data, &data))
		require.Equal(t, c.want, string(data.Facts), c.value)
	}
}

func TestVERISTime(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"year":2020}`, "2020-01-01"},
		{`{"year":2020,"month":null,"day":17}`, "2020-01-01"},
		{`{"year":2020,"month":7}`, "2020-07-01"},
		{`{"year":2020,"month":2,"day":29,"time":"23:59"}`, "2020-02-29"},
	} {
		e := one(t, VERIS, plant, incidentLine(t, map[string]string{"timeline": `{"incident":` + c.in + `}`}))
		require.Equal(t, c.want+"T00:00:00Z", e.Time.Format("2006-01-02T15:04:05.999Z07:00"))
	}
}

func TestVERISKindAndTitle(t *testing.T) {
	for _, c := range []struct{ action, attribute, kind, title string }{
		{`{"malware":{},"hacking":{}}`, `{}`, "malware", "VERIS incident: hacking, malware"},
		{`{"hacking":{"variety":["DoS"]}}`, `{"confidentiality":{}}`, "network-attack", "VERIS incident: hacking"},
		{`{"social":{"variety":["Pretexting","Phishing"]}}`, `{}`, "network-attack", "VERIS incident: social"},
		{`{"social":{"variety":["Bribery"]},"misuse":{}}`, `{"confidentiality":{}}`, "improper-operation", "VERIS incident: misuse, social"},
		{`{"social":{"variety":["Pretexting"]}}`, `{"confidentiality":{"data_disclosure":"Yes"}}`, "data-security", "VERIS incident: social"},
		{`{"error":{"variety":["Misdelivery"]}}`, `{"confidentiality":{"data_disclosure":"Yes"}}`, "data-security", "VERIS incident: error"},
		{`{"error":{"variety":["Malfunction"]}}`, `{}`, "facility-fault", "VERIS incident: error"},
		{`{"error":{"variety":["Omission"]}}`, `{}`, "improper-operation", "VERIS incident: error"},
		{`{"physical":{"variety":["Theft"]}}`, `{}`, "facility-fault", "VERIS incident: physical"},
		{`{"environmental":{"variety":["Flood"]}}`, `{}`, "force-majeure", "VERIS incident: environmental"},
		{`{"unknown":{}}`, `{}`, "other", "VERIS incident: unknown"},
		{`null`, `null`, "other", "VERIS incident"},
	} {
		e := one(t, VERIS, plant, incidentLine(t, map[string]string{
			"action": c.action, "attribute": c.attribute, "summary": `" "`,
		}))
		require.Equal(t, c.kind, e.Report.Kind, c.action)
		require.Equal(t, c.title, e.Report.Title)
		require.Equal(t, "i-1", e.Subject)
		require.Equal(t, "veris-i-1", e.ID)
	}
}

func TestVERISFaults(t *testing.T) {
	for _, c := range []struct {
		member, value string
		want          []string
	}{
		{"incident_id", `null`, []string{"$.incident_id: is required"}},
		{"incident_id", `7`, []string{"$.incident_id: must be a string, not a number"}},
		{"incident_id", `" "`, []string{"$.incident_id: must not be empty"}},
		{"incident_id", `"a\u0007"`, []string{"$.incident_id: must not contain control characters"}},
		{"incident_id", `"` + strings.Repeat("x", 251) + `"`, []string{"$.incident_id: has more than 250 characters"}},
		{"timeline", `null`, []string{"$.timeline.incident.year: is required"}},
		{"timeline", `{"incident":[]}`, []string{"$.timeline.incident: must be an object, not an array"}},
		{"timeline", `{"incident":{"year":20,"month":13}}`, []string{"$.timeline.incident.year: must be from 1970 to 2200", "$.timeline.incident.month: must be from 1 to 12"}},
		{"timeline", `{"incident":{"year":2021,"month":2,"day":29}}`, []string{"$.timeline.incident.day: that month has no such day"}},
		{"timeline", `{"incident":{"year":2021,"month":2,"day":0}}`, []string{"$.timeline.incident.day: that month has no such day"}},
		{"timeline", `{"incident":{"year":2021,"day":32}}`, []string{"$.timeline.incident.day: must be from 1 to 31"}},
		{"timeline", `{"incident":{"year":2021.5}}`, []string{"$.timeline.incident.year: must be a whole number"}},
		{"attribute", `{"confidentiality":{"data_total":9007199254740992}}`, []string{"$.attribute.confidentiality.data_total: is greater than 9007199254740991"}},
		{"attribute", `{"confidentiality":{"data_total":1e999}}`, []string{"$.attribute.confidentiality.data_total: is greater than 9007199254740991"}},
		{"attribute", `{"confidentiality":{"data_total":-1,"data":[null,{"variety":3}]}}`, []string{
			"$.attribute.confidentiality.data_total: must not be negative",
			"$.attribute.confidentiality.data[0]: must be an object, not null",
			"$.attribute.confidentiality.data[1].variety: must be a string, not a number"}},
		{"attribute", `{"confidentiality":{"data_total":1.5}}`, []string{"$.attribute.confidentiality.data_total: must be a whole number"}},
		{"attribute", `{"availability":{"duration":{"unit":"Fortnights","value":"2"}}}`, []string{
			"$.attribute.availability.duration.value: must be a number, not a string",
			`$.attribute.availability.duration.unit: "Fortnights" is not a unit of VERIS 1.3`}},
		{"attribute", `{"availability":{"duration":{"unit":"Years","value":900}}}`, []string{"$.attribute.availability.duration.value: is longer than a century and a half"}},
		{"impact", `{"overall_amount":1e16,"iso_currency_code":"USD"}`, []string{"$.impact.overall_amount: is greater than 9007199254740991"}},
		{"impact", `{"overall_amount":1,"iso_currency_code":"usd"}`, []string{`$.impact.iso_currency_code: "usd" is not a code of ISO 4217`}},
		{"action", `{"error":4,"social":{"variety":"Phishing"}}`, []string{
			"$.action.error: must be an object, not a number",
			"$.action.social.variety: must be an array, not a string"}},
	} {
		for i := range c.want {
			c.want[i] = "line 2: " + c.want[i]
		}
		good := incidentLine(t, nil)
		lines, faults := run(t, VERIS, plant, good+"\n"+incidentLine(t, map[string]string{c.member: c.value})+"\n"+good)
		require.Equal(t, c.want, faults, c.value)
		require.Len(t, lines, 2, "the rest goes through")
	}
}

func TestVERISInput(t *testing.T) {
	good := incidentLine(t, nil)
	long := incidentLine(t, map[string]string{"notes": `"` + strings.Repeat("x", 4<<20) + `"`})
	pretty := strings.ReplaceAll(good, ",", ",\n")
	for name, c := range map[string]struct {
		input string
		lines int
		want  []string
	}{
		"empty":               {"", 0, nil},
		"blank":               {" \r\n\n", 0, nil},
		"byte order mark":     {utf8BOM + good + "\r\n\r\n" + good, 2, nil},
		"no newline":          {good, 1, nil},
		"long line":           {long + "\n" + good, 2, nil},
		"not UTF-8":           {strings.Replace(good, "pump", "p\xffmp", 1), 1, nil},
		"duplicate":           {good + "\n" + good, 2, nil},
		"not JSON":            {good + "\n{\"a\n" + good, 2, []string{`line 2: $: is not JSON: invalid character '\n' in string (expecting non-control character)`}},
		"two on a line":       {good + good + "\n" + good, 3, nil},
		"line and something":  {good + "}\n" + good, 2, []string{"line 1: $: is not JSON: invalid character '}' at start of value"}},
		"multi-line":          {pretty + "\n" + pretty + pretty, 3, nil},
		"multi-line, faulty":  {pretty + "\n{\n  \"a\": \"b\n  \"c\": 1\n}\n" + pretty, 2, []string{`line 5: $: is not JSON: invalid character '\n' in string (expecting non-control character); lines 5 to 8 are lost`}},
		"cut after a colon":   {"{\"a\":\n" + good + "\n" + good, 2, []string{"line 1: $: is not JSON: invalid character '{' after object value (expecting ',' or '}')"}},
		"cut in an array":     {"{\"a\":[1,\n" + good + "\n" + good, 2, []string{"line 1: $: is not JSON: invalid character '{' after array element (expecting ',' or ']')"}},
		"cut after a comma":   {"{\"a\":1,\n" + good + "\nx\n" + good, 2, []string{`line 1: $: is not JSON: invalid character '{' at start of string (expecting '"')`, "line 3: $: is not JSON: invalid character 'x' at start of value"}},
		"arrays":              {"[" + good + "]\n[\n" + good + "\n]\n[]\n" + good, 3, nil},
		"array, no comma":     {"[" + good + "\n" + good + "]", 2, []string{"line 2: $[1]: is not JSON: invalid character '{' after array element (expecting ',' or ']')"}},
		"array, broken line":  {"[\n {\"a\": \"b\n },\n " + good + "\n]", 1, []string{`line 2: $[0]: is not JSON: invalid character '\n' in string (expecting non-control character); lines 2 to 3 are lost`}},
		"indented text":       {"  {\n   \"a\": 1\n   {\"b\": 2}\n  }\n  " + good + "\n", 1, []string{"line 1: $: is not JSON: invalid character '{' after object value (expecting ',' or '}'); lines 1 to 4 are lost"}},
		"not an object":       {good + "\n7\nnull\n", 1, []string{"line 2: $: must be an object, not a number", "line 3: $: must be an object, not null"}},
		"array":               {" \n [" + pretty + " ,\n" + good + "]\n", 2, nil},
		"empty array":         {"[ ]", 0, nil},
		"array of others":     {"[17,\n" + pretty + ",\n\n {\"incident_id\":\"]\\\"[,\"}]", 1, []string{"line 1: $[0]: must be an object, not a number", "line 7: $[2].timeline.incident.year: is required"}},
		"array, bad element":  {"[{\"a\" 1},\n" + good + "]", 1, []string{`line 1: $[0]: is not JSON: invalid character '1' after object name (expecting ':')`}},
		"array, gaps":         {"[," + good + ",\n]", 1, []string{"line 1: $[0]: is not JSON: invalid character ',' at start of value", "line 2: $[1]: is not JSON: invalid character ',' at start of value"}},
		"array, not closed":   {"[" + good + ",\n", 1, []string{"line 2: $: the array is not closed"}},
		"array, cut":          {"[" + good + ",\n{\"a", 1, []string{"line 2: $[1]: is not JSON: ends in the middle", "line 2: $: the array is not closed"}},
		"comma":               {",", 0, []string{"line 1: $: is not JSON: invalid character ',' at start of value"}},
		"array and something": {"[" + good + "]\n]", 1, []string{"line 2: $: is not JSON: invalid character ']' at start of value"}},
	} {
		t.Run(name, func(t *testing.T) {
			lines, faults := run(t, VERIS, plant, c.input)
			require.Equal(t, c.want, faults)
			require.Len(t, lines, c.lines)
			for _, line := range lines {
				accepted(t, line)
			}
		})
	}
}

// A piece that is too long is named and skipped; the next one is read.
func TestScanTooLong(t *testing.T) {
	long := `{"a":"` + strings.Repeat("x,", 100) + `"}`
	for input, want := range map[string][]string{
		"1\n\n" + long + "\n{}":        {"line 1: $ 1", "line 3: $ is longer than 100 bytes", "line 4: $ {}"},
		"[1,\n\n" + long + ",\n {}\n]": {"line 1: $[0] 1", "line 3: $[1] is longer than 100 bytes", "line 4: $[1] {}"},
	} {
		s := newScanner(strings.NewReader(input))
		s.in.limit = 100
		var got []string
		for {
			p, err := s.next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			if p.fault != "" {
				p.text = []byte(p.fault)
			}
			got = append(got, fmt.Sprintf("line %d: %s %s", p.line, p.path, p.text))
		}
		require.Equal(t, want, got)
	}
}

// Lines, an array and an indented array of the same incidents say the same.
func TestVERISForms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		incidents := rapid.SliceOf(rapid.Custom(func(t *rapid.T) map[string]any {
			return map[string]any{
				"incident_id": rapid.StringMatching(`[A-Z0-9-]{1,40}`).Draw(t, "id"),
				"summary":     rapid.String().Draw(t, "summary"),
				"timeline":    map[string]any{"incident": map[string]any{"year": rapid.IntRange(1960, 2030).Draw(t, "year")}},
				"impact":      map[string]any{"overall_amount": rapid.Float64Range(-1, 1e12).Draw(t, "amount")},
			}
		})).Draw(t, "incidents")
		var lines strings.Builder
		for _, in := range incidents {
			b, err := json.Marshal(in)
			if err != nil {
				t.Fatal(err)
			}
			lines.Write(append(b, '\n'))
		}
		array, err := json.Marshal(incidents)
		if err != nil {
			t.Fatal(err)
		}
		indented, err := json.MarshalIndent(incidents, " ", "  ")
		if err != nil {
			t.Fatal(err)
		}
		want, faults := collect(VERIS, lines.String())
		for _, input := range []string{string(array), string(indented)} {
			got, gotFaults := collect(VERIS, input)
			if strings.Join(got, "\n") != strings.Join(want, "\n") || len(gotFaults) != len(faults) {
				t.Fatalf("lines give %v %v, %s gives %v %v", want, faults, input, got, gotFaults)
			}
		}
	})
}

// Only a confirmed incident with a disclosure that VERIS is sure of is a leak.
func TestVERIS_OnlyWhatIsCertainIsAFact(t *testing.T) {
	for _, c := range []struct {
		status, disclosure string
		facts, title       string
	}{
		{`"Confirmed"`, `"Yes"`, `{"outage":[{"facility":"plant","scope":"main-function","duration":"PT2H"}],"personalInformationPersons":4000000000,"directLoss":{"amount":7,"currency":"USD"}}`, "VERIS incident: error"},
		{`"Confirmed"`, `"Potentially"`, `{"outage":[{"facility":"plant","scope":"main-function","duration":"PT2H"}],"directLoss":{"amount":7,"currency":"USD"}}`, "VERIS incident: error"},
		{`"Confirmed"`, `"No"`, `{"outage":[{"facility":"plant","scope":"main-function","duration":"PT2H"}],"directLoss":{"amount":7,"currency":"USD"}}`, "VERIS incident: error"},
		{`"Confirmed"`, `"Unknown"`, `{"outage":[{"facility":"plant","scope":"main-function","duration":"PT2H"}],"directLoss":{"amount":7,"currency":"USD"}}`, "VERIS incident: error"},
		{`"Confirmed"`, `null`, `{"outage":[{"facility":"plant","scope":"main-function","duration":"PT2H"}],"directLoss":{"amount":7,"currency":"USD"}}`, "VERIS incident: error"},
		{`null`, `"Yes"`, `{"outage":[{"facility":"plant","scope":"main-function","duration":"PT2H"}],"directLoss":{"amount":7,"currency":"USD"}}`, "VERIS incident: error"},
		{`"Suspected"`, `"Yes"`, ``, "VERIS suspected incident: error"},
		{`"Near miss"`, `"Yes"`, ``, "VERIS near miss: error"},
		{`"False positive"`, `"Yes"`, ``, "VERIS false positive: error"},
	} {
		e := one(t, VERIS, plant, incidentLine(t, map[string]string{
			"security_incident": c.status,
			"action":            `{"error":{"variety":["Misconfiguration"]}}`,
			"impact":            `{"overall_amount":7,"iso_currency_code":"USD"}`,
			"attribute": `{"availability":{"duration":{"unit":"Hours","value":2}},
				"confidentiality":{"data_disclosure":` + c.disclosure + `,"data":[{"variety":"Personal"}],"data_total":4000000000}}`,
		}))
		var data struct{ Facts jsontext.Value }
		require.NoError(t, json.Unmarshal(e.Data, &data))
		require.Equal(t, c.facts, string(data.Facts), "%s %s", c.status, c.disclosure)
		require.Equal(t, c.title, e.Report.Title)
		require.Contains(t, e.Report.Other, "4000000000", "what is no fact is still told")
		require.Equal(t, c.status == `"Confirmed"` && c.disclosure == `"Yes"`, e.Report.Kind == "data-security")
	}
	_, faults := run(t, VERIS, plant, incidentLine(t, map[string]string{
		"security_incident": `"Perhaps"`, "attribute": `{"confidentiality":{"data_disclosure":true}}`,
	}))
	require.Equal(t, []string{
		`line 1: $.security_incident: "Perhaps" is none of: Confirmed, Suspected, False positive, Near miss`,
		"line 1: $.attribute.confidentiality.data_disclosure: must be a string, not a boolean"}, faults)
}

// A member that is there twice says two things.
func TestVERIS_RepeatedMember(t *testing.T) {
	good := incidentLine(t, nil)
	for bad, path := range map[string]string{
		strings.Replace(good, `{`, `{"incident_id":"i-2",`, 1):                                                   "$.incident_id",
		strings.Replace(good, `{"year"`, `{"year":2019,"year"`, 1):                                               "$.timeline.incident.year",
		strings.Replace(good, `{`, `{"attribute":{"confidentiality":{"data":[{},{"amount":1,"amount":2}]}},`, 1): "$.attribute.confidentiality.data[1].amount",
	} {
		lines, faults := run(t, VERIS, plant, good+"\n"+bad)
		require.Equal(t, []string{"line 2: " + path + ": is repeated"}, faults)
		require.Len(t, lines, 1)
	}
}

// data_total counts all varieties together; only the personal ones are persons.
func TestVERIS_TotalOfSeveralVarieties(t *testing.T) {
	for data, want := range map[string]string{
		`[{"variety":"Other","amount":30000},{"variety":"Personal","amount":800}]`:   `{"atLeast":800}`,
		`[{"variety":"Credentials"},{"variety":"Personal","amount":30800}]`:          `30800`,
		`[{"variety":"Medical","amount":172},{"variety":"Personal","amount":30628}]`: `30800`,
		`[{"variety":"Personal","amount":2100000}]`:                                  `{"atLeast":30800}`,
		`[{"variety":"Personal"},{"variety":"Other"}]`:                               `30800`,
	} {
		e := one(t, VERIS, plant, incidentLine(t, map[string]string{
			"attribute": `{"confidentiality":{"data_disclosure":"Yes","data":` + data + `,"data_total":30800}}`,
		}))
		got, err := json.Marshal(e.Report.Facts.PersonalInformationPersons)
		require.NoError(t, err)
		require.Equal(t, want, string(got), data)
	}
}

// A service that is slow or a device that is lost interrupts nothing.
func TestVERIS_OutageNeedsAnInterruption(t *testing.T) {
	for variety, want := range map[string]int{
		`["Interruption"]`: 1, `["Loss","Obscuration"]`: 1, `[]`: 1, `["Loss"]`: 0, `["Degradation","Destruction"]`: 0,
	} {
		e := one(t, VERIS, plant, incidentLine(t, map[string]string{
			"attribute": `{"availability":{"variety":` + variety + `,"duration":{"unit":"Days","value":3}}}`,
		}))
		require.Len(t, e.Report.Facts.Outage, want, variety)
	}
}

// A repeat is no news; one id for two stories is told.
func TestVERIS_ContradictionIsTold(t *testing.T) {
	var notes []string
	o := plant
	o.Note = func(d fault.Detail) { notes = append(notes, d.Path+": "+d.Message) }
	first := incidentLine(t, nil)
	other := incidentLine(t, map[string]string{"impact": `{"overall_amount":7}`})
	lines, faults := run(t, VERIS, o, strings.Join([]string{first, first, other}, "\n"))
	require.Empty(t, faults)
	require.Len(t, lines, 3)
	require.Equal(t, []string{"line 3: $.incident_id: line 1 has the same id and other data; the server will accept only the first"}, notes)
}
