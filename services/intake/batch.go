package intake

import (
	"bytes"
	"net/http"
	"time"

	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/cloudevent"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/internal/printable"
)

const (
	// partCost is how much of a batch is taken in one turn, in reports: it bounds how
	// long other senders' reports wait.
	partCost = 128
	// batchTimeout is how long a batch may wait for all its turns. It is shorter than the
	// server's write timeout, so the sender gets the answer.
	batchTimeout = 20 * time.Second
)

// takeBatch takes the reports of a batch in parts, each in its turn, and returns their
// receipts. After an error it is not known which were taken.
func (in *Intake) takeBatch(r *http.Request, party string, reports cloudevent.Reports) ([]event.Receipt, error) {
	receipts := make([]event.Receipt, 0, reports.Len())
	until := clock.Steady().Add(batchTimeout)
	for from := 0; from < reports.Len(); {
		to, cost := nextPart(reports, from)
		turn, err := in.deps.Endpoints.Admit(r.Context(), endpoint.Work{Party: party, Cost: cost, Wait: max(until.Sub(clock.Steady()), time.Nanosecond)})
		if err != nil {
			return nil, err
		}
		part, err := in.take(r.Context(), turn, in.submissions(r, reports, from, to))
		turn.Leave()
		if err != nil {
			return nil, err
		}
		receipts, from = append(receipts, part...), to
	}
	return receipts, nil
}

// nextPart returns the end of the part of a batch that begins at from, and its cost.
func nextPart(reports cloudevent.Reports, from int) (to, cost int) {
	for to = from; to < reports.Len(); to++ {
		one := endpoint.Cost(reports.Size(to))
		if to > from && cost+one > partCost {
			break
		}
		cost += one
	}
	return to, cost
}

// submissions parses the reports from…to of a request.
func (in *Intake) submissions(r *http.Request, reports cloudevent.Reports, from, to int) []submission {
	caller := identity.Of(r.Context())
	subs := make([]submission, 0, to-from)
	for i := from; i < to; i++ {
		p := reports.Parse(i)
		s := submission{transport: "http", header: ceHeader(r.Header), payload: p.Raw, event: p.Event, err: p.Err}
		source := ""
		if p.Event != nil {
			source = p.Event.Source
		} else {
			source = cloudevent.NamesOf(r.Header, p.Raw).Source
		}
		if s.operator = printable.Truncate(event.OperatorOfSource(source), maxName); caller.Role == identity.Operator {
			s.operator = caller.ID // whatever the report's source
		}
		subs = append(subs, s)
	}
	return subs
}

// claimedOperator returns the registered operator that a request without an identity
// appears to be from, or "". It only decides in whose queue the request waits, so it
// looks for the first source and parses nothing.
func (in *Intake) claimedOperator(h http.Header, body []byte) string {
	source := h.Get("Ce-Source")
	if source == "" {
		_, rest, _ := bytes.Cut(body[:min(len(body), 4<<10)], []byte(`"source"`))
		_, rest, _ = bytes.Cut(rest, []byte{'"'})
		value, _, _ := bytes.Cut(rest, []byte{'"'})
		source = string(value)
	}
	if o, ok := in.deps.Register.Operator(event.OperatorOfSource(source)); ok {
		return o.ID
	}
	return ""
}
