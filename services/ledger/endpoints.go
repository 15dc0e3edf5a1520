package ledger

import (
	"context"
	"encoding/json"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// maxConcurrent bounds the concurrent requests of each endpoint; beyond it the answer is "busy".
const maxConcurrent = 256

// endpoints returns the endpoints over NATS, which share their methods with HTTP.
func (l *Ledger) endpoints() []endpoint.Endpoint {
	return []endpoint.Endpoint{
		endpointOf("escalations", api.EndpointQuery, l.escalations),
		endpointOf("incident", api.EndpointShow, l.story),
		endpointOf("incidents", api.EndpointIncidents, l.incidents),
		endpointOf("stats", api.EndpointStats, l.stats),
		endpointOf("log", api.EndpointLog, func(ctx context.Context, _ struct{}) (api.LogState, error) { return l.state(ctx) }),
		endpointOf("tiles", api.EndpointTiles, l.log.Tiles),
		endpointOf("records", api.EndpointRecords, l.records),
		endpointOf("prove", api.EndpointProve, l.prove),
		endpointOf("audit", api.EndpointAudit, l.log.Audit),
		signedEndpoint("remove", api.EndpointRemove, l.log.Remove),
		endpointOf("certify", api.EndpointCertify, l.log.CertifyReceipts),
		signedEndpoint("archive", api.EndpointArchive, l.log.Archive),
	}
}

type refusal struct {
	Errors []fault.Detail `json:"errors"`
}

// endpointOf returns an endpoint that answers in JSON. Faults of the request are part of the
// answer; after any other error there is no answer, and the client retries.
func endpointOf[Q, A any](name, subject string, answer func(context.Context, Q) (A, error)) endpoint.Endpoint {
	return signedEndpoint(name, subject, func(ctx context.Context, q Q, _ endpoint.Request) (A, error) { return answer(ctx, q) })
}

// signedEndpoint is endpointOf for a signed request.
func signedEndpoint[Q, A any](name, subject string, answer func(context.Context, Q, endpoint.Request) (A, error)) endpoint.Endpoint {
	return endpoint.Endpoint{Name: name, Subject: subject, Limit: maxConcurrent, Answer: func(ctx context.Context, req endpoint.Request) (any, error) {
		var q Q
		if err := json.Unmarshal(req.Data, &q); err != nil {
			return refusal{[]fault.Detail{{Path: "$", Message: "is not a question that is understood here: " + err.Error()}}}, nil
		}
		a, err := answer(ctx, q, req)
		if details := fault.DetailsOf(err); details != nil {
			return refusal{details}, nil
		}
		return a, err
	}}
}
