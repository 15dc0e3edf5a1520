package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// ledgerOf3 returns a ledger with three records for a fuzz target.
func ledgerOf3(f *testing.F) *Ledger {
	env := bustest.Start(f)
	_, err := env.Bus.Commit(f.Context(), []event.Record{ledgertest.Escalated(1, nil), ledgertest.Escalated(2, nil), ledgertest.Graded("x", 1, nil)})
	require.NoError(f, err)
	l, err := Open(f.Context(), Deps{Bus: env.Bus, Endpoints: env.Endpoints, Clock: clock.NewManual(ledgertest.Nine), Log: env.Log, Dir: f.TempDir()})
	require.NoError(f, err)
	bustest.Background(f, l.Run)
	require.Eventually(f, func() bool { return l.Indexed() == 3 && l.log.Last().Size == 3 }, 30*time.Second, time.Millisecond)
	return l
}

// FuzzEndpoints sends every endpoint arbitrary input, as any identity. There is always an
// answer, and it can be encoded; an invalid request is refused permanently: another error
// would make the client retry.
func FuzzEndpoints(f *testing.F) {
	l := ledgerOf3(f)
	endpoints := l.endpoints()
	callers := []identity.Identity{
		identity.Anyone, {}, {Role: identity.Operator, ID: "grid-east"}, {Role: identity.Desk, ID: "protection-energy"},
		{Role: identity.Regulator, ID: "r", Region: "310000", Sector: "energy"}, {Role: identity.Regulator, ID: "r", Region: "310100"},
	}
	for i, d := range endpoints {
		f.Add(uint8(i), uint8(0), []byte(`{}`))
		for _, q := range map[string][]string{
			"escalations": {`{"text":"故障","grade":"major","since":"2026-01-01T00:00:00Z","until":"9999-12-31T23:59:59Z","overdue":true,"limit":-1,"cursor":"1"}`, `{"cursor":"9223372036854775807","region":"31"}`, `{"text":"\u0000 *\" OR"}`},
			"incident":    {`{"operator":"grid-east","incident":"x","after":18446744073709551615}`},
			"incidents":   {`{"operator":"grid-east","incident":"x","text":"障","owed":true,"open":true,"desk":"protection-energy","cursor":"0","limit":1}`},
			"stats":       {`{"by":"month","text":"故障"}`, `{"by":"","region":"00"}`},
			"tiles":       {`{"paths":["tile/0/000.p/3","tile/entries/000.p/3","../key","tile/0/x999/999"]}`},
			"records":     {`{"from":18446744073709551615,"to":1}`, `{"since":"0001-01-01T00:00:00Z","until":"9999-12-31T23:59:59Z","subjects":["incident.>","*"]}`, `{"subjects":["a b","..",">.x",""]}`},
			"prove":       {`{"record":1}`, `{"size":2}`, `{"record":18446744073709551615}`},
			"audit":       {`{"after":18446744073709551615}`},
			"remove":      {`{"record":99,"order":"o","officer":"p"}`},
			"archive":     {`{"first":1,"last":3,"officer":"p","export":"x"}`, `{"first":1,"last":18446744073709551615,"officer":"p","try":true}`},
		}[d.Name] {
			f.Add(uint8(i), uint8(i), []byte(q))
		}
	}
	f.Fuzz(func(t *testing.T, which, caller uint8, question []byte) {
		ctx, cancel := context.WithTimeout(identity.With(t.Context(), callers[int(caller)%len(callers)]), 5*time.Second)
		defer cancel()
		d := endpoints[int(which)%len(endpoints)]
		answer, err := d.Answer(ctx, endpoint.Request{Subject: d.Subject, Data: question, Reply: "_INBOX.x"})
		if forbidden := endpoint.Forbidden(""); errors.As(err, &forbidden) {
			return
		}
		if err != nil {
			t.Fatalf("%s: %q is not answered: %v", d.Name, question, err)
		}
		if _, err := json.Marshal(answer); err != nil {
			t.Fatalf("%s: the answer to %q cannot be written: %v", d.Name, question, err)
		}
	})
}

// timed is a recorder without deadlines.
type timed struct{ *httptest.ResponseRecorder }

func (timed) SetWriteDeadline(time.Time) error { return nil }

// FuzzQuestions queries over HTTP with arbitrary query strings: there is always an
// answer, or a problem that states the fault.
func FuzzQuestions(f *testing.F) {
	h := webOf(ledgerOf3(f), nil)
	paths := []string{"/v1/escalations", "/v1/incidents", "/v1/stats", "/v1/incidents/grid-east/x", "/v1/log"}
	forms := []string{"application/json", "application/x-ndjson", "text/csv"}
	for i, q := range []string{
		"", "grade=major&region=31&sector=energy&text=%E9%9A%9C", "since=2026-01-01&until=2026-01-01T00:00:00+08:00", "since=0000-00-00&until=9999999999-01-01",
		"limit=-1&cursor=9223372036854775808", "by=month&by=grade", "overdue=maybe&grade=x", "after=-1", "%zz&;=&&text=%00%ff", "limit=1e9&text=" + strings.Repeat("a%20", 300),
	} {
		for form := range forms {
			f.Add(uint8(i), uint8(form), q)
		}
	}
	f.Fuzz(func(t *testing.T, path, form uint8, question string) {
		r := httptest.NewRequest(http.MethodGet, paths[int(path)%len(paths)], nil)
		r.URL.RawQuery = question
		r.Header.Set("Accept", forms[int(form)%len(forms)])
		w := timed{httptest.NewRecorder()}
		h.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusOK:
		case http.StatusBadRequest, http.StatusNotFound, http.StatusNotAcceptable, http.StatusUnprocessableEntity:
			if w.Header().Get("Content-Type") != "application/problem+json" || !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%s?%q: %d without a problem: %s", r.URL.Path, question, w.Code, w.Body)
			}
		default:
			t.Fatalf("%s?%q: %d %s", r.URL.Path, question, w.Code, w.Body)
		}
	})
}
