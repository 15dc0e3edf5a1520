package intake

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/cloudevent"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// A refused report has a receipt and a record, however long its sender tries to make
// them.
func TestRefusal_FitsAMessage(t *testing.T) {
	d := open(t)
	const size = 1 << 20
	fill := func(before, unit, after string, size int) []byte {
		return []byte(before + strings.Repeat(unit, (size-len(before)-len(after))/len(unit)) + after)
	}
	for name, s := range map[string]submission{
		"an id":                   {payload: fill(`{"id":"`, "<", `"}`, size)},
		"an id that could be":     {payload: fill(`{"id":"`, "<", `"}`, cloudevent.MaxBytes)},
		"facilities":              {payload: fill(`{"data":{"facilities":["`, `","`, `"]}}`, size)},
		"facilities, not so many": {payload: fill(`{"data":{"facilities":["`, `","`, `"]}}`, cloudevent.MaxBytes)},
		"outages":                 {payload: fill(`{"data":{"facts":{"outage":[`, `{"facility":"<"},`, `{}]}}}`, cloudevent.MaxBytes)},
		"a header":                {header: nats.Header{"ce-id": {strings.Repeat("<", size)}}},
		"bytes in a header":       {header: nats.Header{"x": {strings.Repeat("\xff", size)}}},
		"lines":                   {header: nats.Header{"x": make([]string, size/4)}},
	} {
		s.operator, s.transport = "grid-east", "nats"
		s.event, s.err = cloudevent.FromNATS(s.header, s.payload)
		receipts, err := d.take(t.Context(), nil, []submission{s})
		require.NoError(t, err, name)
		require.Equal(t, event.StatusRejected, receipts[0].Status, name)
		raw, err := json.Marshal(receipts[0])
		require.NoError(t, err)
		require.Less(t, len(raw), 2<<20, name)
	}
	body := fill(`{"source":"`, "<", `"}`, size)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/v1/reports", strings.NewReader(string(body)))
	r.Header.Set("Content-Type", "application/cloudevents+json")
	d.post(w, r.WithContext(identity.With(t.Context(), identity.Anyone)))
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Less(t, w.Body.Len(), 1<<16)
}
