package app_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/services/intake"
	"github.com/tocsin-project/tocsin/services/ledger"
)

// paths are those of the API's description, with their methods.
func (w *world) paths() map[string]map[string]any {
	w.t.Helper()
	status, body := w.get("/openapi.json")
	require.Equal(w.t, http.StatusOK, status)
	var doc struct{ Paths map[string]map[string]any }
	require.NoError(w.t, json.Unmarshal([]byte(body), &doc))
	return doc.Paths
}

// Both realms have the same operations, and neither shows the other's records.
func TestOpenAPI_OfBothRealms(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	paths := w.paths()
	ids := map[string]bool{}
	for path, item := range paths {
		if rest, drill := strings.CutPrefix(path, "/v1/exercise/"); drill {
			require.Contains(t, paths, "/v1/"+rest)
		} else {
			require.Contains(t, paths, "/v1/exercise/"+strings.TrimPrefix(path, "/v1/"))
		}
		for _, op := range item {
			id := op.(map[string]any)["operationId"].(string)
			require.False(t, ids[id], id)
			ids[id] = true
		}
	}
	require.Contains(t, paths["/v1/reports"], "post")
	require.Contains(t, paths["/v1/escalations"], "get")

	w.report("initial", at, "real-1", "r1", onSite+large)
	w.settled()
	for path, want := range map[string]bool{"/v1": true, "/v1/exercise": false} {
		for _, of := range []string{"/escalations", "/incidents", "/stats?by=desk"} {
			status, body := w.get(path + of)
			require.Equal(t, http.StatusOK, status, body)
			var answer struct{ Rows []map[string]any }
			require.NoError(t, json.Unmarshal([]byte(body), &answer))
			require.Equal(t, want, len(answer.Rows) > 0, path+of)
		}
		status, _ := w.get(path + "/incidents/" + at + "/real-1")
		require.Equal(t, want, status == http.StatusOK)
		status, _ = w.get(path + "/log/key")
		require.Equal(t, http.StatusOK, status)
	}
}

// There are routes for the roles that run here, and for nothing else.
func TestOpenAPI_OfOneRole(t *testing.T) {
	t.Parallel()
	for role, want := range map[string]string{intake.Name: "/v1/reports", ledger.Name: "/v1/escalations"} {
		w := startWorldIn(t, t.TempDir(), func(c *app.Config) { c.Roles = []string{role} })
		paths := w.paths()
		require.Contains(t, paths, want)
		for _, of := range []string{"/v1/reports", "/v1/escalations"} {
			_, there := paths[of]
			require.Equal(t, of == want, there, role)
			status, _ := w.get(of)
			require.Equal(t, of != want, status == http.StatusNotFound, role)
		}
	}
}

// Intake answers as the description says.
func TestReceipts_MatchTheirSchema(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	_, body := w.get("/openapi.json")
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	require.NoError(t, err)
	schema := func(pointer string) *jsonschema.Schema {
		c := jsonschema.NewCompiler()
		c.DefaultDraft(jsonschema.Draft2020)
		c.AssertFormat()
		require.NoError(t, c.AddResource("http://example.com/openapi.json", doc))
		s, err := c.Compile("http://example.com/openapi.json#" + pointer)
		require.NoError(t, err)
		return s
	}
	url := w.app.HTTPAddr() + "/v1/reports"
	good, bad := cloudEvent("initial", at, "inc-1", "r1", onSite+large), cloudEvent("initial", at, "inc-2", "r2", `"facilities":["nowhere"]`)
	batch := []byte("[" + string(good) + "," + string(bad) + "]")
	answers := "/paths/~1v1~1reports/post/responses/200/content/application~1json/schema"
	for _, c := range []struct {
		mediaType string
		body      []byte
		status    int
		schema    string
	}{
		{"application/cloudevents+json", good, 200, answers},
		{"application/cloudevents-batch+json", batch, 200, answers},
		{"application/cloudevents+json", bad, 400, "/components/schemas/Problem"},
		{"application/cloudevents+json", cloudEvent("initial", at, "inc-1", "r1", onSite+large+`,"title":"another"`), 409, "/components/schemas/Problem"},
		{"text/plain", good, 415, "/components/schemas/Problem"},
	} {
		status, answer := w.drillPost(url, c.mediaType, c.body)
		require.Equal(t, c.status, status, "%s", answer)
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(string(answer)))
		require.NoError(t, err)
		require.NoError(t, schema(c.schema).Validate(instance), "%s", answer)
	}
	event, err := jsonschema.UnmarshalJSON(strings.NewReader(string(good)))
	require.NoError(t, err)
	require.NoError(t, schema("/paths/~1v1~1reports/post/requestBody/content/application~1cloudevents+json/schema").Validate(event))
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
	require.Equal(t, "POST", resp.Header.Get("Allow"))
}

// A listener receives an escalation at once, and does not delay the stop.
func TestSlowSubscriber_StopsNothing(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.app.HTTPAddr()+"/v1/escalations", nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	w.report("initial", at, "inc-1", "r1", onSite+large)
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var row api.EscalationRow
			require.NoError(t, json.Unmarshal([]byte(data), &row))
			require.Equal(t, "inc-1", row.Incident)
			break
		}
	}
	require.NoError(t, lines.Err())
	w.shutdown()
	for lines.Scan() {
	}
	require.NoError(t, lines.Err(), "it ends as it should, and is not cut off after a while")
}
