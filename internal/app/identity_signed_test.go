package app_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// sign returns the headers of a signed request, as a client in any language makes them.
func (g *guarded) sign(role identity.Role, id, record string, sent []byte) nats.Header {
	g.t.Helper()
	return g.signAs("tocsin/act/1", role, id, record, sent)
}

func (g *guarded) signAs(format string, role identity.Role, id, record string, sent []byte) nats.Header {
	g.t.Helper()
	creds, err := os.ReadFile(g.creds(role, id))
	require.NoError(g.t, err)
	pair, err := nkeys.ParseDecoratedUserNKey(creds)
	require.NoError(g.t, err)
	key, err := pair.PublicKey()
	require.NoError(g.t, err)
	signature, err := pair.Sign([]byte("\xff" + format + "\n" + record + "\n" + string(sent)))
	require.NoError(g.t, err)
	return nats.Header{"Tocsin-Key": {key}, "Tocsin-Signature": {base64.StdEncoding.EncodeToString(signature)}}
}

// told reports an incident, and returns the escalation to the desk of protection-energy.
func (g *guarded) told(incident string) string {
	g.t.Helper()
	r, err := g.as(identity.Operator, "grid-east").Report(g.t.Context(), "grid-east", threat(incident))
	require.NoError(g.t, err)
	require.Equal(g.t, event.StatusAccepted, r.Status, "%+v", r.Errors)
	id := event.EscalationID("protection-energy", "grid-east", incident, "1")
	desk := g.as(identity.Desk, "protection-energy")
	require.Eventually(g.t, func() bool {
		found := false
		_, err := desk.Query(g.t.Context(), api.Query{}, 0, func(r api.EscalationRow) error {
			found = found || r.Escalation == id
			return nil
		})
		return err == nil && found
	}, waitLimit, 10*time.Millisecond)
	return id
}

// verifier has the key of the log.
func (g *guarded) verifier() evidence.Verifier {
	g.t.Helper()
	state, err := g.as(identity.Admin, "admin").Log(g.t.Context())
	require.NoError(g.t, err)
	v, err := evidence.NewVerifier(state.Key)
	require.NoError(g.t, err)
	return v
}

// An act of a desk is accepted only with the signature of its own key, for exactly that
// act.
func TestActsAreSigned(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	id := g.told("i1")
	const role, name = identity.Desk, "protection-energy"
	ack := []byte(`{"escalation":"` + id + `","officer":"duty-officer"}`)
	closing := []byte(`{"kind":"closed","id":"c1","desk":"protection-energy","operator":"grid-east","incident":"i1","officer":"duty-officer","reason":"<handled & filed>"}`)
	p := g.peer(g.creds(role, name))
	ask := func(endpoint, record string, sent []byte, header nats.Header) (status, why string) {
		t.Helper()
		m, err := p.RequestMsg(&nats.Msg{Subject: "desk.protection-energy." + endpoint, Header: header, Data: sent}, waitLimit)
		require.NoError(t, err)
		if m.Header.Get("Nats-Service-Error-Code") == "403" {
			return "forbidden", m.Header.Get("Nats-Service-Error")
		}
		var a struct{ Status string }
		require.NoError(t, json.Unmarshal(m.Data, &a), "%s", m.Data)
		return a.Status, string(m.Data)
	}
	head := g.settledHead()
	for _, act := range []struct {
		endpoint, record string
		sent             []byte
	}{{"acknowledge", event.AcknowledgedSubject(id), ack}, {"act", "incident.closed.protection-energy.grid-east.i1.c1", closing}} {
		good := g.sign(role, name, act.record, act.sent)
		other := []byte(strings.Replace(string(act.sent), "duty-officer", "deputy", 1))
		for want, h := range map[string]nats.Header{
			"is not signed":           nil,
			"no longer belongs":       g.sign(identity.Desk, "sh-public-security", act.record, act.sent),
			"the signature is not by": g.sign(role, name, "exercise."+act.record, act.sent),
			"signature does not hold": g.sign(role, name, act.record, other),
			"is not base64":           {"Tocsin-Key": good["Tocsin-Key"], "Tocsin-Signature": {"%"}},
		} {
			status, why := ask(act.endpoint, act.record, act.sent, h)
			require.Equal(t, "forbidden", status, "%s: %s", want, why)
			require.Contains(t, why, want)
		}
		// What would be read as something that is not signed.
		for _, sent := range []string{
			strings.Replace(string(act.sent), `"officer"`, `"Officer"`, 1),
			strings.Replace(string(act.sent), `{`, `{"officer":"another",`, 1),
			strings.Replace(string(act.sent), `{`, `{"to":"gate",`, 1),
		} {
			status, why := ask(act.endpoint, act.record, []byte(sent), g.sign(role, name, act.record, []byte(sent)))
			require.Contains(t, []string{"forbidden", event.StatusRejected}, status, why)
		}
		// What would not be stored as it was signed.
		broken := bytes.Replace(act.sent, []byte("duty-officer"), []byte("duty\xffofficer"), 1)
		status, why := ask(act.endpoint, act.record, broken, g.sign(role, name, act.record, broken))
		require.Equal(t, event.StatusRejected, status, why)
		require.Equal(t, head, g.settledHead(), "nothing is recorded")
		status, why = ask(act.endpoint, act.record, act.sent, good)
		require.Equal(t, event.StatusAccepted, status, why)
		status, _ = ask(act.endpoint, act.record, act.sent, good)
		require.Equal(t, event.StatusDuplicate, status)
		head = g.settledHead()
	}

	// From the record alone, with the key of the log and that of the identities.
	operator, err := g.folder.Key()
	require.NoError(t, err)
	v, err := g.verifier().WithIdentities(operator)
	require.NoError(t, err)
	for _, record := range []string{event.AcknowledgedSubject(id), "incident.closed.protection-energy.grid-east.i1.c1"} {
		m, err := g.ledger().GetLastMsgForSubject(t.Context(), record)
		require.NoError(t, err)
		act, err := v.ActOf(evidence.Record{Sequence: m.Sequence, Subject: m.Subject, Header: m.Header, Body: m.Data})
		require.NoError(t, err)
		require.Equal(t, "desk/protection-energy", act.Signed.By)
	}

	// An act that somebody forged into the stream with the services' own credential is
	// proved like any other record: verifying it shows that no desk signed it.
	services := g.peer(filepath.Join(string(g.folder), "creds", "services.creds"))
	const forgery = "incident.closed.protection-energy.grid-east.i1.forged"
	_, err = services.Request(forgery, []byte(`{"kind":"closed","signed":{"by":"desk/protection-energy"}}`), waitLimit)
	require.NoError(t, err)
	admin := g.as(identity.Admin, "admin")
	m, err := g.ledger().GetLastMsgForSubject(t.Context(), forgery)
	require.NoError(t, err)
	var proof string
	require.Eventually(t, func() bool {
		proof, err = admin.Prove(t.Context(), m.Sequence)
		return err == nil
	}, waitLimit, 20*time.Millisecond)
	state, err := admin.Log(t.Context())
	require.NoError(t, err)
	require.Empty(t, state.Damage)
	p2, err := evidence.ParseProof(proof)
	require.NoError(t, err)
	_, err = p2.Verify(v)
	require.NoError(t, err)
	_, err = v.ActOf(p2.Record)
	require.Error(t, err)

	// A replaced key signs nothing any more.
	old := g.sign(role, name, event.AcknowledgedSubject(id), ack)
	_, err = g.folder.Rotate(role, name, nil, clock.System{}.Now(), 0)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return p.IsClosed() }, waitLimit, 10*time.Millisecond)
	p = g.peer(g.creds(role, name))
	status, why := ask("acknowledge", "", ack, old)
	require.Equal(t, "forbidden", status, why)
	status, why = ask("acknowledge", "", ack, g.sign(role, name, event.AcknowledgedSubject(id), ack))
	require.Equal(t, event.StatusDuplicate, status, why)
}

// A desk states for which log it signs and when, by its own clock.
func TestActs_NameTheirLogAndTime(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	id := g.told("i1")
	const role, name = identity.Desk, "protection-energy"
	p, v := g.peer(g.creds(role, name)), g.verifier()
	ask := func(endpoint, record, format, sent string) (code, answer string) {
		t.Helper()
		m, err := p.RequestMsg(&nats.Msg{Subject: "desk.protection-energy." + endpoint, Header: g.signAs(format, role, name, record, []byte(sent)), Data: []byte(sent)}, waitLimit)
		require.NoError(t, err)
		return m.Header.Get("Nats-Service-Error-Code"), m.Header.Get("Nats-Service-Error") + string(m.Data)
	}
	const v1, v2 = "tocsin/act/1", "tocsin/act/2"
	now := time.Now().UTC().Format(time.RFC3339Nano)
	signing := func(log, at string) string { return `,"log":"` + log + `","signedAt":"` + at + `"}` }
	for endpoint, act := range map[string]struct{ record, sent string }{
		"acknowledge": {event.AcknowledgedSubject(id), `{"escalation":"` + id + `","officer":"duty-officer"`},
		"act":         {"incident.closed.protection-energy.grid-east.i1.c1", `{"kind":"closed","id":"c1","desk":"protection-energy","operator":"grid-east","incident":"i1","officer":"duty-officer","reason":"handled"`},
	} {
		for what, c := range map[string]struct{ format, sent, want string }{
			"another log":        {v2, act.sent + signing("log.example.com/other", now), "for the log"},
			"no log":             {v2, act.sent + `,"signedAt":"` + now + `"}`, "for the log"},
			"no time":            {v2, act.sent + `,"log":"` + v.Origin() + `"}`, "does not say when"},
			"signed as before":   {v1, act.sent + signing(v.Origin(), now), "signature is not by"},
			"says nothing of it": {v2, act.sent + "}", "signature is not by"},
		} {
			code, answer := ask(endpoint, act.record, c.format, c.sent)
			require.Equal(t, "403", code, "%s, %s: %s", endpoint, what, answer)
			require.Contains(t, answer, c.want, "%s, %s", endpoint, what)
		}
	}
	ack := `{"escalation":"` + id + `","officer":"duty-officer"` + signing(v.Origin(), "2020-01-01T00:00:00+08:00")
	code, answer := ask("acknowledge", event.AcknowledgedSubject(id), v2, ack)
	require.Empty(t, code)
	require.Contains(t, answer, `"warnings":[{"path":"$.signedAt"`, "the clocks differ by years")
	require.Contains(t, answer, event.StatusAccepted)

	closed, err := g.as(role, name).Act(t.Context(), event.DeskAct{Kind: event.KindClosed, ID: "c1", Desk: name, Operator: "grid-east", Incident: "i1", Officer: "duty-officer", Reason: "handled"})
	require.NoError(t, err)
	require.Equal(t, event.StatusAccepted, closed.Status, "%+v", closed.Errors)
	require.Empty(t, closed.Warnings)
	other, err := evidence.OpenKey(filepath.Join(t.TempDir(), "key"), "log.example.com/other")
	require.NoError(t, err)
	elsewhere, err := evidence.NewVerifier(other.Verifier())
	require.NoError(t, err)
	for _, record := range []string{event.AcknowledgedSubject(id), "incident.closed.protection-energy.grid-east.i1.c1"} {
		m, err := g.ledger().GetLastMsgForSubject(t.Context(), record)
		require.NoError(t, err)
		r := evidence.Record{Sequence: m.Sequence, Subject: m.Subject, Header: m.Header, Body: m.Data}
		act, err := v.ActOf(r)
		require.NoError(t, err, record)
		require.Equal(t, v2, act.Signed.Format, record)
		require.False(t, act.Signed.SignedAt().IsZero())
		_, err = elsewhere.ActOf(r)
		require.ErrorContains(t, err, "for the log", "an act of one log proves nothing in another")
	}
}

// The holder of a receipt can prove to anyone what was reported and when, with nothing
// but the key of the log.
func TestReceipts_VerifyWithTheLogsKeyAlone(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	v := g.verifier()
	p := g.peer(g.creds(identity.Operator, "grid-east"))
	send := func(subject string, raw []byte) (r event.Receipt, text []byte) {
		m, err := p.Request(subject, raw, waitLimit)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(m.Data, &r), "%s", m.Data)
		return r, m.Data
	}
	report := threat("i1")
	for _, c := range []struct {
		name, status string
		raw          []byte
	}{
		{"accepted", event.StatusAccepted, report}, {"again", event.StatusDuplicate, report},
		{"rejected", event.StatusRejected, []byte(`{"id":"<&>"}`)},
	} {
		receipt, text := send("report.grid-east", c.raw)
		require.Equal(t, c.status, receipt.Status, c.name)
		claim, err := v.VerifyReceipt(text)
		require.NoError(t, err, c.name)
		require.Equal(t, receipt.Claim(), claim)
		_, err = v.VerifyReceipt([]byte(strings.Replace(string(text), "grid-east", "xj-hydro", 1)))
		require.Error(t, err)
	}
	status, answer := g.http(http.DefaultClient, g.token(identity.Operator, "grid-east"), "POST", "/v1/reports", string(report))
	require.Equal(t, 200, status, answer)
	_, err := v.VerifyReceipt([]byte(answer))
	require.NoError(t, err, "over HTTP too")

	// Only the services can have a key certified, and without identities nobody.
	admin := g.peer(g.creds(identity.Admin, "admin"))
	require.NoError(t, admin.PublishRequest("ledger.certify", "_INBOX.x", []byte("{}")))
	require.Contains(t, subjectsDenied(admin.denied(t)), "ledger.certify")
}

// A receipt is signed while its record is being written to the disk, for the most likely
// outcome. With many concurrent reports, repeats and taken names, each receipt states the
// actual outcome.
func TestReceipts_StateWhatIsStored(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	v := g.verifier()
	p := g.peer(g.creds(identity.Operator, "grid-east"))
	var mu sync.Mutex
	claims := map[string][]evidence.Receipt{} // by incident
	trees := map[string]map[uint64]bool{}     // what was given out of what was signed together
	sizes := map[string]uint64{}
	hold := func(text []byte) bool {
		claim, err := v.VerifyReceipt(text)
		if !assert.NoError(t, err, "%s", text) {
			return false
		}
		var r event.Receipt
		if !assert.NoError(t, json.Unmarshal(text, &r)) {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		claims[claim.Incident] = append(claims[claim.Incident], claim)
		signature := string(r.Signed.Signature)
		if trees[signature] == nil {
			trees[signature] = map[uint64]bool{}
		}
		trees[signature][r.Signed.Index], sizes[signature] = true, r.Signed.Size
		return true
	}
	token := g.token(identity.Operator, "grid-east")
	var senders sync.WaitGroup
	for sender := range 4 {
		senders.Go(func() {
			for i := range 30 {
				incident := fmt.Sprint("i", i/2*(1+sender%2)) // also of others, at the same moment
				raw := threat(incident)
				for range 2 {
					m, err := p.Request("report.grid-east", raw, waitLimit)
					if !assert.NoError(t, err) || !hold(m.Data) {
						return
					}
				}
				if i%5 == 0 { // several at once, one of which is refused, and one twice
					batch := fmt.Sprintf("[%s,%s,%s,%s]", raw, threat(incident+"-"), bytes.Replace(threat("no"), []byte(`"dispatch"`), []byte(`"nowhere"`), 1), threat(incident+"-"))
					status, answer := g.http(http.DefaultClient, token, "POST", "/v1/reports", batch)
					var receipts []jsontext.Value
					if !assert.Equal(t, 200, status, answer) || !assert.NoError(t, json.Unmarshal([]byte(answer), &receipts)) {
						return
					}
					for _, text := range receipts {
						hold(text)
					}
				}
				time.Sleep(time.Duration(rand.IntN(4)) * time.Millisecond)
			}
		})
	}
	senders.Wait()
	stream, statuses := g.ledger(), map[string]int{}
	for incident, all := range claims {
		taken := map[uint64]bool{}
		for _, claim := range all {
			statuses[claim.Status]++
			if claim.Record == 0 {
				continue // refused, or of another report
			}
			taken[claim.Record] = true
			m, err := stream.GetMsg(t.Context(), claim.Record)
			require.NoError(t, err)
			stands := event.ReadStored(event.Real, m.Subject, m.Header, m.Data, m.Sequence, m.Time)
			require.Equal(t, stands.Entry(), *claim.Entry)
			require.Equal(t, incident, event.ParseSubject(stands.Subject).Incident)
		}
		if incident != "no" {
			require.Len(t, taken, 1, "one report of an id stands")
		}
	}
	require.Equal(t, len(claims)-1, statuses[event.StatusAccepted])
	require.Positive(t, statuses[event.StatusDuplicate])
	require.Positive(t, statuses[event.StatusRejected])
	// The holder of one receipt signed with others may discover those: all are true.
	for signature, given := range trees {
		require.Len(t, given, int(sizes[signature]), "something was signed that nobody was given")
	}
}
