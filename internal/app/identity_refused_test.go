package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// Every refusal is logged, with identity, request and reason, and counted, also if the
// answer does not reveal it.
func TestEveryRefusalIsRecorded(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	g := startGuarded(t, func(cfg *app.Config) { cfg.Log = logTo(&log) })
	ctx := t.Context()
	r, err := g.as(identity.Operator, "grid-east").Report(ctx, "grid-east", threat("i1"))
	require.NoError(t, err)
	require.Equal(t, event.StatusAccepted, r.Status, "%+v", r.Errors)
	desk := g.as(identity.Desk, "protection-energy")
	var told api.EscalationRow
	require.NoError(t, desk.Watch(ctx, "protection-energy", "wall", 1, time.Now, func(_ *event.Escalated, row api.EscalationRow) error {
		told = row
		return nil
	}))
	g.settledHead()
	other, xinjiang, thief := g.as(identity.Desk, "sh-public-security"), g.as(identity.Regulator, "xinjiang"), g.as(identity.Operator, "xj-hydro")
	rude := g.peer(g.creds(identity.Desk, "sh-public-security"))
	question := func(endpoint string, q any) {
		raw, err := json.Marshal(q)
		require.NoError(t, err)
		_, err = rude.Request(endpoint, raw, waitLimit)
		require.NoError(t, err)
	}
	token := g.token(identity.Regulator, "xinjiang")
	for what, refused := range map[string]func(){
		`desk/sh-public-security desk.sh-public-security.acknowledge "the escalation is another desk's"`: func() {
			a, err := other.Acknowledge(ctx, "sh-public-security", told.Escalation, "duty-officer")
			require.NoError(t, err)
			require.Equal(t, event.StatusRejected, a.Status)
		},
		`desk/sh-public-security desk.sh-public-security.outcome "the escalation is another desk's"`: func() {
			question("desk.sh-public-security.outcome", api.OutcomeRequest{Escalation: told.Escalation})
		},
		`desk/sh-public-security desk.sh-public-security.act "the act is another desk's"`: func() {
			question("desk.sh-public-security.act", event.DeskAct{Kind: event.KindConfirmed, Desk: "protection-energy", ID: "a1", Operator: "grid-east", Incident: "i1"})
		},
		`desk/sh-public-security desk.sh-public-security.watch "the credential has no such screen"`: func() {
			question("desk.sh-public-security.watch", api.WatchRequest{Client: "another"})
		},
		fmt.Sprintf(`regulator/xinjiang "record %d" `, r.Record) + `"this identity may not see it"`: func() {
			_, err := xinjiang.Prove(ctx, r.Record)
			require.ErrorContains(t, err, "that you may see")
		},
		`regulator/xinjiang "incident grid-east.i1" "this identity may not see it"`: func() {
			n := 0
			_ = xinjiang.Show(ctx, "grid-east", "i1", func(api.StoryEntry) error { n++; return nil })
			require.Zero(t, n)
		},
		`operator/xj-hydro "a report in another's name" "its source is not its sender's"`: func() {
			r, err := thief.Report(ctx, "xj-hydro", threat("i2"))
			require.NoError(t, err)
			require.Equal(t, event.StatusRejected, r.Status)
		},
		`desk/sh-public-security "incident xj-hydro.w9" "this desk has not been told of it"`: func() {
			a, err := other.Act(ctx, event.DeskAct{Kind: event.KindClosed, Desk: "sh-public-security", Operator: "xj-hydro", Incident: "w9", Officer: "duty-officer", Reason: "over"})
			require.NoError(t, err)
			require.Equal(t, event.StatusRejected, a.Status)
		},
		`desk/protection-energy ledger.escalations "the question is too large"`: func() {
			_, err := desk.Query(ctx, api.Query{Text: strings.Repeat("x", 100<<10)}, 0, func(api.EscalationRow) error { return nil })
			require.Error(t, err)
		},
		`regulator/xinjiang "POST /v1/reports" "no permission"`: func() {
			status, _ := g.http(http.DefaultClient, token, "POST", "/v1/reports", string(threat("i4")))
			require.Equal(t, http.StatusForbidden, status)
		},
	} {
		before := len(log.String())
		refused()
		var found bool
		for line := range strings.Lines(log.String()[before:]) {
			var l struct{ Msg, Caller, Request, Reason string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "a request was refused" {
				found = found || what == quoted(l.Caller)+" "+quoted(l.Request)+" "+quoted(l.Reason)
			}
		}
		require.True(t, found, "%s, in\n%s", what, log.String()[before:])
	}
	_, metrics := g.http(http.DefaultClient, g.token(identity.Admin, "admin"), "GET", "/metrics", "")
	require.NotContains(t, metrics, "\ntocsin_refused_requests_total 0\n")
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func quoted(s string) string {
	if strings.Contains(s, " ") {
		return `"` + s + `"`
	}
	return s
}

// A caller that sends requests without pacing is told to retry later, by all endpoints
// together, and nobody else is.
func TestRateLimit_CoversAllEndpointsOfOneCaller(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	g := startGuarded(t, func(cfg *app.Config) { cfg.Log = logTo(&log) })
	token, p := g.token(identity.Regulator, "nation"), g.peer(g.creds(identity.Regulator, "nation"))
	var often atomic.Int64
	inbox := nats.NewInbox()
	_, err := p.Subscribe(inbox, func(m *nats.Msg) {
		if m.Header.Get(endpoint.HeaderErrorCode) == "429" {
			often.Add(1)
		}
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		for range 1500 {
			require.NoError(t, p.PublishRequest(api.EndpointLog, inbox, []byte("{}")))
		}
		status, _ := g.http(http.DefaultClient, token, "GET", "/v1/log", "") // a little may have come free meanwhile
		return status == http.StatusTooManyRequests && often.Load() > 0
	}, 30*time.Second, time.Millisecond)
	_, err = g.as(identity.Regulator, "xinjiang").Log(t.Context())
	require.NoError(t, err)
	g.app.Stop()
	require.Contains(t, log.String(), `"caller":"regulator/nation","request":"ledger.log","reason":"too many requests"`)
	require.Contains(t, log.String(), `"caller":"regulator/nation","request":"GET /v1/log","reason":"too many requests"`)
}
