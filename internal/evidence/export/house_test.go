package export

import (
	"encoding/json"

	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// house issues the credential of the desk hall.
type house struct {
	identities, desk nkeys.KeyPair
	operator, user   string
}

func newHouse(t require.TestingT) (h house) {
	var err error
	h.identities, err = nkeys.CreateOperator()
	require.NoError(t, err)
	h.desk, err = nkeys.CreateUser()
	require.NoError(t, err)
	h.operator, err = h.identities.PublicKey()
	require.NoError(t, err)
	h.user, err = h.desk.PublicKey()
	require.NoError(t, err)
	return h
}

const (
	actSubject = "incident.determined.hall.mill.flood.n1"
	actSent    = `{"kind":"determined","id":"n1","desk":"hall","operator":"mill","incident":"flood","officer":"duty-officer","reason":"核心功能中断","grade":"major","dueAt":"2026-03-02T17:00:00+08:00"}`
	actKept    = `{"kind":"determined","id":"n1","desk":"hall","operator":"mill","incident":"flood","officer":"duty-officer","reason":"核心功能中断","at":"2026-03-02T08:00:00Z","grade":"major","dueAt":"2026-03-02T09:00:00Z","to":""`
)

func (h house) sign(t require.TestingT, subject, sent string) evidence.SignedAct {
	s := evidence.SignedAct{By: "desk/hall", Key: h.user, Sent: sent, Identities: h.operator}
	var err error
	s.Certificate, err = h.identities.Sign(evidence.KeyText(s.By, s.Key))
	require.NoError(t, err)
	s.Signature, err = h.desk.Sign(evidence.ActText(evidence.ActFormat1, subject, []byte(sent)))
	require.NoError(t, err)
	return s
}

// record returns the record of a signed act.
func (h house) record(t require.TestingT) evidence.Record {
	raw, err := json.Marshal(h.sign(t, actSubject, actSent))
	require.NoError(t, err)
	return evidence.Record{Sequence: 1, Subject: actSubject, Header: map[string][]string{"ce-id": {actSubject}}, Body: []byte(actKept + `,"signed":` + string(raw) + "}")}
}

// signRemoval signs a request as an administrator does, with a credential issued by the
// operator's key itself, or through a signing key.
func (h house) signRemoval(t require.TestingT, door, sent string, signer nkeys.KeyPair) evidence.SignedAct {
	s := evidence.SignedAct{By: "admin/records", Key: h.user, Sent: sent, Identities: h.operator}
	var err error
	s.Signature, err = h.desk.Sign(evidence.RemovalText(door, []byte(sent)))
	require.NoError(t, err)
	by := h.identities
	if signer != nil {
		by = signer
		s.Signer, err = signer.PublicKey()
		require.NoError(t, err)
		s.Delegation, err = h.identities.Sign(evidence.SignerText(s.Signer))
		require.NoError(t, err)
	}
	s.Certificate, err = by.Sign(evidence.KeyText(s.By, s.Key))
	require.NoError(t, err)
	return s
}
