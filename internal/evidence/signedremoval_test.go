package evidence

import (
	"strings"
	"testing"

	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"
)

const (
	orderSent   = `{"record":7,"order":"国保密〔2026〕12号","officer":"records-officer","log":"log.example.com/test","signedAt":"2026-03-02T08:00:00Z"}`
	orderKept   = `{"first":7,"entries":["` + zeroHash + `"],"why":"order","order":"国保密〔2026〕12号","officer":"records-officer","at":"2026-03-02T08:00:01Z","operator":"mill"`
	archiveSent = `{"first":5,"last":9,"export":"ab","officer":"archivist","log":"log.example.com/test","signedAt":"2026-03-02T08:00:00Z"}`
	archiveKept = `{"first":6,"entries":["` + zeroHash + `","` + zeroHash + `"],"why":"retention","export":"ab","officer":"archivist","at":"2026-03-02T08:00:01Z"`
	zeroHash    = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	ofTest      = "log.example.com/test"
)

// signRemoval signs a request as an administrator does, with a credential issued by the
// operator's key itself, or through a signing key.
func (h house) signRemoval(t require.TestingT, endpoint, sent string, signer nkeys.KeyPair) SignedAct {
	s := SignedAct{By: "admin/records", Key: h.user, Sent: sent, Identities: h.operator}
	var err error
	s.Signature, err = h.desk.Sign(RemovalText(endpoint, []byte(sent)))
	require.NoError(t, err)
	by := h.identities
	if signer != nil {
		by = signer
		s.Signer, err = signer.PublicKey()
		require.NoError(t, err)
		s.Delegation, err = h.identities.Sign(SignerText(s.Signer))
		require.NoError(t, err)
	}
	s.Certificate, err = by.Sign(KeyText(s.By, s.Key))
	require.NoError(t, err)
	return s
}

func TestSignedRemoval(t *testing.T) {
	t.Parallel()
	h, stranger := newHouse(t), newHouse(t)
	signer, err := nkeys.CreateOperator()
	require.NoError(t, err)
	for _, by := range []nkeys.KeyPair{nil, signer} {
		order, archive := h.signRemoval(t, "ledger.remove", orderSent, by), h.signRemoval(t, "ledger.archive", archiveSent, by)
		require.NoError(t, order.VerifyRemoval(ofTest, "incident.removed.7", []byte(orderKept+"}")))
		require.NoError(t, archive.VerifyRemoval(ofTest, "incident.removed.6", []byte(archiveKept+"}")))
		require.Error(t, order.VerifyRemoval("log.example.com/other", "incident.removed.7", []byte(orderKept+"}")))
		for name, c := range map[string]struct {
			signed        SignedAct
			subject, body string
			want          string
		}{
			"another record":    {order, "incident.removed.8", strings.Replace(orderKept, ":7,", ":8,", 1), "other records"},
			"a second record":   {order, "", strings.Replace(orderKept, `["`, `["`+zeroHash+`","`, 1), "other records"},
			"another order":     {order, "", strings.Replace(orderKept, "12号", "13号", 1), "$.order"},
			"another officer":   {order, "", strings.Replace(orderKept, "records-officer", "deputy", 1), "$.officer"},
			"a reason":          {order, "", orderKept + `,"reason":"x"`, "$.reason"},
			"another cause":     {order, "", strings.Replace(orderKept, `"why":"order"`, `"why":"retention"`, 1), "signature is not by"},
			"no cause":          {order, "", strings.Replace(orderKept, `"why":"order"`, `"why":"storm"`, 1), "a newer program made it"},
			"a drill":           {order, "exercise.incident.removed.7", orderKept, "signature is not by"},
			"no removal":        {order, "incident.graded.mill.x.1", orderKept, "is no removal"},
			"a desk":            {changed(order, func(s *SignedAct) { s.By = "desk/hall" }), "", orderKept, "no administrator"},
			"other words":       {changed(order, func(s *SignedAct) { s.Sent = strings.Replace(s.Sent, ":7,", ":6,", 1) }), "", orderKept, "signature is not by"},
			"another key":       {changed(order, func(s *SignedAct) { s.Key = stranger.user }), "", orderKept, "the key is of admin/records"},
			"another operator":  {changed(order, func(s *SignedAct) { s.Identities = stranger.operator }), "", orderKept, ""},
			"no delegation":     {changed(order, func(s *SignedAct) { s.Signer, s.Delegation = h.user, nil }), "", orderKept, "gives out credentials"},
			"beyond the range":  {archive, "incident.removed.9", strings.Replace(archiveKept, ":6,", ":9,", 1), "other records"},
			"before the range":  {archive, "incident.removed.4", strings.Replace(archiveKept, ":6,", ":4,", 1), "other records"},
			"another export":    {archive, "incident.removed.6", strings.Replace(archiveKept, `"ab"`, `"cd"`, 1), "$.export"},
			"an order for it":   {archive, "incident.removed.6", archiveKept + `,"order":"x"`, "$.order"},
			"something unknown": {h.signRemoval(t, "ledger.remove", strings.Replace(orderSent, "{", `{"try":true,`, 1), by), "", orderKept, "$.try"},
			"no log":            {h.signRemoval(t, "ledger.remove", strings.Replace(orderSent, ofTest, "", 1), by), "", orderKept, "for the log"},
			"no time":           {h.signRemoval(t, "ledger.remove", strings.Replace(orderSent, "2026-03-02T08:00:00Z", "then", 1), by), "", orderKept, "when"},
		} {
			if c.subject == "" {
				c.subject = "incident.removed.7"
			}
			err := c.signed.VerifyRemoval(ofTest, c.subject, []byte(c.body+"}"))
			require.Error(t, err, name)
			require.ErrorContains(t, err, c.want, name)
		}
	}
}

func changed(s SignedAct, change func(*SignedAct)) SignedAct {
	change(&s)
	return s
}
