package ledger

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/httpedge"
	"github.com/tocsin-project/tocsin/internal/tally"
)

// Bounds of long requests, for each realm. Beyond them the answer is 503, and 429 for a
// party that has used its share.
const (
	maxExports   = 16  // JSON Lines and CSV
	maxListeners = 256 // server-sent events
)

// httpAPI answers over HTTP with the same methods as over NATS.
type httpAPI struct {
	*Ledger
	api       huma.API
	exports   *httpedge.Streams
	listeners *httpedge.Streams
	heartbeat time.Duration
	failed    *tally.Tally // requests without an answer
	broken    *tally.Tally // streams and exports that ended too early
}

// Register adds the ledger's operations to an API, which sets the prefix of the paths. It
// offers no removal, archive or audit.
func (l *Ledger) Register(api huma.API) { newHTTPAPI(l, api).register() }

func newHTTPAPI(l *Ledger, api huma.API) *httpAPI {
	now := clock.System{}.Now // the machine's, whatever a drill's clock shows
	return &httpAPI{
		Ledger: l, api: api, heartbeat: heartbeat,
		exports: httpedge.NewStreams(maxExports, now), listeners: httpedge.NewStreams(maxListeners, now),
		failed: tally.InLog(l.deps.Log.Error, "requests failed", "requests"),
		broken: tally.InLog(l.deps.Log.Error, "streams broke off", "streams"),
	}
}

func (d *httpAPI) register() {
	registry := d.api.OpenAPI().Components.Schemas
	registry.RegisterTypeAlias(reflect.TypeFor[api.EscalationRow](), reflect.TypeFor[escalationRow]())
	d.registerLists()
	d.registerStory()
	d.registerLog()
	for _, answer := range []string{"QueryAnswer", "IncidentAnswer", "StatsAnswer", "ShowAnswer"} {
		delete(registry.Map()[answer].Properties, "errors") // they are a problem over HTTP
	}
}

// escalationRow is api.EscalationRow as it is encoded.
type escalationRow struct {
	AcknowledgedBy *string `json:"acknowledgedBy"`
	api.EscalationRow
}

func (d *httpAPI) problem(ctx context.Context, err error) *httpedge.Problem {
	if p := (*httpedge.Problem)(nil); errors.As(err, &p) {
		return p
	}
	if f := endpoint.Forbidden(""); errors.As(err, &f) {
		return httpedge.NewProblem(http.StatusForbidden, string(f))
	}
	if details := fault.DetailsOf(err); details != nil {
		return httpedge.InvalidQuery(details)
	}
	if ctx.Err() == nil { // otherwise the client is gone
		d.failed.Add(err.Error())
	}
	if u := endpoint.Unavailable(""); errors.As(err, &u) {
		return httpedge.NewProblem(http.StatusServiceUnavailable, string(u))
	}
	return httpedge.NewProblem(http.StatusServiceUnavailable, "there is no answer at the moment: ask again")
}

// Filters select escalations; all that are given must match.
type Filters struct {
	Grade          string `query:"grade" enum:"especially-grave,major,relatively-large,general,ungraded" doc:"the grade"`
	Operator       string `query:"operator" doc:"the operator that reported"`
	Desk           string `query:"desk" doc:"the desk that was told"`
	Region         string `query:"region" doc:"GB/T 2260 code of a facility's region; a province covers its prefectures"`
	Sector         string `query:"sector" doc:"the sector of a facility"`
	Statute        string `query:"statute" doc:"the statute that demanded it"`
	Text           string `query:"text" doc:"words of the title, Chinese or Latin; all of them must stand in it"`
	Since          string `query:"since" doc:"told at this time or later: RFC 3339, or a date at +08:00"`
	Until          string `query:"until" doc:"told before this time"`
	Overdue        bool   `query:"overdue" doc:"past the desk's target and not acknowledged"`
	Unacknowledged bool   `query:"unacknowledged" doc:"not acknowledged"`
}

// query reads the filters, or returns all their faults.
func (f *Filters) query() (api.Query, error) {
	q := api.Query{
		Grade: f.Grade, Operator: f.Operator, Desk: f.Desk, Region: f.Region, Sector: f.Sector, Statute: f.Statute, Text: f.Text,
		Overdue: f.Overdue, Unacknowledged: f.Unacknowledged,
	}
	var faults []fault.Detail
	for _, m := range []struct {
		name, text string
		into       **time.Time
	}{{"since", f.Since, &q.Since}, {"until", f.Until, &q.Until}} {
		t, err := parseTime(m.text)
		if err != nil {
			faults = append(faults, fault.Detail{Path: "$." + m.name, Message: err.Error()})
		}
		*m.into = t
	}
	if faults != nil {
		return q, fault.Invalid(Name, faults)
	}
	return q, nil
}

// parseTime parses a time, or a date as its midnight in the zone of the statutes. A plus
// sign that was not escaped arrives in a query as a blank.
func parseTime(text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, strings.Replace(text, " ", "+", 1)); err == nil {
		return &t, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, text, event.Beijing)
	if err != nil {
		return nil, fmt.Errorf("%q is neither RFC 3339 nor a date", text)
	}
	return &t, nil
}

// registerStory answers with the story of an incident.
func (d *httpAPI) registerStory() {
	type question struct {
		Operator string `path:"operator" doc:"the operator"`
		Incident string `path:"incident" doc:"the incident, as the operator calls it"`
		After    uint64 `query:"after" doc:"go on after the entry of this record"`
	}
	type answer struct {
		CacheControl string `header:"Cache-Control"`
		Body         api.ShowAnswer
	}
	huma.Register(d.api, huma.Operation{
		OperationID: "story", Method: http.MethodGet, Path: "/incidents/{operator}/{incident}", Tags: []string{"incidents"},
		Summary:     "The whole story of an incident, in order",
		Description: "Every record of the incident in ledger order. Where there is more, ask again with after the record of the last entry.",
		Responses:   httpedge.Responses(d.api, http.StatusBadRequest, http.StatusNotFound, http.StatusServiceUnavailable),
	}, func(ctx context.Context, q *question) (*answer, error) {
		a, err := d.story(ctx, api.ShowRequest{Operator: q.Operator, Incident: q.Incident, After: q.After})
		if err != nil {
			return nil, d.problem(ctx, err)
		}
		if len(a.Entries) == 0 && q.After == 0 {
			return nil, httpedge.NewProblem(http.StatusNotFound, "no record of "+q.Operator+"/"+q.Incident)
		}
		return &answer{httpedge.CacheNever, a}, nil
	})
}
