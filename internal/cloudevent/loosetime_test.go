package cloudevent

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

func TestParse_LooseTimesAreReadWithWarnings(t *testing.T) {
	data := `{"facilities":["dispatch"],"title":"2025-11-01t08:00:00z","discoveredAt":"2025-11-01t08:30:00z","containsNoStateSecrets":true,
		"facts":{"outage":[{"scope":"overall","since":"2016-12-31T23:59:60Z","until":"2017-01-01t00:00:00z"}]},
		"alsoReported":[{"name":"12387","at":"2025-11-01T08:40:00z"}],"ransom":{"demandedAt":"2025-11-01t08:00:00+08:00"}}`
	want := []string{"$.time", "$.data.discoveredAt", "$.data.facts.outage[0].since", "$.data.facts.outage[0].until", "$.data.alsoReported[0].at", "$.data.ransom.demandedAt"}
	check := func(e *Event, err error) {
		t.Helper()
		require.NoError(t, err)
		var paths []string
		for _, w := range e.Warnings {
			paths = append(paths, w.Path)
		}
		require.Equal(t, want, paths)
		require.Equal(t, "2025-11-01T08:45:00Z", e.Time.Format(time.RFC3339))
		require.Equal(t, "2025-11-01T08:30:00Z", e.Report.DiscoveredAt.UTC().Format(time.RFC3339))
		require.Equal(t, "2017-01-01T00:00:00Z", e.Report.Facts.Outage[0].Since.UTC().Format(time.RFC3339))
		require.JSONEq(t, data, string(e.Data), "the data stay as they were sent")

		again, err := event.ParseReport(e.Data)
		require.NoError(t, err)
		require.True(t, e.Report.DiscoveredAt.Equal(*again.DiscoveredAt))
		require.True(t, e.Report.Facts.Outage[0].Since.Equal(*again.Facts.Outage[0].Since))
	}
	check(Parse([]byte(`{` + head + `,"time":"2025-11-01t08:45:00z","data":` + data + `}`)))
	check(FromNATS(binaryHeader("ce-time", "2025-11-01t08:45:00z"), []byte(data)))

	e, err := Parse([]byte(fullEvent))
	require.NoError(t, err)
	require.Empty(t, e.Warnings)

	_, err = Parse([]byte(withData(strings.Replace(minimalData, "08:30:00", "08:30:61", 1))))
	requireFaults(t, err, "$.data.discoveredAt must be an RFC 3339")
}

// A null counts as a member that is not set: data may be null beside data_base64.
func TestParse_NullBesideBase64(t *testing.T) {
	want, err := Parse([]byte(withData(minimalData)))
	require.NoError(t, err)
	encoded := `"data_base64":"` + base64.StdEncoding.EncodeToString([]byte(minimalData)) + `"`
	for _, raw := range []string{
		`{"data":null,` + head + `,` + encoded + `}`,
		`{` + encoded + `,` + head + `,"data": null }`,
		`{` + head + `,"data":` + minimalData + `,"data_base64":null}`,
	} {
		e, err := Parse([]byte(raw))
		require.NoError(t, err, raw)
		require.Equal(t, want.Digest, e.Digest)
		require.Equal(t, want.Report, e.Report)
		again, err := Parse(e.Raw)
		require.NoError(t, err, "what the record keeps can be read: %s", e.Raw)
		require.Equal(t, want.Digest, again.Digest)
		require.JSONEq(t, minimalData, string(again.Data))
	}
	_, err = Parse([]byte(`{` + head + `,` + encoded + `,"data":` + minimalData + `}`))
	requireFaults(t, err, "$.data_base64 must not be given together with data")
}

// Every body may begin with the byte order mark that Windows programs write.
func TestParse_ByteOrderMark(t *testing.T) {
	const mark = "\uFEFF"
	want, err := Parse([]byte(withData(minimalData)))
	require.NoError(t, err)
	for name, parse := range map[string]func() (*Event, error){
		"structured":  func() (*Event, error) { return Parse([]byte(mark + " " + withData(minimalData))) },
		"NATS binary": func() (*Event, error) { return FromNATS(binaryHeader(), []byte(mark+minimalData)) },
		"base64": func() (*Event, error) {
			return Parse([]byte(`{` + head + `,"data_base64":"` + base64.StdEncoding.EncodeToString([]byte(mark+minimalData)) + `"}`))
		},
		"HTTP batch": func() (*Event, error) {
			reports, err := FromHTTP(http.Header{"Content-Type": {"application/cloudevents-batch+json"}}, []byte(mark+"["+withData(minimalData)+"]"))
			if err != nil {
				return nil, err
			}
			first := reports.Parse(0)
			return first.Event, first.Err
		},
	} {
		e, err := parse()
		require.NoError(t, err, name)
		require.Equal(t, want.Digest, e.Digest, name)
		require.Equal(t, byte('{'), e.Raw[0], name)
	}
	require.Equal(t, "r-1", NamesOf(nil, []byte(mark+withData(minimalData))).ID)
}

func TestDataContentType_JSON(t *testing.T) {
	for mediaType, ok := range map[string]bool{
		"application/json": true, "text/json": true, "TEXT/JSON; charset=utf-8": true, "application/vnd.example+json": true, "application/problem+json": true,
		"text/plain": false, "application/jsonl": false, "text/json5": false,
	} {
		_, err := FromNATS(binaryHeader("Content-Type", mediaType), []byte(minimalData))
		require.Equal(t, ok, err == nil, "%s: %v", mediaType, err)
	}
}

// A header that cannot be decoded is one fault, not also a missing attribute.
func TestFromNATS_UndecodableHeaderIsOneFault(t *testing.T) {
	for _, name := range []string{"id", "source", "type", "subject", "specversion", "time", "dataschema", "traceid"} {
		for _, value := range []string{"%zz", "%", "caf\xe9", "%FF"} {
			h := binaryHeader()
			h["ce-"+name] = []string{value}
			_, err := FromNATS(h, []byte(minimalData))
			requireFaults(t, err, "$."+name+" ")
		}
	}
	h := http.Header{"Content-Type": {"application/json"}, "Ce-Datacontenttype": {"%zz"}}
	for name, values := range binaryHeader() {
		h[http.CanonicalHeaderKey(name)] = values
	}
	reports, err := FromHTTP(h, []byte(minimalData))
	require.NoError(t, err)
	requireFaults(t, reports.Parse(0).Err, "$.datacontenttype has a %")
}
