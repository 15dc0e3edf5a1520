package cloudevent

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

func binaryHeader(more ...string) map[string][]string {
	h := map[string][]string{
		"ce-specversion": {"1.0"}, "ce-id": {"r-1"}, "ce-source": {"urn:tocsin:operator:grid-east"},
		"ce-type": {event.TypeInitial}, "ce-subject": {"inc-1"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		h[more[i]] = append(h[more[i]], more[i+1])
	}
	return h
}

func TestFromNATSStructured(t *testing.T) {
	for name, h := range map[string]nats.Header{
		"no header":        nil,
		"foreign headers":  {"Nats-Msg-Id": {"1"}, "traceparent": {"x"}},
		"bare media type":  {"Content-Type": {"application/cloudevents"}},
		"JSON":             {"Content-Type": {"application/cloudevents+json; charset=utf-8"}},
		"without case":     {"content-TYPE": {"Application/CloudEvents+JSON"}},
		"with ce- headers": {"Content-Type": {"application/cloudevents+json"}, "ce-id": {"ignored"}},
	} {
		e, err := FromNATS(h, []byte(fullEvent))
		require.NoError(t, err, name)
		require.Equal(t, "r-1", e.ID)
	}
}

func TestFromNATSBinary(t *testing.T) {
	h := binaryHeader("CE-Time", "2025-11-01T08:45:00+08:00", "ce-traceparent", `"a \"b\" %25"`, "ce-subject2", " %e4%BA%8B%E4%BB%B6%20x ")
	h["ce-subject"] = []string{"%E4%BA%8B%E4%BB%B6-1"}
	e, err := FromNATS(h, []byte(" "+minimalData+"\n"))
	require.NoError(t, err)
	require.Equal(t, "事件-1", e.Subject)
	require.Equal(t, minimalData, string(e.Data))
	require.Equal(t, time.Date(2025, 11, 1, 0, 45, 0, 0, time.UTC), e.Time)
	require.Equal(t, `{"specversion":"1.0","id":"r-1","source":"urn:tocsin:operator:grid-east","type":"tocsin.report.initial.v1",`+
		`"subject":"事件-1","time":"2025-11-01T08:45:00+08:00","subject2":"事件 x","traceparent":"a \"b\" %","data":`+minimalData+`}`, string(e.Raw))
	again, err := Parse(e.Raw)
	require.NoError(t, err)
	require.Equal(t, e, again)
}

func TestFromNATSContentTypeOfTheData(t *testing.T) {
	for _, h := range []map[string][]string{
		binaryHeader("Content-Type", "application/json"),
		binaryHeader("ce-datacontenttype", "application/json"),
		binaryHeader("ce-datacontenttype", "application/json", "Content-Type", "text/plain"),
	} {
		e, err := FromNATS(h, []byte(minimalData))
		require.NoError(t, err)
		require.Contains(t, string(e.Raw), `"datacontenttype":"application/json"`)
	}
	_, err := FromNATS(binaryHeader("Content-Type", "text/csv"), []byte(minimalData))
	requireFaults(t, err, "$.datacontenttype must be a JSON media type")
}

func TestFromNATSFaults(t *testing.T) {
	tests := []struct {
		name    string
		h       map[string][]string
		payload string
		want    []string
	}{
		{"no ce- headers", map[string][]string{"Content-Type": {"application/json"}}, fullEvent, []string{"$ has no ce- headers"}},
		{"Avro", map[string][]string{"Content-Type": {"application/cloudevents+avro"}}, "x", []string{`$ has the Content-Type "application/cloudevents+avro"`}},
		{"batch", map[string][]string{"Content-Type": {"application/cloudevents-batch+json"}}, "[]", []string{"$ has the Content-Type"}},
		{"two content types", map[string][]string{"Content-Type": {"application/json"}, "content-type": {"text/plain"}}, "", []string{"$ two different Content-Type"}},
		{"twice by case", binaryHeader("CE-ID", "r-2"), minimalData, []string{"$.id is given twice"}},
		{"twice", binaryHeader("ce-id", "r-1"), minimalData, []string{"$.id is given twice"}},
		{"twice, around another", binaryHeader("CE-ID", "z", "ce-idx", "b"), minimalData, []string{"$.id is given twice"}},
		{"bad percent", binaryHeader("ce-ext", "100%"), minimalData, []string{"$.ext two hexadecimal digits do not follow"}},
		{"bad percent digits", binaryHeader("ce-ext", "%4g"), minimalData, []string{"$.ext two hexadecimal digits do not follow"}},
		{"overlong UTF-8", binaryHeader("ce-ext", "%C0%A0"), minimalData, []string{"$.ext is not valid UTF-8"}},
		{"raw Chinese", binaryHeader("ce-ext", "事件"), minimalData, []string{"$.ext has bytes outside ASCII"}},
		{"control character", binaryHeader("ce-ext", "%0A"), minimalData, []string{"$.ext control characters"}},
		{"odd name", binaryHeader("ce-my-ext", "x"), minimalData, []string{"$['my-ext'] is not the name of an attribute"}},
		{"data as header", binaryHeader("ce-data", "x"), minimalData, []string{"$.data is not the name of an attribute"}},
		{"no payload", binaryHeader(), "", []string{"$.data is required"}},
		{"broken payload", binaryHeader(), "{", []string{"$.data is not JSON at byte 1"}},
		{"duplicate in payload", binaryHeader(), `{"title":"a","title":"b",` + minimalData[1:], []string{"$.data.title is given twice"}},
		{"fault in payload", binaryHeader("ce-time", "now"), `{}`,
			[]string{"$.data.containsNoStateSecrets is required", "$.data.discoveredAt is required", "$.data.facilities is required", "$.time must be an RFC 3339"}},
		{"too large", binaryHeader("ce-ext", strings.Repeat("x", 1000)), strings.Repeat(" ", MaxBytes-1000), []string{"$ with its ce- headers: at most"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := FromNATS(tt.h, []byte(tt.payload))
			requireFaults(t, err, tt.want...)
		})
	}
}

// The example of section 3.1.3.2 of the HTTP binding.
func TestPercentEncoding(t *testing.T) {
	require.Equal(t, "Euro%20%E2%82%AC%20%F0%9F%98%80", percentEncode("Euro € 😀"))
	require.Equal(t, "%22100%25%22~!", percentEncode(`"100%"~!`))
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		encoded := percentEncode(s)
		for _, c := range []byte(encoded) {
			require.True(t, c > ' ' && c < 0x7F && c != '"')
		}
		back, problem := percentDecode(unquote(encoded))
		require.Empty(t, problem)
		require.Equal(t, s, back)
	})
}

func TestNATSRoundTrip(t *testing.T) {
	text := rapid.Custom(func(t *rapid.T) string {
		return string(rapid.SliceOfN(rapid.SampledFrom([]rune(`aZ9 "%\<&~é事件😀`)), 1, 40).Draw(t, "text"))
	})
	rapid.Check(t, func(t *rapid.T) {
		env := envelope{data: []byte(fullData), attributes: map[string]string{
			"specversion": "1.0", "id": text.Draw(t, "id"), "source": "urn:x:" + rapid.StringMatching(`[a-z]{1,9}`).Draw(t, "source"),
			"type": event.TypeInitial, "subject": text.Draw(t, "subject"), "ext": text.Draw(t, "ext"),
			"time": time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "time"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC().Format(time.RFC3339Nano),
		}}
		e, err := Parse(append([]byte(`{"n":5,"flag":true,`), env.structured()[1:]...))
		require.NoError(t, err)
		h, payload := toNATS(e)
		require.Equal(t, []string{"5"}, h["ce-n"])
		require.Equal(t, []string{"true"}, h["ce-flag"])
		back, err := FromNATS(h, payload)
		require.NoError(t, err)
		raw := back.Raw
		back.Raw = e.Raw
		require.Equal(t, e, back)
		// Once all attributes are strings, the record's form is a fixed point.
		back.Raw = raw
		again, err := FromNATS(toNATS(back))
		require.NoError(t, err)
		require.Equal(t, back, again)
	})
}

func TestToNATS_WithoutRaw(t *testing.T) {
	e, err := Parse([]byte(fullEvent))
	require.NoError(t, err)
	e.Raw = nil
	back, err := FromNATS(toNATS(e))
	require.NoError(t, err)
	require.Equal(t, e.Time, back.Time)
	require.Equal(t, e.Digest, back.Digest)
}

// parseAll parses the reports of an HTTP request.
func parseAll(h http.Header, body []byte) (events []Parsed, batch bool, err error) {
	reports, err := FromHTTP(h, body)
	for i := range reports.Len() {
		events = append(events, reports.Parse(i))
	}
	return events, reports.Batch, err
}

func TestFromHTTP(t *testing.T) {
	events, batch, err := parseAll(http.Header{"Content-Type": {"application/cloudevents+json"}}, []byte(fullEvent))
	require.NoError(t, err)
	require.False(t, batch)
	require.Len(t, events, 1)
	require.NoError(t, events[0].Err)
	require.Equal(t, "r-1", events[0].Event.ID)

	h := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	for name, values := range binaryHeader("ce-ext", "%E4%BA%8B") {
		h.Set(name, values[0])
	}
	events, batch, err = parseAll(h, []byte(minimalData))
	require.NoError(t, err)
	require.False(t, batch)
	require.NoError(t, events[0].Err)
	require.Equal(t, minimalData, string(events[0].Raw))
	require.Contains(t, string(events[0].Event.Raw), `"datacontenttype":"application/json; charset=utf-8","ext":"事","data":`)

	h.Set("ce-datacontenttype", "application/json")
	events, _, err = parseAll(h, []byte(minimalData))
	require.NoError(t, err)
	requireFaults(t, events[0].Err, "$.datacontenttype must be given by Content-Type")

	events, _, err = parseAll(http.Header{"Content-Type": {"application/cloudevents+json"}}, []byte("{}{}"))
	require.NoError(t, err)
	require.Error(t, events[0].Err)
	require.Nil(t, events[0].Event)
}

func TestFromHTTPBatch(t *testing.T) {
	h := http.Header{"Content-Type": {"application/cloudevents-batch+json"}}
	events, batch, err := parseAll(h, []byte(` [ `+fullEvent+`, {"a" 1} ,7,`+"\n"+withData(`{}`)+`,"x" ] `))
	require.NoError(t, err)
	require.True(t, batch)
	require.Len(t, events, 5)
	require.NoError(t, events[0].Err)
	require.Equal(t, fullEvent, string(events[0].Raw))
	requireFaults(t, events[1].Err, "$.a is not JSON at byte 5: invalid character '1' after object name (expecting ':')")
	require.Equal(t, `{"a" 1}`, string(events[1].Raw))
	requireFaults(t, events[2].Err, "$ must be a JSON object")
	requireFaults(t, events[3].Err, "$.data.containsNoStateSecrets is", "$.data.discoveredAt is", "$.data.facilities is")
	requireFaults(t, events[4].Err, "$ must be a JSON object")

	many := "[{}" + strings.Repeat(",{}", MaxBatch-1)
	events, _, err = parseAll(h, []byte(many+"]"))
	require.NoError(t, err)
	require.Len(t, events, MaxBatch)
	_, batch, err = parseAll(h, []byte(many+",{}]"))
	require.ErrorContains(t, err, "more than 1000 events")
	require.True(t, batch)

	events, batch, err = parseAll(h, []byte(`[]`))
	require.NoError(t, err)
	require.True(t, batch)
	require.Empty(t, events)
}

func TestFromHTTPEnvelope(t *testing.T) {
	const batch = "application/cloudevents-batch+json"
	for body, contentType := range map[string]string{
		fullEvent:           "application/json",
		"x":                 "application/cloudevents+avro",
		"y":                 "application/cloudevents-batch+avro",
		"z":                 "",
		"":                  batch,
		`{}`:                batch,
		`[{}`:               batch,
		`[{},]`:             batch,
		`[,]`:               batch,
		`[{} {}]`:           batch,
		`[{}][]`:            batch,
		`[{}]x`:             batch,
		`[{"a":"b`:          batch,
		`[{"a":[}]`:         batch,
		`[}]`:               batch,
		`[7`:                batch,
		"\uFEFF\uFEFF[]":    batch,
		"[{\"a\":\"b\n\"}]": batch,
	} {
		_, _, err := parseAll(http.Header{"Content-Type": {contentType}}, []byte(body))
		require.Error(t, err, body)
		require.Len(t, fault.DetailsOf(err), 1)
		require.Equal(t, "$", fault.DetailsOf(err)[0].Path)
	}
}
