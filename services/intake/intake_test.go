package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/cloudevent"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/internal/register"
	"github.com/tocsin-project/tocsin/schemas"
)

var nine = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)

// fixture is an intake on a bus of its own.
type fixture struct {
	t       *testing.T
	env     *bustest.Env
	clock   *clock.Manual
	late    []event.Lateness // for every report
	outlook event.Outlook    // for every initial report
	// inOtherRealm: the other realm has every incident.
	inOtherRealm bool
	*Intake
}

func open(t *testing.T) *fixture {
	t.Helper()
	raw, err := fs.ReadFile(schemas.Registers, "example.yaml")
	require.NoError(t, err)
	reg, err := register.Decode(raw)
	require.NoError(t, err)
	d := &fixture{t: t, env: bustest.Start(t), clock: clock.NewManual(nine)}
	d.Intake = New(Deps{Bus: d.env.Bus, Endpoints: d.env.Endpoints, Clock: d.clock, Log: d.env.Log, Register: reg,
		Late:         func(*event.Accepted, *event.Report) ([]event.Lateness, error) { return d.late, nil },
		Outlook:      func(*event.Accepted, *event.Report) (event.Outlook, error) { return d.outlook, nil },
		InOtherRealm: func(context.Context, string, string) (bool, error) { return d.inOtherRealm, nil },
	})
	return d
}

// run serves the endpoints until the test ends.
func (d *fixture) run() *fixture {
	bustest.Background(d.t, d.Run)
	return d
}

// account runs the goroutine that stores the accounts of refused reports, until stopped.
func (d *fixture) account() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	r := d.refused
	go func() { defer close(done); r.run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	d.t.Cleanup(stop)
	return stop
}

// rejected returns the records of REJECTED by subject.
func (d *fixture) rejected() map[string][]byte {
	d.t.Helper()
	stream, err := bustest.JetStream(d.t, d.env).Stream(d.t.Context(), event.StreamRejected)
	require.NoError(d.t, err)
	info, err := stream.Info(d.t.Context(), jetstream.WithSubjectFilter(">"))
	require.NoError(d.t, err)
	out := map[string][]byte{}
	for subject := range info.State.Subjects {
		m, err := stream.GetLastMsgForSubject(d.t.Context(), subject)
		require.NoError(d.t, err)
		out[subject] = m.Data
	}
	return out
}

func bad(i int) submission {
	return submission{operator: "grid-east", transport: "nats", payload: fmt.Appendf(nil, "no report %d", i)}
}

var faults = []fault.Detail{{Path: "$", Message: "is no JSON"}}

// keepAll has many submissions refused concurrently and waits until all are kept.
func (d *fixture) keepAll(subs []submission) {
	d.t.Helper()
	var g errgroup.Group
	for _, s := range subs {
		g.Go(func() error { return d.refused.keep(context.Background(), s, faults) })
	}
	require.NoError(d.t, g.Wait())
}

// summaries returns the records of REJECTED that are summaries.
func (d *fixture) summaries() (sums []event.RejectedSummary) {
	d.t.Helper()
	for subject, raw := range d.rejected() {
		if strings.Contains(subject, ".summary-") {
			var sum event.RejectedSummary
			require.NoError(d.t, json.Unmarshal(raw, &sum))
			sums = append(sums, sum)
		}
	}
	return sums
}

// TestRefusals_BeyondTheRate: reports beyond the rate are counted, in one record an hour,
// however many there are and however often the process restarts.
func TestRefusals_BeyondTheRate(t *testing.T) {
	t.Parallel()
	d := open(t)
	stop := d.account()
	const beyond = 2 * maxDigests
	var subs []submission
	for i := range refusedBurst + beyond {
		subs = append(subs, bad(i))
	}
	d.keepAll(subs)
	require.Len(t, d.rejected(), refusedBurst, "the hour is not over")
	s, _, err := d.refused.read(t.Context(), "grid-east")
	require.NoError(t, err)
	require.Equal(t, beyond, s.Summary.Count, "those who were answered are counted on disk")

	// Another process remembers both the rate and the count.
	stop()
	d.Intake = New(d.deps)
	d.account()
	d.keepAll([]submission{bad(-1), bad(-2)})
	require.Len(t, d.rejected(), refusedBurst)

	// Another operator has an allowance of its own; the rate recovers with time.
	other := bad(0)
	other.operator = "city-clinic"
	d.keepAll([]submission{other})
	d.clock.Advance(time.Second)
	d.keepAll([]submission{bad(-3)})
	require.Len(t, d.kept("rejected.city-clinic."), 1)
	require.Len(t, d.kept("rejected.grid-east."), refusedBurst+1)

	d.clock.Advance(summaryPeriod)
	require.Eventually(t, func() bool { return len(d.summaries()) == 1 }, 30*time.Second, 10*time.Millisecond)
	sum := d.summaries()[0]
	require.Equal(t, "grid-east", sum.Operator)
	require.Equal(t, beyond+2, sum.Count)
	require.Equal(t, map[string]int{"$": beyond + 2}, sum.Reasons)
	require.Len(t, sum.Digests, maxDigests)
	require.Positive(t, sum.Bytes)
}

// TestRefusals_SummaryIsBounded, whatever and however many the faults are.
func TestRefusals_SummaryIsBounded(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := &account{owner: "grid-east", used: usage{Reports: refusedBurst, At: nine}}
	for i := range 10_000 {
		one := refused{digest: fmt.Sprint(i), faults: []fault.Detail{{Path: fmt.Sprint("$.", i, strings.Repeat("事", 10_000))}}}
		require.NotNil(t, d.refused.overRate(a, nine, one, 1))
	}
	sum := event.RejectedSummary{}
	for range 100 {
		add(&sum, &a.counted.RejectedSummary)
	}
	raw, err := json.Marshal(sum)
	require.NoError(t, err)
	require.Less(t, len(raw), 16<<10)
	require.Equal(t, 1_000_000, sum.Count)
	total := 0
	for _, n := range sum.Reasons {
		total += n
	}
	require.Equal(t, sum.Count, total)
}

// TestRefusals_OfAnIdentity: an identity's reports are charged to its account, whatever
// they name, even if they cannot be read.
func TestRefusals_OfAnIdentity(t *testing.T) {
	t.Parallel()
	d := open(t)
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/reports", strings.NewReader("[{"))
	req.Header.Set("Content-Type", "application/cloudevents-batch+json")
	w := httptest.NewRecorder()
	d.Handler().ServeHTTP(w, req.WithContext(identity.With(req.Context(), identity.Identity{Role: identity.Operator, ID: "grid-east"})))
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Len(t, d.kept("rejected.grid-east."), 1)

	s := bad(1)
	s.operator = "xj-hydro"
	require.NoError(t, d.refused.keep(identity.With(t.Context(), identity.Identity{Role: identity.Operator, ID: "grid-east"}), s, faults))
	require.Len(t, d.kept("rejected.grid-east."), 2)
}

func (d *fixture) kept(prefix string) (subjects []string) {
	for subject := range d.rejected() {
		if strings.HasPrefix(subject, prefix) {
			subjects = append(subjects, subject)
		}
	}
	return subjects
}

func TestRefusals_QuotaOfBytes(t *testing.T) {
	t.Parallel()
	var u usage
	kept := 0
	for range 2 * refusedQuota / keptPayload {
		if u.take(nine, keptPayload) {
			kept++
		}
	}
	require.Equal(t, refusedQuota/keptPayload, kept)
	require.False(t, u.take(nine.Add(-time.Hour), keptPayload), "a clock that steps back gives nothing back")
	require.True(t, u.take(nine.Add(24*time.Hour), keptPayload), "a day later there is room again")

	// A clock that was a year ahead and is set back does not stop the allowance for a year.
	u = usage{Bytes: 64 << 20, At: nine.Add(365 * 24 * time.Hour)}
	require.False(t, u.take(nine, 1), "more was used by an earlier version, and counts as all")
	u = u.at(nine)
	require.True(t, u.take(nine.Add(12*time.Hour), refusedQuota/2))
}

// TestRefusals_RecordsAreCountedWhole: the bound is on the size of the records, also if
// the payload is empty and the faults or the header are long.
func TestRefusals_RecordsAreCountedWhole(t *testing.T) {
	t.Parallel()
	d := open(t)
	many := make([]fault.Detail, 8000)
	for i := range many {
		many[i] = fault.Detail{Path: fmt.Sprintf("$.data.facilities[%d]", i), Message: "is not in the register"}
	}
	kept := func(name string, errors []fault.Detail, header map[string][]string) (bytes int) {
		t.Helper()
		a := &account{owner: name}
		for i := range 20 {
			s := submission{operator: "grid-east", transport: "http", header: header, payload: fmt.Append(nil, i)}
			record, size, err := d.refused.record(a, nine, name, fmt.Sprint(i), headerLines(header), s, errors)
			require.NoError(t, err)
			if d.refused.overRate(a, nine, refused{faults: errors}, size) == nil {
				bytes += len(record.Data)
			}
		}
		return bytes
	}
	for name, bytes := range map[string]int{
		"faults": kept("faults", many, nil),
		"header": kept("header", faults, map[string][]string{"x": {strings.Repeat("\x01", keptHeader-100)}}),
	} {
		require.Positive(t, bytes, name)
		require.LessOrEqual(t, bytes, refusedQuota, name)
	}
}

func TestRefusals_UnregisteredSendersShareOneAccount(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, operator := range []string{"stranger", "another", "中文", ""} {
		s := bad(len(operator))
		s.operator = operator
		d.keepAll([]submission{s})
	}
	require.Len(t, d.kept("rejected.unregistered."), 4)
	require.Len(t, d.refused.accounts, 1, "strangers cannot fill the memory")
}

func TestRefusals_LargePayloadIsTruncated(t *testing.T) {
	t.Parallel()
	d := open(t)
	s := submission{operator: "grid-east", transport: "http", header: map[string][]string{"Content-Type": {"x"}, "Ce-Id": {"b", "a"}}, payload: bytes.Repeat([]byte("x"), keptPayload+1)}
	d.keepAll([]submission{s})
	for _, raw := range d.rejected() {
		var r event.Rejected
		require.NoError(t, json.Unmarshal(raw, &r))
		require.Len(t, r.Payload, keptPayload)
		require.True(t, r.Truncated)
		require.Equal(t, keptPayload+1, r.Size)
		require.Equal(t, []string{"ce-id: a", "ce-id: b", "content-type: x"}, r.Header)
		require.Equal(t, faults, r.Errors)
	}
}

func report(id, fields string) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"urn:tocsin:operator:grid-east","type":"tocsin.report.initial.v1","subject":"x",
		"data":{"containsNoStateSecrets":true,"discoveredAt":"2026-03-02T08:40:00+08:00","facilities":["dispatch"]%s}}`, id, fields)
}

// Two equal reports in one batch are one; a report is accepted beside refused ones.
func TestPost_BatchHasOneReceiptForEachReport(t *testing.T) {
	t.Parallel()
	d := open(t)
	var subs []submission
	for _, raw := range [][]byte{report("a", ""), report("a", ""), report("a", `,"title":"T"`), []byte("x"), report("b", "")} {
		s := submission{operator: "grid-east", transport: "nats", payload: raw}
		s.event, s.err = cloudevent.Parse(raw)
		subs = append(subs, s)
	}
	receipts, err := d.take(t.Context(), nil, subs)
	require.NoError(t, err)
	var states []string
	for _, r := range receipts {
		states = append(states, r.Status)
	}
	require.Equal(t, []string{"accepted", "duplicate", "conflict", "rejected", "accepted"}, states)
	require.Len(t, d.rejected(), 2)
}

// A source that cannot be decoded names no operator: that is one fault, not two.
func TestFaultsOf_SourceThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, tc := range []struct {
		operator, source string
		faults           int
	}{
		{"grid-east%C3%28", "urn:tocsin:operator:grid-east%C3%28", 1}, // over HTTP the source names the reporter
		{"grid-east%", "urn:tocsin:operator:grid-east%", 1},
		{"grid-east", "urn:tocsin:operator:metro-pay%zz", 1}, // over NATS the subject does
		{"nobody", "urn:tocsin:operator:grid-east%zz", 2},    // a second fault
		{"nobody", "urn:tocsin:operator:nobody", 1},
	} {
		header := map[string][]string{"ce-specversion": {"1.0"}, "ce-id": {"a"}, "ce-source": {tc.source}, "ce-type": {event.TypeInitial}, "ce-subject": {"x"}}
		s := submission{operator: tc.operator, transport: "http", header: header, payload: []byte(`{"containsNoStateSecrets":true,"discoveredAt":"2026-03-02T08:40:00+08:00","facilities":["dispatch"]}`)}
		s.event, s.err = cloudevent.FromNATS(header, s.payload)
		got := d.faultsOf(s)
		require.Len(t, got, tc.faults, "%v", got)
		require.Equal(t, "$.source", got[0].Path)
	}
}

func TestReceipt_IsSentAfterTheRecordIsStored(t *testing.T) {
	t.Parallel()
	d := open(t).run()
	var reply event.Receipt
	require.Eventually(t, func() bool {
		m, err := d.env.Conn.Request("report.grid-east", report("a", ""), time.Second)
		return err == nil && json.Unmarshal(m.Data, &reply) == nil
	}, 30*time.Second, 10*time.Millisecond)
	stored, err := d.env.Bus.Get(t.Context(), reply.Record)
	require.NoError(t, err)
	require.Equal(t, reply.Digest, stored.Digest)
	a, err := event.Decode[event.Accepted](stored)
	require.NoError(t, err)
	require.True(t, a.ReceivedAt.Equal(*reply.ReceivedAt))
	require.True(t, stored.Time.Equal(a.ReceivedAt), "one stamp")
	require.JSONEq(t, string(report("a", "")), string(a.Event))
}

// If the outcome is not known there is no receipt: the sender tries again.
func TestReceipt_IsNotSentWhenTheOutcomeIsUnknown(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.env.Bus.Close()
	for name, body := range map[string][]byte{"good": report("a", ""), "refused": []byte(`{"specversion":"1.0"}`)} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/reports", bytes.NewReader(body))
		req.Header.Set("Content-Type", "application/cloudevents+json")
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, req.WithContext(identity.With(req.Context(), identity.Anyone)))
		require.Equal(t, http.StatusServiceUnavailable, w.Code, name)
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		require.NotContains(t, w.Body.String(), "accepted")
	}
}

// TestFailedRequests_LogIsBounded: one log line counts many failed requests.
func TestFailedRequests_LogIsBounded(t *testing.T) {
	t.Parallel()
	lines, logged := observer.New(zap.WarnLevel)
	d := open(t)
	deps := d.deps
	deps.Log = zap.New(lines)
	d.Intake = New(deps)
	d.env.Bus.Close()
	const many = 500
	for i := range many {
		body := report(fmt.Sprint(i), "")
		if i%2 == 0 {
			body = []byte("no report")
		}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/reports", bytes.NewReader(body))
		req.Header.Set("Content-Type", "application/cloudevents+json")
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, req.WithContext(identity.With(req.Context(), identity.Anyone)))
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
	}
	d.failed.Flush()
	d.unchecked.Flush()
	counted := int64(0)
	for _, line := range logged.FilterMessage("requests failed").All() {
		counted += line.ContextMap()["requests"].(int64)
		require.NotEmpty(t, line.ContextMap()["last"])
	}
	require.EqualValues(t, many, counted, "every failed request is counted")
	require.Less(t, logged.Len(), many/10, "not each of them has a line")
}

func TestPost_KeepsOnlyCloudEventsHeaders(t *testing.T) {
	h := http.Header{"Cookie": {"a"}, "Authorization": {"b"}, "Content-Type": {"c"}, "Ce-Id": {"d"}, "Ce-": {"e"}}
	require.Equal(t, map[string][]string{"Content-Type": {"c"}, "Ce-Id": {"d"}}, ceHeader(h))
}

func TestReceipt_Warnings(t *testing.T) {
	d := open(t)
	d.late = []event.Lateness{{Statute: "s", Citation: "art. 4", DueAt: nine, By: event.Duration(time.Hour)}}
	at := func(after time.Duration) string { return nine.Add(after).Format(time.RFC3339) }
	report := func(id, subject, kind, extra, data string) event.Receipt {
		raw := fmt.Sprintf(`{"specversion":"1.0","type":"tocsin.report.%s.v1","source":"urn:tocsin:operator:grid-east","id":%q,"subject":%q,%s"data":{"containsNoStateSecrets":true,%s}}`,
			kind, id, subject, extra, data)
		s := submission{operator: "grid-east", transport: "nats", payload: []byte(raw)}
		s.event, s.err = cloudevent.Parse([]byte(raw))
		require.NoError(t, s.err)
		receipts, err := d.take(t.Context(), nil, []submission{s})
		require.NoError(t, err)
		return receipts[0]
	}
	paths := func(r event.Receipt) (out []string) {
		for _, w := range r.Warnings {
			out = append(out, w.Path)
		}
		return out
	}
	first := `"facilities":["dispatch"],"discoveredAt":"` + at(-3*time.Hour) + `"`
	d.outlook = event.Outlook{Law: []event.Instrument{{Statute: "s", From: "2025-11-01", Basis: event.BasisDiscovered}}}

	r := report("r1", "a", "initial", "", first)
	require.Equal(t, d.late, r.Late)
	require.Equal(t, d.late, report("r1", "a", "initial", "", first).Late, "and again on the receipt of a repeat")
	require.Empty(t, report("r2", "a", "initial", "", first).Late, "what a first report told is not told late by a second")
	require.Empty(t, report("r3", "a", "final", "", first).Late)
	require.Equal(t, d.outlook, r.Outlook)
	require.Equal(t, d.outlook, report("r1", "a", "initial", "", first).Outlook)
	require.Empty(t, report("r3", "a", "final", "", first).Outlook, "only a first report can be judged alone")
	conflict := report("r1", "a", "initial", "", first+`,"title":"x"`)
	require.Equal(t, event.StatusConflict, conflict.Status)
	require.Empty(t, conflict.Outlook)
	require.Empty(t, conflict.Late)

	r = report("r1", "b", "initial", `"time":"`+at(24*time.Hour)+`",`, `"facilities":["dispatch"],"discoveredAt":"`+at(time.Hour)+`","handledAt":"`+at(30*time.Minute)+
		`","facts":{"outage":[{"scope":"overall","since":"`+at(time.Hour)+`","until":"`+at(2*time.Hour)+`"}],"siteUnreachable":{"class":"central","since":"`+at(-time.Hour)+`"}}`)
	require.Equal(t, []string{"$.time", "$.data.discoveredAt", "$.data.handledAt", "$.data.handledAt", "$.data.facts.outage[0].since", "$.data.facts.outage[0].until", "$.data.facts.siteUnreachable"}, paths(r))
	r = report("r1", "c", "initial", `"time":"`+at(-4*time.Minute)+`",`, first)
	require.Empty(t, r.Warnings, "within what the register allows")
	r = report("r1", "d", "initial", `"time":"`+at(-400*24*time.Hour)+`",`, first+`,"imported":true`)
	require.Empty(t, r.Warnings, "an archive's times are what they are")

	loose := `"facilities":["dispatch"],"discoveredAt":"` + strings.ToLower(at(-3*time.Hour)) + `"`
	r = report("r1", "f", "initial", "", loose)
	require.Equal(t, []string{"$.data.discoveredAt"}, paths(r), "a time that is not written strictly")
	require.Equal(t, event.StatusAccepted, r.Status)
	require.Equal(t, r.Warnings, report("r1", "f", "initial", "", loose).Warnings, "and again on the receipt of a repeat")
	require.Equal(t, []string{"$.data.discoveredAt"}, paths(report("r1", "g", "initial", "", loose+`,"imported":true`)), "in an archive as well")

	handled := first + `,"handledAt":"` + at(-time.Hour) + `","facts":{"outage":[{"scope":"overall","since":"` + at(-2*time.Hour) + `"}]}`
	r = report("r1", "h", "initial", "", handled)
	require.Equal(t, []string{"$.data.facts.outage"}, paths(r), "handled, but without an end")
	d.inOtherRealm = true
	r = report("r1", "e", "progress", "", `"cause":"x"`)
	require.Equal(t, event.StatusAccepted, r.Status)
	require.Contains(t, r.Warnings[0].Message, "A drill has an incident of this id")
}

func TestDrill_RefusesAReportOfARealIncident(t *testing.T) {
	d := open(t)
	drill := bustest.Join(t, d.env, d.clock, event.Drill)
	d.Intake.deps.Bus = drill.Bus
	d.inOtherRealm = true
	faults, err := d.realmFaults(t.Context(), "grid-east", "x")
	require.NoError(t, err)
	require.Len(t, faults, 1)
	require.Equal(t, "$.subject", faults[0].Path)
	d.inOtherRealm = false
	faults, err = d.realmFaults(t.Context(), "grid-east", "x")
	require.NoError(t, err)
	require.Empty(t, faults)
}

// A request that arrives while the maximum is in flight is answered "busy" at once, and
// can be sent again afterwards.
func TestPost_AnswersBusy(t *testing.T) {
	t.Parallel()
	d := open(t)
	post := func() *httptest.ResponseRecorder {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/reports", bytes.NewReader(report("a", "")))
		req.Header.Set("Content-Type", "application/cloudevents+json")
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, req.WithContext(identity.With(req.Context(), identity.Anyone)))
		return w
	}
	for d.places.Take("192.0.2.1/grid-east", 1) == nil { // httptest's address
	}
	w := post()
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.Contains(t, w.Body.String(), "busy")
	used := d.places.Used()
	d.places.Give("192.0.2.1/grid-east", 1)
	require.Equal(t, http.StatusOK, post().Code)
	require.Equal(t, used-1, d.places.Used(), "its place is free again")
}

// TestReports_AreRefusedWhileTheWriterIsBehind: while the services behind the endpoints cannot
// keep up, both endpoints refuse reports; they accept them afterwards.
func TestReports_AreRefusedWhileTheWriterIsBehind(t *testing.T) {
	t.Parallel()
	d := open(t).run()
	catchUp := bustest.FallBehind(t, d.env)
	post := func() int {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/reports", bytes.NewReader(report("a", "")))
		req.Header.Set("Content-Type", "application/cloudevents+json")
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, req.WithContext(identity.With(req.Context(), identity.Anyone)))
		return w.Code
	}
	ask := func() string {
		m := nats.NewMsg("report.grid-east")
		m.Header.Set("Content-Type", "application/cloudevents+json")
		m.Data = report("b", "")
		reply, err := d.env.Conn.RequestMsg(m, time.Minute)
		if err != nil {
			return err.Error()
		}
		return reply.Header.Get(endpoint.HeaderErrorCode)
	}
	posted := make(chan int, 1) // each waits for its turn until it is refused
	go func() { posted <- post() }()
	require.Eventually(t, func() bool { return ask() == "503" }, 30*time.Second, 10*time.Millisecond) // the endpoint opens concurrently
	require.Equal(t, http.StatusServiceUnavailable, <-posted)
	catchUp()
	require.Eventually(t, func() bool { return post() == http.StatusOK && ask() == "" }, 30*time.Second, 10*time.Millisecond)
}

// The part of a source after the operator's name is the sender's own.
func TestOtherOperator(t *testing.T) {
	t.Parallel()
	raw, err := fs.ReadFile(schemas.Registers, "example.yaml")
	require.NoError(t, err)
	reg, err := register.Decode(raw)
	require.NoError(t, err)
	for source, want := range map[string]string{
		"urn:tocsin:operator:grid-east": "", "urn:tocsin:operator:grid-east:scada-1": "", "urn:tocsin:operator:grid-east/plant-3": "",
		"https://example.com/operators/grid-east": "", "https://scada.example/line-4": "", "//line-4": "",
		"urn:tocsin:operator:xj-hydro": "xj-hydro", "urn:tocsin:operator:xj-hydro:grid-east": "xj-hydro", "urn:tocsin:operator:xj-hydro/grid-east": "xj-hydro",
		"https://example.com/operators/xj-hydro": "xj-hydro", "urn:tocsin:operator:Grid-East": "Grid-East", "urn:tocsin:operator:nobody": "nobody",
	} {
		require.Equal(t, want, otherOperator(reg, "grid-east", source), source)
	}
}
