// Package intake takes operators' reports, over NATS and over HTTP, and answers each with
// a receipt.
//
// A receipt goes out after the report, or the refused report, is on disk; never before.
// The same report again gets the receipt of the first. A refused report is answered with
// all its faults, each with its path, and is kept for six calendar months. When the
// outcome is not known there is no answer, and the sender tries again with the same id,
// which is harmless.
//
// Intake knows no incident: it checks a report on its own and against the register, and
// the result does not depend on earlier reports. There are three exceptions: the
// receipt's remarks (remark.go), a drill's report of a real incident, which is refused,
// and a large report of an incident that is large already (size.go). The time of receipt
// is by our clock. A difference of the sender's clock is reported on the receipt, and
// moves no due time but that of the discovery, which is the sender's claim.
package intake

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/cloudevent"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/printable"
	"github.com/tocsin-project/tocsin/internal/register"
	"github.com/tocsin-project/tocsin/internal/share"
	"github.com/tocsin-project/tocsin/internal/statute"
	"github.com/tocsin-project/tocsin/internal/tally"
)

// Name is the service's name.
const Name = "intake"

// Bounds of concurrent requests, over NATS and over HTTP, of which each party has its
// share; beyond them the answer is "busy". A request that waits too long for its turn is
// answered so too (bus.Admit): an accepted report must reach its desks within moments.
const (
	maxRequests = 8192
	maxPosts    = 512
)

// Deps are the service's dependencies.
type Deps struct {
	Bus       Bus
	Endpoints *endpoint.Server
	Clock     clock.Clock
	Log       *zap.Logger
	Register  *register.Register
	Statutes  *statute.Set
	// ClockDoubt returns why the time of receipt may be wrong at the moment, or "". Nil:
	// the clock is not watched.
	ClockDoubt func() string
	// Late returns the duties that a report, taken alone, was late for at its receipt.
	Late func(*event.Accepted, *event.Report) ([]event.Lateness, error)
	// Outlook returns what the first report of an incident lets its operator expect.
	Outlook func(*event.Accepted, *event.Report) (event.Outlook, error)
	// InOtherRealm reports whether the other realm has an incident: the drill for a real
	// one, the real realm for a drill's.
	InOtherRealm func(ctx context.Context, operator, incident string) (bool, error)
}

// Intake takes reports.
type Intake struct {
	deps    Deps
	signer  *signer // nil without identities
	refused *refusals
	removed removed
	places  *share.Pool // for HTTP requests whose body has arrived

	failed    *tally.Tally // HTTP requests whose outcome is not known
	unchecked *tally.Tally // receipts that lack a remark because the ledger could not be read
}

// New returns an intake; Run serves its endpoints on the bus.
func New(d Deps) *Intake {
	if d.ClockDoubt == nil {
		d.ClockDoubt = func() string { return "" }
	}
	return &Intake{
		deps: d, signer: newSigner(d), refused: newRefusals(d), removed: removed{orders: map[string]string{}}, places: share.NewPool(maxPosts),
		failed:    tally.InLog(d.Log.Error, "requests failed", "requests"),
		unchecked: tally.InLog(d.Log.Warn, "receipts could not be checked against the ledger", "receipts"),
	}
}

// Run takes reports on report.<operator> until ctx ends. A report published without a
// reply subject is taken too; its receipt is published on receipt.<operator>.
func (in *Intake) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() { defer close(done); in.refused.run(work) }()
	g, serving := errgroup.WithContext(ctx)
	g.Go(func() error { return in.followRemoved(serving) })
	g.Go(func() error { return in.signer.run(serving) })
	g.Go(func() error {
		in.signer.wait(serving)
		return in.deps.Endpoints.Serve(serving, Name, endpoint.Endpoint{
			Name: "report", Subject: api.EndpointReport, Limit: maxRequests, AnySize: true, Backpressure: true, Answer: in.answer, Party: in.party,
			ReplyTo: func(req endpoint.Request) string { return api.ReceiptOf(req.Subject) },
		})
	})
	err := g.Wait()
	stop()
	<-done
	return err
}

func (in *Intake) answer(ctx context.Context, req endpoint.Request) (any, error) {
	s := submission{operator: in.operatorOf(req), transport: "nats", header: req.Header, payload: req.Data}
	s.event, s.err = cloudevent.FromNATS(req.Header, req.Data)
	receipts, err := in.take(ctx, req.Turn, []submission{s})
	if err != nil {
		return nil, err
	}
	return receipts[0], nil
}

// party returns the registered operator that a report's subject names, or "".
func (in *Intake) party(req endpoint.Request) string {
	if operator := in.operatorOf(req); in.isRegistered(operator) {
		return operator
	}
	return ""
}

func (in *Intake) isRegistered(operator string) bool {
	_, ok := in.deps.Register.Operator(operator)
	return ok
}

// operatorOf returns the operator that the request's subject names; it need not be
// registered.
func (in *Intake) operatorOf(req endpoint.Request) string {
	token := strings.TrimPrefix(req.Subject, "report.")
	if o, ok := in.deps.Register.OperatorByToken(token); ok {
		return o.ID
	}
	return token
}

// submission is one report as received, and the event parsed from it.
type submission struct {
	operator  string // by the endpoint; need not be registered
	transport string // "nats" or "http"
	header    map[string][]string
	payload   []byte
	event     *cloudevent.Event // nil when err is set
	err       error
}

// take stores reports and returns one receipt for each, in order. After an error nothing
// may be answered. The turn ends once accepted reports are stored: storing refused ones
// may wait.
func (in *Intake) take(ctx context.Context, turn *endpoint.Turn, subs []submission) ([]event.Receipt, error) {
	if full := in.deps.Bus.RoomForReports(); full != nil {
		return in.repeats(ctx, subs, full)
	}
	receipts := make([]event.Receipt, len(subs))
	inOthersName := false
	var records []event.Record
	var taken []*event.Accepted // as records
	var indices []int           // of the submissions behind records
	for i, s := range subs {
		if faults := in.faultsOf(s); len(faults) > 0 || s.err != nil {
			receipts[i] = in.rejection(s, faults)
			if !inOthersName && otherOperator(in.deps.Register, s.operator, receipts[i].Source) != "" {
				inOthersName = true // once for each request
				in.deps.Endpoints.Refused(ctx, "a report in another's name", "its source is not its sender's")
			}
			continue
		}
		faults, err := in.realmFaults(ctx, s.operator, s.event.Subject)
		if err == nil && len(faults) == 0 {
			faults, err = in.removedFaults(ctx, s.event, s.operator)
		}
		if err == nil && len(faults) == 0 {
			faults, err = in.sizeFaults(ctx, s)
		}
		if err != nil {
			return nil, err
		}
		if len(faults) > 0 {
			receipts[i] = in.rejection(s, faults)
			continue
		}
		a := in.accepted(ctx, s)
		r, err := event.NewRecord(event.AcceptedSubject(a.Operator, a.Incident, a.Source, a.Report), a.ReceivedAt, a.Digest, a)
		if err != nil {
			return nil, err
		}
		records, taken, indices = append(records, r), append(taken, a), append(indices, i)
	}
	results, err := in.deps.Bus.Commit(ctx, records)
	if err != nil {
		return nil, err
	}
	for k, res := range results {
		i := indices[k]
		if receipts[i], err = in.receipt(subs[i], taken[k], records[k], res); err != nil {
			return nil, err
		}
	}
	in.signer.sign(receipts)
	for _, i := range indices {
		in.warn(ctx, subs[i].event, &receipts[i])
	}
	turn.Leave()
	if err := in.keepRefused(ctx, subs, receipts); err != nil {
		return nil, err
	}
	return receipts, nil
}

// faultsOf returns every fault of a report: its own, and those against the register, as
// far as its names can be read.
func (in *Intake) faultsOf(s submission) []fault.Detail {
	faults := fault.DetailsOf(s.err)
	if s.operator == "" && len(faults) > 0 {
		return faults // the source is missing, and that is reported
	}
	var names cloudevent.Names
	if s.event != nil {
		names = s.event.Names()
	} else {
		names = cloudevent.NamesOf(s.header, s.payload)
	}
	atSource := func(d fault.Detail) bool { return d.Path == "$.source" }
	unreadable := slices.ContainsFunc(faults, atSource)
	for _, d := range Check(in.deps.Register, in.deps.Statutes, s.operator, names) {
		_, registered := in.deps.Register.Operator(s.operator)
		if unreadable && atSource(d) && (registered || s.operator == event.OperatorOfSource(names.Source)) {
			continue // an unreadable source names no operator that could be wrong
		}
		faults = append(faults, d)
	}
	slices.SortStableFunc(faults, func(a, b fault.Detail) int { return strings.Compare(a.Path, b.Path) })
	return faults
}

// otherOperator returns the operator that a source names if it is not the sender, or "". A
// source that is not an operator's URN may end in any name but another registered
// operator's.
func otherOperator(reg *register.Register, operator, source string) string {
	named := event.OperatorOfSource(source)
	_, registered := reg.Operator(named)
	if named == operator || !registered && !strings.HasPrefix(source, event.SourceOf("")) {
		return ""
	}
	return named
}

// Check returns every fault of a report against the register and the packs: an operator
// that is not registered, a source that names another operator, facilities that are not
// the operator's, facts and stages that no pack has.
func Check(reg *register.Register, packs *statute.Set, operator string, names cloudevent.Names) []fault.Detail {
	o, ok := reg.Operator(operator)
	if !ok {
		return []fault.Detail{{Path: "$.source", Message: fmt.Sprintf("the operator %q is not registered", operator)}}
	}
	var faults []fault.Detail
	missed, bytes := 0, 0
	if other := otherOperator(reg, operator, names.Source); other != "" {
		faults = append(faults, fault.Detail{Path: "$.source", Message: fmt.Sprintf("names the operator %s, but the report was sent as %s", printable.Truncate(other, maxName), o.ID)})
	}
	facility := func(path string, i int, id string) {
		if _, ok := o.Facility(id); ok {
			return
		}
		if bytes > maxFacilityFaults {
			missed++
			return
		}
		d := fault.Detail{Path: fmt.Sprintf(path, i), Message: fmt.Sprintf("%s has no facility %q in the register", o.ID, printable.Truncate(id, maxName))}
		bytes += len(d.Path) + len(d.Message)
		faults = append(faults, d)
	}
	for i, id := range names.Data.Facilities {
		facility("$.data.facilities[%d]", i, id)
	}
	for i, outage := range names.Data.Facts.Outage {
		if outage.Facility != "" {
			facility("$.data.facts.outage[%d].facility", i, outage.Facility)
		}
	}
	for _, d := range packs.CheckReport(names.Data.Facts.Named, names.Data.Stages) {
		if bytes += len(d.Path) + len(d.Message); bytes <= maxFacilityFaults {
			faults = append(faults, fault.Detail{Path: "$.data." + printable.Truncate(d.Path, maxName), Message: printable.Truncate(d.Message, maxName)})
		}
	}
	if missed > 0 {
		faults = append(faults, fault.Detail{Path: "$", Message: fmt.Sprintf("names %d more facilities that are not in the register", missed)})
	}
	return faults
}

// Bounds of the names that a refusal repeats from a report, which may contain nothing but
// unknown ones: its record and its receipt must each fit a message. No valid name is
// longer.
const (
	maxFacilityFaults = 16 << 10 // bytes
	maxName           = 256      // characters
)

// accepted returns the record body of an accepted report.
func (in *Intake) accepted(ctx context.Context, s submission) *event.Accepted {
	a := s.event.Accepted(s.operator, in.deps.Clock.Now())
	in.remarks(ctx, a, s.event)
	return a
}

// receipt returns the receipt of a well-formed report.
func (in *Intake) receipt(s submission, a *event.Accepted, r event.Record, res bus.Result) (event.Receipt, error) {
	out := event.Receipt{
		Status: event.StatusAccepted, Operator: s.operator, Incident: s.event.Subject, Report: s.event.ID, Source: s.event.Source, Type: s.event.Type,
		Record: res.Sequence, Digest: s.event.Digest, Durability: in.deps.Bus.Durability(),
		Exercise: in.deps.Bus.Realm() == event.Drill,
	}
	original, entry := a, in.deps.Bus.Entry(r, res)
	if res.Existing != nil {
		first, err := event.Decode[event.Accepted](*res.Existing)
		if err != nil {
			return out, err
		}
		original, out.Status = first, event.StatusDuplicate
		if first.Digest != s.event.Digest || first.Type != s.event.Type {
			out.Status = event.StatusConflict
			out.Errors = []fault.Detail{{Path: "$.id", Message: fmt.Sprintf("another report with this source and id was received at %s (digest %s); a report that says something new needs an id of its own", first.ReceivedAt.Format("2006-01-02T15:04:05.000Z07:00"), first.Digest)}}
		}
	}
	out.ReceivedAt, out.Entry = &original.ReceivedAt, &entry
	if out.Status != event.StatusConflict { // then they are of another report
		out.Late, out.Warnings = original.Late, original.Warnings
		out.Outlook = in.outlook(original, s.event)
	}
	return out, nil
}

// rejection returns the receipt of a refused report, with the names it has.
func (in *Intake) rejection(s submission, faults []fault.Detail) event.Receipt {
	out := event.Receipt{Status: event.StatusRejected, Operator: s.operator, Errors: faults}
	if s.event != nil {
		out.Incident, out.Report, out.Source, out.Type = s.event.Subject, s.event.ID, s.event.Source, s.event.Type
		return out
	}
	names := cloudevent.NamesOf(s.header, s.payload)
	out.Incident, out.Report = printable.Truncate(names.Subject, maxName), printable.Truncate(names.ID, maxName)
	return out
}

// keepRefused stores refused and conflicting reports before they are answered.
func (in *Intake) keepRefused(ctx context.Context, subs []submission, receipts []event.Receipt) error {
	failed := make([]error, len(subs))
	var wg sync.WaitGroup
	for i := range receipts {
		if r := &receipts[i]; r.Status == event.StatusRejected || r.Status == event.StatusConflict {
			wg.Go(func() { failed[i] = in.refused.keep(ctx, subs[i], r.Errors) })
		}
	}
	wg.Wait()
	return errors.Join(failed...)
}

// Handler returns intake's HTTP endpoint, POST /v1/reports.
func (in *Intake) Handler() http.Handler { return http.HandlerFunc(in.post) }
