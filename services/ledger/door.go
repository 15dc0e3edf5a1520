package ledger

import (
	"context"
	"encoding/json"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// inHand bounds the concurrent requests of each endpoint; beyond it the answer is "busy".
const inHand = 256

// doors returns the endpoints over NATS, which share their methods with HTTP.
func (l *Ledger) doors() []endpoint.Endpoint {
	return []endpoint.Endpoint{
		door("escalations", api.EndpointQuery, l.escalations),
		door("incident", api.EndpointShow, l.story),
		door("incidents", api.EndpointIncidents, l.incidents),
		door("stats", api.EndpointStats, l.stats),
		door("log", api.EndpointLog, func(ctx context.Context, _ struct{}) (api.LogState, error) { return l.state(ctx) }),
		door("tiles", api.EndpointTiles, l.log.Tiles),
		door("records", api.EndpointRecords, l.records),
		door("prove", api.EndpointProve, l.prove),
		door("audit", api.EndpointAudit, l.log.Audit),
		signedDoor("remove", api.EndpointRemove, l.log.Remove),
		door("certify", api.EndpointCertify, l.log.CertifyReceipts),
		signedDoor("archive", api.EndpointArchive, l.log.Archive),
	}
}

// refusal is the answer to an invalid request.
type refusal struct {
	Errors []fault.Detail `json:"errors"`
}

// door returns an endpoint that answers in JSON. Faults of the request are part of the
// answer; after any other error there is no answer, and the client retries.
func door[Q, A any](name, subject string, answer func(context.Context, Q) (A, error)) endpoint.Endpoint {
	return signedDoor(name, subject, func(ctx context.Context, q Q, _ endpoint.Request) (A, error) { return answer(ctx, q) })
}

// signedDoor is door for a signed request.
func signedDoor[Q, A any](name, subject string, answer func(context.Context, Q, endpoint.Request) (A, error)) endpoint.Endpoint {
	return endpoint.Endpoint{Name: name, Subject: subject, Limit: inHand, Answer: func(ctx context.Context, req endpoint.Request) (any, error) {
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
