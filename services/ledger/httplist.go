package ledger

import (
	"cmp"
	"context"
	"maps"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/httpedge"
)

// Page is the range of a list.
type Page struct {
	Limit  int    `query:"limit" minimum:"0" doc:"rows at most; 0: a full page, or everything in the forms without pages"`
	Cursor string `query:"cursor" doc:"next of the answer before; stays good for ever"`
}

// registerLists answers with escalations, incidents and counts.
func (d *httpAPI) registerLists() {
	huma.Register(d.api, d.listing("escalations", "escalations", "Who was told what, when and under which article",
		"Escalations in ledger order, as they stand now: what becomes of one changes its row, so no page has an ETag.\n\n"+aboutForms+"\n\n"+aboutEvents,
		httpedge.Schema[api.QueryAnswer](d.api), httpedge.Schema[api.EscalationRow](d.api),
		map[string]*huma.MediaType{formEvents: {Schema: &huma.Schema{Type: huma.TypeString, Description: "events named escalation: data is a row, id its record"}}},
	), d.askEscalations)
	huma.Register(d.api, d.listing("incidents", "incidents", "How incidents stand",
		"Incidents as their last revisions have them, the one that changed longest ago first. One that is revised meanwhile comes again, as it then is.\n\n"+aboutForms,
		httpedge.Schema[api.IncidentAnswer](d.api), httpedge.Schema[api.IncidentRow](d.api), nil,
	), d.askIncidents)
	huma.Register(d.api, d.listing("stats", "stats", "Escalations counted",
		"Counts by one dimension, with the shares told and acknowledged in time. An escalation with several values counts under each.",
		httpedge.Schema[api.StatsAnswer](d.api), httpedge.Schema[api.StatsRow](d.api), nil,
	), d.askStats)
}

const aboutForms = `As application/json this is one page, with the cursor of the next one. As
application/x-ndjson (or application/jsonl; the schema is that of one line) and
text/csv it is everything up to limit, of any size; where it breaks off it ends
without the last chunk, never as if it were whole. The record of its last row is
the cursor to go on from.`

func (d *httpAPI) listing(name, tag, summary, description string, page, row *huma.Schema, more map[string]*huma.MediaType) huma.Operation {
	content := map[string]*huma.MediaType{
		formJSON: {Schema: page}, formLines: {Schema: row}, formLines2: {Schema: row},
		formCSV: {Schema: &huma.Schema{Type: huma.TypeString, Description: "a header, and a line for each row; an apostrophe stands before what a spreadsheet would take for a formula, at the beginning of a cell or behind a separator; with Accept: text/csv;profile=excel it begins with a byte order mark"}},
	}
	maps.Copy(content, more)
	responses := httpedge.Responses(d.api, http.StatusBadRequest, http.StatusNotAcceptable, http.StatusServiceUnavailable)
	responses["200"] = &huma.Response{Description: http.StatusText(http.StatusOK), Content: content}
	return huma.Operation{
		OperationID: name, Method: http.MethodGet, Path: "/" + name, Tags: []string{tag},
		Summary: summary, Description: description, Responses: responses,
	}
}

func (d *httpAPI) askEscalations(ctx context.Context, in *struct {
	Filters
	Page
	LastEventID string `header:"Last-Event-ID" doc:"the id of the last event that came; it goes before cursor"`
}) (*httpedge.Raw, error) {
	q, err := in.query()
	if err != nil {
		return nil, d.problem(ctx, err)
	}
	return table[api.EscalationRow]{
		columns: api.EscalationColumns,
		ask: func(ctx context.Context, cursor string, limit int) (any, []api.EscalationRow, string, error) {
			q.Cursor, q.Limit = cursor, limit
			a, err := d.escalations(ctx, q)
			return a, a.Rows, a.Next, err
		},
		events: func(w http.ResponseWriter, r *http.Request) {
			q.Cursor, q.Limit = cmp.Or(in.LastEventID, in.Cursor), in.Limit
			d.events(w, r, q)
		},
	}.answer(d, in.Cursor, in.Limit), nil
}

func (d *httpAPI) askIncidents(_ context.Context, in *struct {
	Operator string `query:"operator" doc:"the operator that reported"`
	Incident string `query:"incident" doc:"the incident, as the operator calls it"`
	Desk     string `query:"desk" doc:"a desk that was told of it"`
	Grade    string `query:"grade" enum:"especially-grave,major,relatively-large,general,ungraded" doc:"the grade"`
	Text     string `query:"text" doc:"words of the title, Chinese or Latin; all of them must stand in it"`
	Owed     bool   `query:"owed" doc:"something is owed"`
	Open     bool   `query:"open" doc:"neither withdrawn nor closed by the desk since it was last told"`
	Page
}) (*httpedge.Raw, error) {
	q := api.IncidentQuery{Operator: in.Operator, Incident: in.Incident, Desk: in.Desk, Grade: in.Grade, Text: in.Text, Owed: in.Owed, Open: in.Open}
	return table[api.IncidentRow]{
		columns: api.IncidentColumns,
		ask: func(ctx context.Context, cursor string, limit int) (any, []api.IncidentRow, string, error) {
			q.Cursor, q.Limit = cursor, limit
			a, err := d.incidents(ctx, q)
			return a, a.Rows, a.Next, err
		},
	}.answer(d, in.Cursor, in.Limit), nil
}

func (d *httpAPI) askStats(ctx context.Context, in *struct {
	By string `query:"by" required:"true" enum:"grade,desk,sector,region,statute,month" doc:"what is counted by; a month is one at +08:00, by when the desk was told"`
	Filters
}) (*httpedge.Raw, error) {
	q, err := in.query()
	if err != nil {
		return nil, d.problem(ctx, err)
	}
	return table[api.StatsRow]{
		columns: api.StatsColumns,
		ask: func(ctx context.Context, _ string, _ int) (any, []api.StatsRow, string, error) {
			a, err := d.stats(ctx, api.StatsQuery{By: in.By, Query: q})
			return a, a.Rows, "", err
		},
	}.answer(d, "", 0), nil
}
