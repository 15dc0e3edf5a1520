package audit

import (
	"encoding/json"
	"testing"

	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// The records that remove and archive make of a request agree with the signed request.
func TestRemovalsAgreeWithTheirRequests(t *testing.T) {
	t.Parallel()
	operator, err := nkeys.CreateOperator()
	require.NoError(t, err)
	user, err := nkeys.CreateUser()
	require.NoError(t, err)
	signed := evidence.SignedAct{By: "admin/admin"}
	signed.Identities, err = operator.PublicKey()
	require.NoError(t, err)
	signed.Key, err = user.PublicKey()
	require.NoError(t, err)
	signed.Certificate, err = operator.Sign(evidence.KeyText(signed.By, signed.Key))
	require.NoError(t, err)
	at := ledgertest.Nine
	signing := api.Signing{Log: "log.example.com/l", SignedAt: &at}
	for _, c := range []struct {
		endpoint string
		request  any
		removal  event.Removal
	}{
		{api.EndpointRemove, api.RemoveRequest{Record: 7, Order: "o", Officer: "p", Reason: "r", Signing: signing},
			event.Removal{First: 7, Entries: []evidence.Hash{{1}}, Basis: event.BasisOrder, Order: "o", Officer: "p", Reason: "r", At: ledgertest.Nine, Operator: "grid-east", Incident: "i", Type: event.KindAccepted, Subject: event.SubjectHash("s")}},
		{api.EndpointArchive, api.ArchiveRequest{First: 1, Last: 9, Export: "ab", Officer: "p", Signing: signing},
			event.Removal{First: 2, Entries: []evidence.Hash{{1}, {}, {2}}, Basis: event.BasisRetention, Export: "ab", Officer: "p", At: ledgertest.Nine}},
	} {
		for _, realm := range []event.Realm{event.Real, event.Drill} {
			sent, err := json.Marshal(c.request)
			require.NoError(t, err)
			s := signed
			s.Sent = string(sent)
			s.Signature, err = user.Sign(evidence.RemovalText(realm.Wire(c.endpoint), sent))
			require.NoError(t, err)
			body, err := json.Marshal(c.removal)
			require.NoError(t, err)
			require.NoError(t, s.VerifyRemoval("log.example.com/l", realm.Wire(event.RemovedSubject(c.removal.First)), body))
		}
	}
}
