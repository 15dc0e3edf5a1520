package ledger

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/httpedge"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// web is a ledger that is queried over HTTP, and over NATS.
type web struct {
	t      *testing.T
	env    *bustest.Env
	server *httptest.Server
}

// onWeb runs a ledger and its API, under /v1, as the product does; change is applied
// before it opens.
func onWeb(t *testing.T, change func(*httpAPI)) *web {
	t.Helper()
	w, l := onWebIdle(t, change)
	bustest.Background(t, l.Run)
	bustest.Answers(t, w.env, api.EndpointArchive)
	return w
}

// onWebIdle leaves running the ledger to the caller.
func onWebIdle(t *testing.T, change func(*httpAPI)) (*web, *Ledger) {
	t.Helper()
	env := bustest.Start(t)
	l, err := Open(ledgertest.Anyone(t), Deps{Bus: env.Bus, Endpoints: env.Endpoints, Clock: clock.NewManual(ledgertest.Nine.Add(36*time.Minute + 30*time.Second)), Log: zap.NewNop(), Dir: t.TempDir()})
	require.NoError(t, err)
	s := httptest.NewUnstartedServer(nil)
	s.Config = httpedge.Server(webOf(l, change))
	s.Start()
	t.Cleanup(s.Close)
	return &web{t, env, s}, l
}

// webOf returns the API of a ledger, for any caller.
func webOf(l *Ledger, change func(*httpAPI)) http.Handler {
	mux := http.NewServeMux()
	api := httpedge.NewAPI(mux, "test", "")
	d := newHTTPAPI(l, huma.NewGroup(api, "/v1"))
	if change != nil {
		change(d)
	}
	d.register()
	mux.Handle("/", httpedge.Fallback(mux))
	return httpedge.Identify(mux, nil)
}

// open sends a request and leaves the body to be read.
func (w *web) open(ctx context.Context, method, path string, header ...string) *http.Response {
	w.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, w.server.URL+path, nil)
	require.NoError(w.t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func (w *web) get(path string, header ...string) (*http.Response, string) {
	w.t.Helper()
	resp := w.open(ledgertest.Anyone(w.t), http.MethodGet, path, header...)
	body, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	require.Equal(w.t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
	return resp, string(body)
}

// want gets a path and requires a good answer.
func (w *web) want(path string, header ...string) (*http.Response, string) {
	w.t.Helper()
	resp, body := w.get(path, header...)
	require.Equal(w.t, http.StatusOK, resp.StatusCode, "%s: %s", path, body)
	return resp, body
}

// refused gets a path and requires a problem.
func (w *web) refused(status int, path string, header ...string) httpedge.Problem {
	w.t.Helper()
	resp, body := w.get(path, header...)
	require.Equal(w.t, status, resp.StatusCode, "%s: %s", path, body)
	require.Equal(w.t, "application/problem+json", resp.Header.Get("Content-Type"))
	p := decoded[httpedge.Problem](w.t, body)
	require.Equal(w.t, status, p.Status)
	return p
}

func decoded[T any](t *testing.T, text string) (v T) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &v), text)
	return v
}

// The answer over HTTP is the same as over NATS, for every query.
func TestHTTP_AnswersLikeNATS(t *testing.T) {
	t.Parallel()
	w := onWeb(t, nil)
	sample(t, w.env)
	several(t, w.env)
	head, err := w.env.Bus.Head(ledgertest.Anyone(t))
	require.NoError(t, err)
	for query, q := range map[string]api.Query{
		"":                                    {},
		"grade=major":                         {Grade: "major"},
		"operator=xj-hydro":                   {Operator: "xj-hydro"},
		"desk=national-cyberspace":            {Desk: "national-cyberspace"},
		"region=650000":                       {Region: "650000"},
		"sector=water":                        {Sector: "water"},
		"statute=test-law-2025":               {Statute: "test-law-2025"},
		"text=" + url.QueryEscape("故障"):       {Text: "故障"},
		"since=2026-03-02T01:06:00Z":          {Since: ledgertest.In(6 * time.Minute)},
		"since=2026-03-02T09:06:00%2B08:00":   {Since: ledgertest.In(6 * time.Minute)},
		"since=2026-03-02T09:06:00+08:00":     {Since: ledgertest.In(6 * time.Minute)}, // the plus arrives as a blank
		"until=2026-03-02":                    {Until: ledgertest.In(-9 * time.Hour)},
		"overdue=true&operator=grid-east":     {Overdue: true, Operator: "grid-east"},
		"unacknowledged=true":                 {Unacknowledged: true},
		"limit=2&desk=protection-energy":      {Limit: 2, Desk: "protection-energy"},
		"limit=2&cursor=3":                    {Limit: 2, Cursor: "3"},
		"grade=ungraded&limit=0&overdue=true": {Grade: "ungraded", Overdue: true},
	} {
		resp, body := w.want("/v1/escalations?" + query)
		require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
		require.Equal(t, "Accept", resp.Header.Get("Vary"))
		require.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
		require.Empty(t, resp.Header.Get("ETag"), "a page changes")
		want := ask[api.QueryAnswer](t, w.env, api.EndpointQuery, q)
		require.Empty(t, want.Errors)
		require.Equal(t, want, decoded[api.QueryAnswer](t, body), query)
		require.EqualValues(t, head, want.Through)
	}
	for query, q := range map[string]api.IncidentQuery{
		"":                   {},
		"operator=xj-hydro":  {Operator: "xj-hydro"},
		"desk=one&open=true": {Desk: "one", Open: true},
		"owed=true":          {Owed: true},
		"operator=grid-east&incident=" + url.QueryEscape("变电站"): {Operator: "grid-east", Incident: "变电站"},
		"grade=major&text=" + url.QueryEscape("故障"):             {Grade: "major", Text: "故障"},
		"limit=2&cursor=3": {Limit: 2, Cursor: "3"},
	} {
		_, body := w.want("/v1/incidents?" + query)
		require.Equal(t, ask[api.IncidentAnswer](t, w.env, api.EndpointIncidents, q), decoded[api.IncidentAnswer](t, body), query)
	}
	for _, by := range api.StatsDimensions {
		_, body := w.want("/v1/stats?unacknowledged=true&by=" + by)
		want := ask[api.StatsAnswer](t, w.env, api.EndpointStats, api.StatsQuery{By: by, Query: api.Query{Unacknowledged: true}})
		require.Empty(t, want.Errors)
		require.Equal(t, want, decoded[api.StatsAnswer](t, body), by)
	}
	for path, q := range map[string]api.ShowRequest{
		"grid-east/x":                          {Operator: "grid-east", Incident: "x"},
		"grid-east/x?after=4":                  {Operator: "grid-east", Incident: "x", After: 4},
		"grid-east/x?after=100":                {Operator: "grid-east", Incident: "x", After: 100},
		"grid-east/" + url.PathEscape("变电站"):   {Operator: "grid-east", Incident: "变电站"},
		"grid-east/" + url.PathEscape("plain"): {Operator: "grid-east", Incident: "plain"},
	} {
		_, body := w.want("/v1/incidents/" + path)
		require.Equal(t, ask[api.ShowAnswer](t, w.env, api.EndpointShow, q), decoded[api.ShowAnswer](t, body), path)
	}
}

// An id of any characters may appear in a path.
func TestHTTPStory_NameOfAnyCharacters(t *testing.T) {
	t.Parallel()
	w := onWeb(t, nil)
	strange := "事故 1/2?a=b&c #%2F"
	commit(t, w.env, ledgertest.Must(event.NewRecord(event.GradedSubject("grid-east", strange, 1), ledgertest.Nine, "", event.Graded{Operator: "grid-east", Incident: strange, Revision: 1, At: ledgertest.Nine})))
	_, body := w.want("/v1/incidents/grid-east/" + url.PathEscape(strange))
	require.Len(t, decoded[api.ShowAnswer](t, body).Entries, 1)
	require.Contains(t, w.refused(http.StatusNotFound, "/v1/incidents/grid-east/"+url.PathEscape("事故 1/2")).Detail, "事故 1/2")
}

func TestHTTPRefusals(t *testing.T) {
	t.Parallel()
	w := onWeb(t, nil)
	for _, c := range []struct {
		path  string
		paths []string // of the faults
	}{
		{"/v1/escalations?grade=huge&cursor=x", []string{"$.grade"}},
		{"/v1/escalations?cursor=x", []string{"$.cursor"}},
		{"/v1/escalations?since=yesterday&until=2026-13-01", []string{"$.since", "$.until"}},
		{"/v1/escalations?limit=-1&overdue=maybe", []string{"$.limit", "$.overdue"}},
		{"/v1/escalations?grades=major&by=desk", []string{"$.by", "$.grades"}},
		{"/v1/escalations?grade=major&grade=general", []string{"$.grade"}},
		{"/v1/incidents?cursor=-1", []string{"$.cursor"}},
		{"/v1/incidents?owed=2", []string{"$.owed"}},
		{"/v1/incidents/grid-east/x?after=-1", []string{"$.after"}},
		{"/v1/stats", []string{"$.by"}},
		{"/v1/stats?by=colour", []string{"$.by"}},
		{"/v1/stats?by=grade&cursor=3", []string{"$.cursor"}},
		{"/v1/log/records/0", []string{"$.record"}},
		{"/v1/log/records/one", []string{"$.record"}},
		{"/v1/log?x=1", []string{"$.x"}},
	} {
		var got []string
		for _, e := range w.refused(http.StatusBadRequest, c.path).Errors {
			require.NotEmpty(t, e.Message)
			got = append(got, e.Path)
		}
		require.Equal(t, c.paths, got, c.path)
	}
	for _, path := range []string{"/v1", "/v1/", "/v1/escalation", "/v1/incidents/grid-east", "/v1/incidents/grid-east/never", "/v1/log/records", "/v1/exercise/escalations", "/docs"} {
		w.refused(http.StatusNotFound, path)
	}
	require.Contains(t, w.refused(http.StatusNotAcceptable, "/v1/escalations", "Accept", "application/xml").Detail, "text/csv")
	w.refused(http.StatusNotAcceptable, "/v1/incidents", "Accept", "text/event-stream")
	for _, path := range []string{"/v1/escalations", "/v1/log/records/1", "/v1/log/tile/0/000.p/1", "/openapi.json"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
			resp := w.open(ledgertest.Anyone(t), method, path)
			require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode, path)
			require.Equal(t, "GET, HEAD", resp.Header.Get("Allow"))
			require.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"))
		}
	}
}

// If the stream does not answer, the answer is 503 with Retry-After.
func TestHTTP_UnavailableStreamIs503(t *testing.T) {
	t.Parallel()
	w, _ := onWebIdle(t, nil)
	w.env.Conn.Close()
	for _, path := range []string{"/v1/escalations", "/v1/incidents", "/v1/stats?by=grade", "/v1/incidents/grid-east/x"} {
		for _, form := range []string{"application/json", "text/csv", "text/event-stream, */*;q=0.1"} {
			p := w.refused(http.StatusServiceUnavailable, path, "Accept", form)
			require.Empty(t, p.Errors)
			require.NotContains(t, p.Detail, "nats", "what failed in here is nobody else's business")
			resp, _ := w.get(path, "Accept", form)
			require.Equal(t, "1", resp.Header.Get("Retry-After"))
		}
	}
}
