package intake

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/cloudevent"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/httpedge"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/internal/share"
)

// maxBody bounds one request: a batch holds many events of 256 KiB at most.
const maxBody = 16 << 20

// post takes one report (structured or binary) or a batch of them. A single report is
// answered with 200 and its receipt, 400 if it is refused and 409 in a conflict, both as
// problems (RFC 9457); a batch with 200 and one receipt for each event, in order. The
// operator is the last segment of the source.
func (in *Intake) post(w http.ResponseWriter, r *http.Request) {
	caller := identity.Of(r.Context())
	if caller.Role != identity.Operator && caller.Role != identity.Trial {
		httpedge.Write(w, httpedge.NewProblem(http.StatusForbidden, caller.String()+" may not report: an operator does"))
		return
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		httpedge.Write(w, httpedge.NewProblem(http.StatusUnsupportedMediaType, "send the body as it is, without Content-Encoding"))
		return
	}
	party := httpedge.Party(r)
	body, err := httpedge.ReadBody(w, r, in.deps.Endpoints.Memory(), party, maxBody)
	defer body.Release()
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		in.refuseEnvelope(w, r, body.Bytes, http.StatusRequestEntityTooLarge, []fault.Detail{{Path: "$", Message: "is larger than 16 MiB"}})
		return
	case errors.Is(err, share.ErrFull), errors.Is(err, share.ErrShare):
		busy(w, "too much is being sent")
		return
	case err != nil:
		httpedge.Write(w, httpedge.NewProblem(http.StatusBadRequest, "the body could not be read"))
		return
	}
	if caller.Role == identity.Trial {
		party += "/" + in.claimedOperator(r.Header, body.Bytes)
	}
	if err := in.places.Take(party, 1); err != nil { // now that the body has arrived
		busy(w, "too many requests are in progress")
		return
	}
	defer in.places.Give(party, 1)
	in.answerPost(w, r, party, body.Bytes)
}

// answerPost answers a request whose body has arrived.
func (in *Intake) answerPost(w http.ResponseWriter, r *http.Request, party string, body []byte) {
	turn, err := in.deps.Endpoints.Admit(r.Context(), endpoint.Work{Party: party, Cost: endpoint.Cost(len(body))})
	if err != nil {
		busy(w, err.Error())
		return
	}
	defer turn.Leave()
	reports, err := cloudevent.FromHTTP(r.Header, body)
	if err != nil {
		status := http.StatusBadRequest
		if !reports.Batch {
			status = http.StatusUnsupportedMediaType
		}
		turn.Leave()
		in.refuseEnvelope(w, r, body, status, fault.DetailsOf(err))
		return
	}
	var receipts []event.Receipt
	if reports.Batch {
		turn.Leave()
		receipts, err = in.takeBatch(r, party, reports)
	} else {
		receipts, err = in.take(r.Context(), turn, in.submissions(r, reports, 0, 1))
	}
	switch closed, full := bus.Frozen(""), fault.Full(""); {
	case errors.As(err, &full):
		stopped(w, http.StatusInsufficientStorage, full)
	case errors.As(err, &closed):
		stopped(w, http.StatusServiceUnavailable, closed)
	case err != nil:
		in.failed.Add(fmt.Sprintf("take a report: %v", err))
		httpedge.Write(w, httpedge.NewProblem(http.StatusServiceUnavailable, "the outcome is not known: send the same report again, with the same id"))
	case reports.Batch:
		httpedge.JSON(w, http.StatusOK, receipts)
	default:
		answerOne(w, receipts[0])
	}
}

// stopped answers that nothing is taken until an administrator has acted: the disk is
// full, or writing is frozen.
func stopped(w http.ResponseWriter, status int, why error) {
	w.Header().Set("Retry-After", "60")
	httpedge.Write(w, httpedge.NewProblem(status, why.Error()))
}

// busy answers a request of which no report was taken.
func busy(w http.ResponseWriter, why string) {
	httpedge.Write(w, httpedge.NewProblem(http.StatusServiceUnavailable, "busy: "+why+"; nothing was taken; send the same again"))
}

func answerOne(w http.ResponseWriter, r event.Receipt) {
	var p *httpedge.Problem
	switch r.Status {
	case event.StatusRejected:
		p = httpedge.NewProblem(http.StatusBadRequest, "the report is refused; every fault is listed", r.Errors...)
	case event.StatusConflict:
		p = httpedge.NewProblem(http.StatusConflict, "another report has this source and id", r.Errors...)
	default:
		httpedge.JSON(w, http.StatusOK, r)
		return
	}
	p.Receipt = &r
	httpedge.Write(w, p)
}

// refuseEnvelope stores and answers a request that cannot be read as a report.
func (in *Intake) refuseEnvelope(w http.ResponseWriter, r *http.Request, body []byte, status int, faults []fault.Detail) {
	s := submission{operator: anybody, transport: "http", header: ceHeader(r.Header), payload: body}
	if caller := identity.Of(r.Context()); caller.Role == identity.Operator {
		s.operator = caller.ID // the record names it, too
	}
	if err := in.refused.keep(r.Context(), s, faults); err != nil {
		in.failed.Add(fmt.Sprintf("keep a refused request: %v", err))
		httpedge.Write(w, httpedge.NewProblem(http.StatusServiceUnavailable, "the outcome is not known: send it again"))
		return
	}
	httpedge.Write(w, httpedge.NewProblem(status, "the request cannot be read as CloudEvents", faults...))
}

// ceHeader returns the part of a request's header that belongs to the report; the rest
// (cookies, authorisation) must not be kept.
func ceHeader(h http.Header) map[string][]string {
	out := map[string][]string{}
	for name, values := range h {
		if name == "Content-Type" || len(name) > 3 && name[:3] == "Ce-" {
			out[name] = values
		}
	}
	return out
}

// Describe adds the endpoint to the description of an API. Handler serves it.
func (in *Intake) Describe(api huma.API) {
	text := func(about string) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Description: about} }
	data := &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Description: "facilities, discoveredAt, containsNoStateSecrets, facts and so on; what is wrong with it is answered in full"}
	report := &huma.Schema{
		Type: huma.TypeObject, AdditionalProperties: true, Description: "a CloudEvent 1.0",
		Required: []string{"specversion", "id", "source", "type", "subject", "data"},
		Properties: map[string]*huma.Schema{
			"specversion": {Type: huma.TypeString, Enum: []any{"1.0"}},
			"id":          text("of the report, unique for its source"),
			"source":      text("a URI; its last segment is the operator"),
			"type":        {Type: huma.TypeString},
			"subject":     text("of the incident"),
			"data":        data,
		},
	}
	for _, name := range event.ReportTypes {
		report.Properties["type"].Enum = append(report.Properties["type"].Enum, name)
	}
	receipt := httpedge.Schema[event.Receipt](api)
	responses := httpedge.Responses(api, http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusServiceUnavailable, http.StatusInsufficientStorage)
	responses["200"] = &huma.Response{
		Description: "the report is on disk: its receipt, or those of a batch in its order, refused ones and conflicts among them",
		Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{
			OneOf: []*huma.Schema{receipt, {Type: huma.TypeArray, Items: receipt}},
		}}},
	}
	httpedge.Document(api, huma.Operation{
		OperationID: "report", Method: http.MethodPost, Path: "/reports", Tags: []string{"reports"},
		Summary:     "Send a report, or a batch of them",
		Description: "The same report again gets the receipt of the first. After 503 nobody knows the outcome: send the same report again, with the same id. After 507 the disk of the server has no room for a new report, and nothing was taken: send the same again once there is. A report that was accepted before still gets its receipt. A report in binary form has its data as the body and its attributes in headers that begin with ce-.",
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/cloudevents+json":       {Schema: report},
			"application/cloudevents-batch+json": {Schema: &huma.Schema{Type: huma.TypeArray, Items: report}},
			"application/json":                   {Schema: data},
		}},
		Responses: responses,
	})
}
