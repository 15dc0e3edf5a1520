package ledger

import (
	"context"
	"encoding/json"

	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// inHand bounds the concurrent requests of each endpoint; beyond it the answer is "busy".
const inHand = 256

// doors returns the endpoints over NATS, which share their methods with HTTP.
func (l *Ledger) doors() []endpoint.Endpoint {
	return []endpoint.Endpoint{
		door("escalations", event.DoorQuery, l.escalations),
		door("incident", event.DoorShow, l.story),
		door("incidents", event.DoorIncidents, l.incidents),
		door("stats", event.DoorStats, l.stats),
		door("log", event.DoorLog, func(ctx context.Context, _ struct{}) (event.LogState, error) { return l.state(ctx) }),
		door("tiles", event.DoorTiles, l.tiles),
		door("records", event.DoorRecords, l.records),
		door("prove", event.DoorProve, l.prove),
		door("audit", event.DoorAudit, l.audit),
		signedDoor("remove", event.DoorRemove, l.remove),
		door("certify", event.DoorCertify, l.certifyReceipts),
		signedDoor("archive", event.DoorArchive, l.archive),
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
