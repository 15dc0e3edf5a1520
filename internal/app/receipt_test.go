package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/cloudevent"
	"github.com/tocsin-project/tocsin/internal/event"
)

// rejected returns what is kept of refused reports.
func (w *world) rejected() (kept []event.Rejected) {
	w.t.Helper()
	stream, err := w.js.Stream(w.t.Context(), event.StreamRejected)
	require.NoError(w.t, err)
	info, err := stream.Info(w.t.Context(), jetstream.WithSubjectFilter(">"))
	require.NoError(w.t, err)
	for subject := range info.State.Subjects {
		m, err := stream.GetLastMsgForSubject(w.t.Context(), subject)
		require.NoError(w.t, err)
		var r event.Rejected
		require.NoError(w.t, json.Unmarshal(m.Data, &r))
		kept = append(kept, r)
	}
	return kept
}

func TestDuplicate_ChangesNothing(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	raw := cloudEvent("initial", at, inc, "r1", onSite+large)
	first := w.send(at, raw)
	require.Equal(t, event.StatusAccepted, first.Status)
	require.True(t, first.ReceivedAt.Equal(nine))
	require.NotZero(t, first.Record)
	require.Len(t, first.Digest, 64)
	require.Empty(t, first.Durability, "the embedded server syncs every write")
	records := w.settled().countWithoutAlarms()

	w.at("09:45")
	var pretty bytes.Buffer
	require.NoError(t, json.Indent(&pretty, raw, "", "   "))
	reordered := bytes.Replace(raw, []byte(`"duration":"PT20M"`), []byte(`"duration" : "\u0050T20M"`), 1)
	for _, again := range [][]byte{raw, pretty.Bytes(), reordered} {
		r := w.send(at, again)
		require.Equal(t, event.StatusDuplicate, r.Status)
		require.Equal(t, first.Record, r.Record)
		require.Equal(t, first.ReceivedAt, r.ReceivedAt, "the receipt of the first")
		require.Equal(t, first.Digest, r.Digest)
	}

	// The same id with other data: a conflict, which is kept.
	other := cloudEvent("initial", at, inc, "r1", onSite+grave)
	for range 2 {
		r := w.send(at, other)
		require.Equal(t, event.StatusConflict, r.Status)
		require.Equal(t, first.Record, r.Record)
		require.Equal(t, first.ReceivedAt, r.ReceivedAt)
		require.Equal(t, "$.id", r.Errors[0].Path)
	}
	kept := w.rejected()
	require.Len(t, kept, 1)
	require.Equal(t, other, kept[0].Payload)
	require.Equal(t, at, kept[0].Operator)

	// The same id of another source is another report.
	require.Equal(t, event.StatusAccepted, w.send(at, bytes.Replace(raw, []byte("urn:tocsin:operator:grid-east"), []byte("https://example.com/operators/grid-east"), 1)).Status)
	h := w.settled()
	require.Equal(t, event.RelativelyLarge, h.last(t, at, inc).Grade, "the conflict decided nothing")
	require.Equal(t, records+1+1+2, h.countWithoutAlarms(), "the other report, its revision and two updates; no record for a repeat")
}

func TestRejection_NamesEveryFaultAndIsStored(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	bad := []byte(`{"specversion":"1.0","id":"r1","source":"urn:tocsin:operator:grid-east","type":"tocsin.report.initial.v1","subject":"x",
		"data":{"facilities":["dispatch","nowhere"],"discoveredAt":"yesterday","containsNoStateSecrets":false,"facts":{"outage":[{"scope":"all","duration":"PT1H"}],"peopleAffected":"many"},"victims":["name"]}}`)
	r := w.send(at, bad)
	require.Equal(t, event.StatusRejected, r.Status)
	require.Equal(t, "r1", r.Report)
	require.Equal(t, "x", r.Incident)
	require.Zero(t, r.Record)
	var paths []string
	for _, e := range r.Errors {
		require.NotEmpty(t, e.Message)
		paths = append(paths, e.Path)
	}
	require.Equal(t, []string{"$.data.containsNoStateSecrets", "$.data.discoveredAt", "$.data.facilities[1]", "$.data.facts.outage[0].scope",
		"$.data.facts.peopleAffected", "$.data.victims"}, paths)
	require.Equal(t, r, w.send(at, bad), "the same answer again")
	kept := w.rejected()
	require.Len(t, kept, 1, "once a digest")
	require.Equal(t, bad, kept[0].Payload)
	require.Equal(t, r.Errors, kept[0].Errors)
	require.Equal(t, len(bad), kept[0].Size)

	// What only the register can refuse.
	unknown := cloudEvent("initial", at, "x", "r2", `"facilities":["nowhere","dispatch"],"facts":{"outage":[{"facility":"elsewhere","scope":"overall","duration":"PT1H"}]}`)
	r = w.send(at, unknown)
	require.Equal(t, event.StatusRejected, r.Status)
	require.Equal(t, "$.data.facilities[0]", r.Errors[0].Path)
	require.Equal(t, "$.data.facts.outage[0].facility", r.Errors[1].Path)
	r = w.send(at, cloudEvent("initial", "xj-hydro", "x", "r3", `"facilities":["dispatch"]`))
	require.Equal(t, "$.source", r.Errors[0].Path, "may not speak for another")
	r = w.send("stranger", cloudEvent("initial", "stranger", "x", "r4", `"facilities":["dispatch"]`))
	require.Equal(t, event.StatusRejected, r.Status)
	require.Equal(t, "$.source", r.Errors[0].Path)
	r = w.send(at, []byte("not even JSON"))
	require.Equal(t, event.StatusRejected, r.Status)
	require.Len(t, w.rejected(), 5)
	require.Empty(t, w.settled().accepted)
}

func TestHTTP_AcceptsReports(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	post := func(contentType string, body []byte, extra ...string) (int, string, []byte) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.app.HTTPAddr()+"/v1/reports", bytes.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", contentType)
		for i := 0; i < len(extra); i += 2 {
			req.Header.Set(extra[i], extra[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, resp.Header.Get("Content-Type"), answer
	}
	receipt := func(raw []byte) (r event.Receipt) {
		require.NoError(t, json.Unmarshal(raw, &r))
		return r
	}
	raw := cloudEvent("initial", at, "h1", "r1", onSite+large)
	status, _, body := post("application/cloudevents+json", raw)
	require.Equal(t, http.StatusOK, status, string(body))
	require.Equal(t, event.StatusAccepted, receipt(body).Status)
	require.Equal(t, at, receipt(body).Operator, "the last segment of the source")
	require.Equal(t, event.StatusDuplicate, w.send(at, raw).Status, "one report, whatever its endpoint")

	status, _, body = post("application/json", []byte(`{"facilities":["dispatch"],"discoveredAt":"2026-03-02T08:40:00+08:00","containsNoStateSecrets":true}`),
		"ce-specversion", "1.0", "ce-id", "r1", "ce-source", "https://example.com/operators/grid-east", "ce-type", event.TypeInitial, "ce-subject", "%E4%BA%8B%E4%BB%B6")
	require.Equal(t, http.StatusOK, status, string(body))
	require.Equal(t, "事件", receipt(body).Incident)

	status, contentType, body := post("application/cloudevents+json", bytes.Replace(raw, []byte("PT20M"), []byte("PT21M"), 1))
	require.Equal(t, http.StatusConflict, status)
	require.Equal(t, "application/problem+json", contentType)
	require.Contains(t, string(body), `"path":"$.id"`)

	status, contentType, body = post("application/cloudevents+json", []byte(`{"specversion":"1.0"}`))
	require.Equal(t, http.StatusBadRequest, status)
	require.Equal(t, "application/problem+json", contentType)
	for _, path := range []string{"$.id", "$.source", "$.type", "$.subject", "$.data"} {
		require.Contains(t, string(body), fmt.Sprintf(`"path":%q`, path))
	}

	batch := fmt.Sprintf("[%s,%s,%s,%s]", raw, cloudEvent("initial", "city-clinic", "h2", "r1", `"facilities":["records"]`),
		`{"specversion":"1.0"}`, cloudEvent("initial", "city-clinic", "h2", "r1", `"facilities":["records"]`))
	status, _, body = post("application/cloudevents-batch+json", []byte(batch))
	require.Equal(t, http.StatusOK, status, string(body))
	var receipts []event.Receipt
	require.NoError(t, json.Unmarshal(body, &receipts))
	var states []string
	for _, r := range receipts {
		states = append(states, r.Status)
	}
	require.Equal(t, []string{event.StatusDuplicate, event.StatusAccepted, event.StatusRejected, event.StatusDuplicate}, states, "one receipt an event, in order")

	status, _, _ = post("application/cloudevents-batch+json", []byte(`{"not":"a list"}`))
	require.Equal(t, http.StatusBadRequest, status)
	status, _, _ = post("application/cloudevents+avro", []byte("x"))
	require.Equal(t, http.StatusUnsupportedMediaType, status)
	status, _, _ = post("application/cloudevents-batch+json", []byte(strings.Repeat(" ", 17<<20)))
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	require.Len(t, w.rejected(), 6, "whatever is refused is kept")
	w.settled()
}

func TestReport_TooLargeIsRejectedWithAReceipt(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	r := w.send(at, cloudEvent("initial", at, inc, "r1", onSite+`"other":"`+strings.Repeat("x", cloudevent.MaxBytes)+`"`))
	require.Equal(t, event.StatusRejected, r.Status)
	require.Contains(t, r.Errors[0].Message, "at most 262144")
	require.True(t, w.rejected()[0].ReceivedAt.Equal(nine.Truncate(time.Millisecond)))
}
