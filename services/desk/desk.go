// Package desk serves a department's desk: it opens the durable consumer through which a
// screen follows the desk, and it records acknowledgements (签收) and the desk's other
// acts: asking the operator for more (要求补报), setting a grade (认定), transferring (移送),
// confirming a forward and closing.
//
// The first acknowledgement of an escalation counts, with its post and time. A second one
// by the same post is answered as a duplicate, one by another post as a conflict, both
// with the first. Likewise the first act with its kind and id counts. An answer goes out
// after the record is on disk.
//
// An act is checked against the ledger as it is on arrival. Records stored during the
// check may be missed: two confirmations may both be accepted before the forward goes,
// and a closing may miss a new escalation. The order of the records shows which came
// first.
package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/internal/register"
)

// Name is the service's name.
const Name = "desk"

const (
	maxRequests = 1024
	maxOfficer  = 200 // characters of a post's name
)

// Deps are the service's dependencies.
type Deps struct {
	Bus       Bus
	Endpoints *endpoint.Server
	Clock     clock.Clock
	Register  *register.Register
	Citations event.Citations // of the packs in force
}

// Run serves the endpoints of every desk until ctx ends.
func Run(ctx context.Context, d Deps) error {
	s := service{d, &logName{endpoints: d.Endpoints}, newActLocks()}
	desks := map[string]string{} // by subject token
	for _, desk := range d.Register.Desks {
		desks[event.Token(desk.ID)] = desk.ID
	}
	party := func(req endpoint.Request) string { return desks[deskOf(req)] }
	endpoints := s.endpoints()
	for i := range endpoints {
		endpoints[i].Limit, endpoints[i].Party = maxRequests, party
	}
	return d.Endpoints.Serve(ctx, Name, endpoints...)
}

// endpoints are the endpoints of every desk, with their answers to refused requests.
func (s service) endpoints() []endpoint.Endpoint {
	return []endpoint.Endpoint{
		{Name: "acknowledge", Subject: api.EndpointAcknowledge, Answer: answering(s.acknowledge, func(a *api.AcknowledgementAnswer, faults []fault.Detail) {
			a.Status, a.Errors = event.StatusRejected, faults
		})},
		{Name: "act", Subject: api.EndpointAct, Answer: answering(s.act, func(a *api.DeskActAnswer, faults []fault.Detail) {
			a.Status, a.Errors = event.StatusRejected, faults
		})},
		{Name: "watch", Subject: api.EndpointWatch, Answer: answering(s.watch, func(a *api.WatchAnswer, faults []fault.Detail) { a.Errors = faults })},
		{Name: "outcome", Subject: api.EndpointOutcome, Answer: answering(s.outcome, func(a *api.OutcomeAnswer, faults []fault.Detail) { a.Errors = faults })},
	}
}

// answering returns the function that answers a desk's requests by do, and puts the faults
// of a refused request into the answer.
func answering[T any](do func(ctx context.Context, desk string, req endpoint.Request) (T, error), refuse func(*T, []fault.Detail)) func(context.Context, endpoint.Request) (any, error) {
	return func(ctx context.Context, req endpoint.Request) (any, error) {
		answer, err := do(ctx, deskOf(req), req)
		if faults := fault.DetailsOf(err); faults != nil {
			refuse(&answer, faults)
			err = nil
		}
		return answer, err
	}
}

// deskOf returns the desk that a request's subject names, as a token.
func deskOf(req endpoint.Request) string {
	desk, _, _ := strings.Cut(strings.TrimPrefix(req.Subject, "desk."), ".")
	return desk
}

type service struct {
	deps     Deps
	log      *logName
	actLocks *actLocks
}

func (s service) acknowledge(ctx context.Context, desk string, req endpoint.Request) (api.AcknowledgementAnswer, error) {
	answer := api.AcknowledgementAnswer{Desk: desk}
	var in struct {
		event.Acknowledgement
		api.Signing
	}
	if !utf8.Valid(req.Data) {
		return answer, refuse("$", "is not UTF-8")
	}
	if err := evidence.Decode(req.Data, &in); err != nil {
		return answer, refuse("$", "is not an acknowledgement: %v", err)
	}
	ack := in.Acknowledgement
	answer.Escalation = ack.Escalation
	escalated, acknowledged, named, err := event.SubjectsOfEscalation(ack.Escalation)
	switch {
	case err != nil:
		return answer, refuse("$.escalation", "%v", err)
	case named != desk:
		return answer, s.refuseOtherDesk(ctx, req, named, desk)
	}
	if why := officerFault(ack.Officer); why != "" {
		return answer, refuse("$.officer", "%s", why)
	}
	told, err := s.deps.Bus.Last(ctx, escalated)
	if errors.Is(err, bus.ErrNotFound) {
		return answer, refuse("$.escalation", "no escalation %s", ack.Escalation)
	}
	if err != nil {
		return answer, err
	}
	ack.AcknowledgeBy = targetOf(told)
	ack.At = s.deps.Clock.Now()
	if ack.Signed, err = s.signed(ctx, req, in.Signing, acknowledged, ack); err != nil {
		return answer, err
	}
	answer.Warnings = s.skew(in.Signing)
	record, err := event.NewRecord(acknowledged, ack.At, ack.Officer, ack)
	if err != nil {
		return answer, err
	}
	results, err := s.deps.Bus.Commit(ctx, []event.Record{record})
	if err != nil {
		return answer, err
	}
	stored := &ack
	answer.Status, answer.Record = event.StatusAccepted, results[0].Sequence
	if first := results[0].Existing; first != nil {
		if stored, err = event.Decode[event.Acknowledgement](*first); err != nil {
			return answer, err
		}
		answer.Status = event.StatusDuplicate
		if stored.Officer != ack.Officer {
			answer.Status = event.StatusConflict
		}
	}
	answer.AcknowledgedAt, answer.AcknowledgedBy = &stored.At, stored.Officer
	return answer, nil
}

func (s service) outcome(ctx context.Context, desk string, r endpoint.Request) (answer api.OutcomeAnswer, err error) {
	var req api.OutcomeRequest
	if err := json.Unmarshal(r.Data, &req); err != nil {
		return answer, refuse("$", "is not a question for an outcome: %v", err)
	}
	escalated, acknowledged, named, err := event.SubjectsOfEscalation(req.Escalation)
	switch {
	case err != nil:
		return answer, refuse("$.escalation", "%v", err)
	case named != desk:
		return answer, s.refuseOtherDesk(ctx, r, named, desk)
	}
	found, err := s.deps.Bus.LastOf(ctx, acknowledged, event.OverdueSubject(escalated))
	if err != nil {
		return answer, err
	}
	for _, r := range found {
		if event.ParseSubject(r.Subject).Kind == event.KindOverdue {
			answer.Overdue, err = event.Decode[event.Overdue](r)
		} else {
			answer.Acknowledged, err = event.Decode[event.Acknowledgement](r)
		}
		if err != nil {
			return answer, err
		}
	}
	return answer, nil
}

// targetOf returns the house's target for acknowledging an escalation. The
// acknowledgement carries it, so that the deadline service need not read the escalation.
// An unreadable escalation can still be acknowledged.
func targetOf(escalated event.Stored) *time.Time {
	var e struct {
		AcknowledgeBy *time.Time `json:"acknowledgeBy"`
	}
	_ = json.Unmarshal(escalated.Data, &e) // on an error there is no target
	return e.AcknowledgeBy
}

func officerFault(post string) string {
	switch {
	case strings.TrimSpace(post) == "":
		return "is required: the post that takes it up, such as duty-officer"
	case utf8.RuneCountInString(post) > maxOfficer:
		return fmt.Sprintf("has more than %d characters", maxOfficer)
	case !utf8.ValidString(post) || strings.ContainsFunc(post, unicode.IsControl):
		return "has characters that cannot be shown"
	}
	return ""
}

// refuseOtherDesk refuses a request for another desk's escalation.
func (s service) refuseOtherDesk(ctx context.Context, req endpoint.Request, named, desk string) error {
	s.deps.Endpoints.Refused(ctx, req.Subject, "the escalation is another desk's")
	return refuse("$.escalation", "is of the desk %s, not of %s", named, desk)
}

func refuse(path, format string, args ...any) error {
	return fault.Invalid(Name, []fault.Detail{{Path: path, Message: fmt.Sprintf(format, args...)}})
}

func (s service) watch(ctx context.Context, desk string, r endpoint.Request) (api.WatchAnswer, error) {
	var answer api.WatchAnswer
	var req api.WatchRequest
	if err := json.Unmarshal(r.Data, &req); err != nil {
		return answer, refuse("$", "is not a request to watch: %v", err)
	}
	if _, ok := s.deps.Register.Desk(desk); !ok {
		return answer, refuse("$.desk", "no desk %q in the register", desk)
	}
	if req.Client == "" {
		return answer, refuse("$.client", "is required: a name for this screen")
	}
	if caller := identity.Of(ctx); s.deps.Endpoints.HasIdentities() {
		if !slices.Contains(caller.Screens, req.Client) {
			s.deps.Endpoints.Refused(ctx, r.Subject, "the credential has no such screen")
			return answer, refuse("$.client", "this credential has the screens %s, not %q: tocsin credential rotate desk %s --screen … makes one that has it", strings.Join(caller.Screens, ", "), req.Client, desk)
		}
		answer.API = s.deps.Bus.Realm().Wire(api.ScreenAPI(desk))
	}
	name, err := s.deps.Bus.Consumer(ctx, desk, req.Client, req.From)
	answer.Citations = s.deps.Citations
	answer.Stream, answer.Consumer = s.deps.Bus.Realm().Stream(event.StreamLedger), name
	return answer, err
}
