package app_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// signRemoval returns the headers of a request to remove, as a client in any language
// makes them.
func (g *guarded) signRemoval(role identity.Role, id, endpoint string, sent []byte) nats.Header {
	g.t.Helper()
	creds, err := os.ReadFile(g.creds(role, id))
	require.NoError(g.t, err)
	pair, err := nkeys.ParseDecoratedUserNKey(creds)
	require.NoError(g.t, err)
	key, err := pair.PublicKey()
	require.NoError(g.t, err)
	signature, err := pair.Sign([]byte("\xfftocsin/removal/1\n" + endpoint + "\n" + string(sent)))
	require.NoError(g.t, err)
	return nats.Header{"Tocsin-Key": {key}, "Tocsin-Signature": {base64.StdEncoding.EncodeToString(signature)}}
}

// A record is removed only on a request that the administrator's own key has signed, for
// this log and this record, and the record of the removal proves it.
func TestRemovalsAreSigned(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	id := g.told("i1")
	head := g.settledHead()
	m, err := g.ledger().GetLastMsgForSubject(t.Context(), "incident.escalated."+id)
	require.NoError(t, err)
	log := g.verifier().Origin()
	admin := g.peer(g.creds(identity.Admin, "admin"))
	ask := func(sent string, header nats.Header) string {
		t.Helper()
		answer, err := admin.RequestMsg(&nats.Msg{Subject: "ledger.remove", Header: header, Data: []byte(sent)}, waitLimit)
		require.NoError(t, err)
		return answer.Header.Get("Nats-Service-Error") + string(answer.Data)
	}
	raw, err := json.Marshal(map[string]any{"record": m.Sequence, "order": "order 7/2026", "officer": "records-officer", "log": log, "signedAt": time.Now()})
	require.NoError(t, err)
	sent := string(raw)
	good := g.signRemoval(identity.Admin, "admin", "ledger.remove", raw)
	for _, c := range []struct {
		sent, want string
		header     nats.Header
	}{
		{sent, "is not signed", nil},
		{sent, "no longer belongs", g.signRemoval(identity.Desk, "protection-energy", "ledger.remove", raw)},
		{sent, "signature does not hold", g.signRemoval(identity.Admin, "admin", "exercise.ledger.remove", raw)},
		{sent, "signature does not hold", g.sign(identity.Admin, "admin", "incident.removed.1", raw)},
		{strings.Replace(sent, "7/2026", "8/2026", 1), "signature does not hold", good},
		{strings.Replace(sent, log, "log.example.com/other", 1), "for the log", g.signRemoval(identity.Admin, "admin", "ledger.remove", []byte(strings.Replace(sent, log, "log.example.com/other", 1)))},
	} {
		require.Contains(t, ask(c.sent, c.header), c.want)
	}
	require.Equal(t, head, g.settledHead(), "nothing is recorded")
	require.Contains(t, ask(sent, good), `"status":"accepted"`)

	c := g.as(identity.Admin, "admin")
	accepted, err := g.ledger().GetLastMsgForSubject(t.Context(), "incident.escalated."+strings.Replace(id, "protection-energy", "sh-public-security", 1))
	require.NoError(t, err)
	answer, err := c.Remove(t.Context(), api.RemoveRequest{Record: accepted.Sequence, Order: "order 8/2026", Officer: "records-officer", Reason: "names a person"})
	require.NoError(t, err)
	require.Equal(t, event.StatusAccepted, answer.Status, "%+v", answer.Errors)

	operator, err := g.folder.Key()
	require.NoError(t, err)
	v, err := g.verifier().WithIdentities(operator)
	require.NoError(t, err)
	removals := 0
	require.NoError(t, c.Show(t.Context(), "grid-east", "i1", func(s api.StoryEntry) error {
		if s.Type != event.KindRemoved {
			return nil
		}
		removals++
		act, err := v.ActOf(evidence.Record{Sequence: s.Record, Subject: s.Subject, Body: s.Body})
		require.NoError(t, err)
		require.Equal(t, "admin/admin", act.Signed.By)
		require.WithinDuration(t, time.Now(), act.Signed.SignedAt(), time.Hour)
		return nil
	}))
	require.Equal(t, 2, removals)
	_, err = c.Prove(t.Context(), m.Sequence)
	require.ErrorContains(t, err, "admin/admin")
}
