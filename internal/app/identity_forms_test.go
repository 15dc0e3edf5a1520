package app_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// A regulator sees the same in every form of an answer.
func TestScope_HoldsInEveryMediaType(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	tokens := map[string]string{}
	for _, id := range []string{"nation", "xinjiang", "energy", "xj-energy"} {
		tokens[id] = g.token(identity.Regulator, id)
	}
	open := func(id, path, form string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.app.HTTPAddr()+path, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+tokens[id])
		req.Header.Set("Accept", form)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		t.Cleanup(func() { _ = resp.Body.Close() })
		require.Equal(t, http.StatusOK, resp.StatusCode, "%s %s", path, form)
		return resp
	}
	live := map[string]*bufio.Scanner{}
	for _, id := range []string{"nation", "xinjiang", "energy"} {
		live[id] = bufio.NewScanner(open(id, "/v1/escalations", "text/event-stream").Body)
		live[id].Buffer(nil, 1<<20)
	}
	const last = "w2" // of each kind there is one before it
	for _, r := range []struct{ operator, incident, facility string }{
		{"grid-east", "i1", "dispatch"}, {"xj-hydro", "w1", "station-3"}, {"grid-east", "i2", "dispatch"}, {"xj-hydro", last, "station-3"},
	} {
		receipt, err := g.as(identity.Operator, r.operator).Report(t.Context(), r.operator, cloudEvent("initial", r.operator, "mark-"+r.incident, "r1",
			`"facilities":["`+r.facility+`"],"discoveredAt":"`+time.Now().Add(-time.Minute).Format(time.RFC3339)+`","facts":{"outage":[{"facility":"`+r.facility+`","scope":"overall","duration":"PT7H"}]}`))
		require.NoError(t, err)
		require.Equal(t, event.StatusAccepted, receipt.Status, "%+v", receipt.Errors)
	}
	sees := map[string][]string{"nation": {"i1", "w1", "i2", last}, "xinjiang": {"w1", last}, "energy": {"i1", "i2"}, "xj-energy": nil}
	want := func(id, text, where string) {
		for _, incident := range sees["nation"] {
			seen := false
			for _, s := range sees[id] {
				seen = seen || s == incident
			}
			require.Equal(t, seen, strings.Contains(text, "mark-"+incident), "%s and %s: %s", id, incident, where)
		}
	}
	for id, lines := range live {
		var text strings.Builder
		for seen := sees[id]; !strings.Contains(text.String(), "mark-"+seen[len(seen)-1]) && lines.Scan(); {
			text.WriteString(lines.Text() + "\n")
		}
		want(id, text.String(), "live")
	}
	for id := range tokens {
		for _, path := range []string{"/v1/escalations", "/v1/incidents"} {
			for _, form := range []string{"application/json", "application/x-ndjson", "text/csv"} {
				require.Eventually(t, func() bool {
					raw, err := io.ReadAll(open(id, path+"?limit=1000", form).Body)
					require.NoError(t, err)
					for _, incident := range sees[id] {
						if !strings.Contains(string(raw), "mark-"+incident) {
							return false // the index does not have it yet
						}
					}
					want(id, string(raw), path+" as "+form)
					return true
				}, 30*time.Second, 20*time.Millisecond, "%s: %s as %s", id, path, form)
			}
		}
		raw, err := io.ReadAll(open(id, "/v1/stats?by=sector", "text/csv").Body)
		require.NoError(t, err)
		for sector, incident := range map[string]string{"energy": "i1", "water": "w1"} {
			require.Equal(t, strings.Contains(strings.Join(sees[id], " "), incident), strings.Contains(string(raw), sector), "%s counts %s:\n%s", id, sector, raw)
		}
	}
}
