package evidence

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
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

func (h house) sign(t require.TestingT, subject, sent string) SignedAct {
	s := SignedAct{By: "desk/hall", Key: h.user, Sent: sent, Identities: h.operator}
	var err error
	s.Certificate, err = h.identities.Sign(KeyText(s.By, s.Key))
	require.NoError(t, err)
	s.Signature, err = h.desk.Sign(ActText(ActFormat1, subject, []byte(sent)))
	require.NoError(t, err)
	return s
}

// record returns the record of a signed act.
func (h house) record(t require.TestingT) Record {
	raw, err := json.Marshal(h.sign(t, actSubject, actSent))
	require.NoError(t, err)
	return Record{Sequence: 1, Subject: actSubject, Header: map[string][]string{"ce-id": {actSubject}}, Body: []byte(actKept + `,"signed":` + string(raw) + "}")}
}

func TestASignedAct(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.record(t)
	var any Verifier
	act, err := any.ActOf(r)
	require.NoError(t, err)
	require.Equal(t, "hall", act.Desk)
	require.Equal(t, h.user, act.Signed.Key)

	ours, err := any.WithIdentities(h.operator)
	require.NoError(t, err)
	_, err = ours.ActOf(r)
	require.NoError(t, err)
	theirs, err := any.WithIdentities(newHouse(t).operator)
	require.NoError(t, err)
	_, err = theirs.ActOf(r)
	require.ErrorContains(t, err, "gave out and not")
	_, err = any.WithIdentities(h.user)
	require.ErrorContains(t, err, "begins with O")

	r.Body = []byte(actKept + "}")
	act, err = any.ActOf(r)
	require.NoError(t, err, "without identities nothing is signed")
	require.Nil(t, act.Signed)
	_, err = ours.ActOf(r)
	require.ErrorContains(t, err, "has not signed it")
	act, err = ours.ActOf(Record{Subject: "incident.graded.mill.flood.1", Body: []byte("{}")})
	require.NoError(t, err)
	require.Nil(t, act, "it is no act of a desk")
}

// A signed act is valid for one record only, and proves nothing else.
func TestSignedAct_ValidForOneRecordOnly(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	good := h.sign(t, actSubject, actSent)
	require.NoError(t, good.Verify("", actSubject, []byte(actKept+"}")))
	stranger := newHouse(t)
	for name, c := range map[string]struct {
		change  func(*SignedAct)
		subject string
		body    string
		want    string
	}{
		"another incident":      {subject: "incident.determined.hall.mill.fire.n1", want: "signature is not by"},
		"a drill":               {subject: "exercise." + actSubject, want: "signature is not by"},
		"another desk":          {subject: strings.Replace(actSubject, "hall", "gate", 1), want: "signed by desk/hall"},
		"no act":                {subject: "incident.graded.mill.flood.1", want: "no act of a desk"},
		"another grade":         {body: strings.Replace(actKept, "major", "general", 1), want: "$.grade"},
		"something more":        {body: strings.Replace(actKept, `"to":""`, `"to":"gate"`, 1), want: "$.to"},
		"something less":        {body: strings.Replace(actKept, `"reason":"核心功能中断",`, "", 1), want: "$.reason"},
		"another time":          {body: strings.Replace(actKept, "T09:00", "T09:01", 1), want: "$.dueAt"},
		"a member twice":        {body: actKept + `,"grade":"general"`, want: "duplicate"},
		"other words":           {change: func(s *SignedAct) { s.Sent = strings.Replace(s.Sent, "major", "general", 1) }, want: "signature is not by"},
		"another role":          {change: func(s *SignedAct) { s.By = "admin/hall" }, want: "signed by admin/hall"},
		"a key of nobody's":     {change: func(s *SignedAct) { s.Key = stranger.user }, want: "that the key is of desk/hall"},
		"identities of nobody":  {change: func(s *SignedAct) { s.Identities = stranger.operator }, want: "that the key is of desk/hall"},
		"a key of another kind": {change: func(s *SignedAct) { s.Identities = s.Key }, want: "begins with O"},
		"no certificate":        {change: func(s *SignedAct) { s.Certificate = nil }, want: "that the key is of desk/hall"},
		"no signature":          {change: func(s *SignedAct) { s.Signature = nil }, want: "signature is not by"},
	} {
		s := good
		if c.change != nil {
			c.change(&s)
		}
		if c.subject == "" {
			c.subject = actSubject
		}
		if c.body == "" {
			c.body = actKept
		}
		require.ErrorContains(t, s.Verify("", c.subject, []byte(c.body+"}")), c.want, name)
	}
	// The stamps are the log's.
	require.NoError(t, good.Verify("", actSubject, []byte(strings.Replace(actKept, "08:00:00Z", "08:30:00Z", 1)+"}")))
}

// A NATS server challenges a client with a text, which the client signs with the key of
// its credential: no such text may equal what a desk signs.
func TestSignedAct_IsNoServerChallenge(t *testing.T) {
	t.Parallel()
	for _, text := range [][]byte{ActText(ActFormat1, actSubject, []byte(actSent)), ActText(ActFormat2, actSubject, []byte(actSent)), KeyText("desk/hall", "U"), headText(1, Hash{})} {
		raw, err := json.Marshal(string(text))
		require.NoError(t, err)
		var nonce string
		require.NoError(t, json.Unmarshal(raw, &nonce))
		require.NotEqual(t, string(text), nonce)
	}
}

func TestNkeys(t *testing.T) {
	t.Parallel()
	for kind, create := range map[nkeyKind]func() (nkeys.KeyPair, error){nkeyOperator: nkeys.CreateOperator, nkeyServer: nkeys.CreateServer, nkeyUser: nkeys.CreateUser} {
		pair, err := create()
		require.NoError(t, err)
		text, err := pair.PublicKey()
		require.NoError(t, err)
		key, err := decodeNkey(kind, text)
		require.NoError(t, err)
		require.Equal(t, text, encodeNkey(kind, key))
		require.Equal(t, text[:1], kind.letter())
		for i := range text {
			for _, c := range "A7b=" {
				if changed := text[:i] + string(c) + text[i+1:]; changed != text {
					_, err := decodeNkey(kind, changed)
					require.Error(t, err, "%d %c", i, c)
				}
			}
		}
	}
}

var receivedAt = time.Date(2026, 3, 2, 8, 0, 0, 5_000_000, time.UTC)

func signedReceipt(t require.TestingT, log *Key, change func(*Receipt)) string {
	key := NewReceiptKey()
	certificate, err := log.CertifyReceipts(key.Public())
	require.NoError(t, err)
	entry := Hash{7}
	r := Receipt{Status: "accepted", Operator: "mill", Incident: "flood", Report: "r\"1\n", Digest: strings.Repeat("ab", 32), ReceivedAt: &receivedAt, Record: 17, Entry: &entry}
	if change != nil {
		change(&r)
	}
	raw, err := json.Marshal(struct {
		Receipt
		Warnings []string       `json:"warnings"`
		Signed   *SignedReceipt `json:"signed"`
	}{r, []string{"a clock differs"}, key.Sign([]Receipt{{Report: "before"}, r, {Report: "after"}}, certificate)[1]})
	require.NoError(t, err)
	return string(raw)
}

func logKey(t *testing.T, name string) *Key {
	k, err := OpenKey(t.TempDir()+"/key", name)
	require.NoError(t, err)
	return k
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	log := logKey(t, "log.example.com/test")
	v, err := NewVerifier(log.Verifier())
	require.NoError(t, err)
	text := signedReceipt(t, log, nil)
	require.True(t, IsReceipt(text))
	got, err := v.VerifyReceipt([]byte(text))
	require.NoError(t, err)
	require.Equal(t, "mill", got.Operator)
	require.EqualValues(t, 17, got.Record)

	invalid := signedReceipt(t, log, func(r *Receipt) { r.Report = "\xff\xfe" })
	_, err = v.VerifyReceipt([]byte(invalid))
	require.NoError(t, err, "what is no UTF-8 is signed as it is written")

	for _, from := range []string{`"accepted"`, `"mill"`, `"flood"`, "abab", `2026-03`, `:17,`, "BwAA"} {
		for _, to := range []string{`"rejected"`, `"grid"`, "cdcd", `2025-03`, `:18,`, "CAAA", `""`} {
			if changed := strings.Replace(text, from, to, 1); json.Valid([]byte(changed)) {
				_, err := v.VerifyReceipt([]byte(changed))
				require.Error(t, err, "%s → %s", from, to)
			}
		}
	}
	for want, changed := range map[string]string{
		"it is not signed": strings.Replace(text, `"signed"`, `"unsigned"`, 1),
		"no certificate":   strings.Replace(text, `"certificate"`, `"other"`, 1),
		"not a receipt":    "{",
		"not signed with":  signedReceipt(t, logKey(t, "log.example.com/test"), nil),
	} {
		_, err := v.VerifyReceipt([]byte(changed))
		require.ErrorContains(t, err, want)
	}
	_, err = Verifier{}.VerifyReceipt([]byte(text))
	require.ErrorContains(t, err, "no verifier key")

	// The key of receipts certifies nothing, and no checkpoint is a certificate.
	_, err = log.CertifyReceipts("U")
	require.ErrorContains(t, err, "begins with N")
	cp, err := log.Sign(1, Hash{})
	require.NoError(t, err)
	key := NewReceiptKey()
	raw, err := json.Marshal(map[string]any{"status": "accepted", "report": "r", "signed": key.Sign([]Receipt{{Status: "accepted", Report: "r"}}, cp.Note)[0]})
	require.NoError(t, err)
	_, err = v.VerifyReceipt(raw)
	require.ErrorContains(t, err, "does not say")
	certificate, err := log.CertifyReceipts(key.Public())
	require.NoError(t, err)
	_, err = v.Open(certificate)
	require.Error(t, err)
}

// However many are signed together, each is valid, and none for another.
func TestReceiptsSignedTogether(t *testing.T) {
	t.Parallel()
	log := logKey(t, "log.example.com/test")
	v, err := NewVerifier(log.Verifier())
	require.NoError(t, err)
	key := NewReceiptKey()
	certificate, err := log.CertifyReceipts(key.Public())
	require.NoError(t, err)
	text := func(r Receipt, s *SignedReceipt) []byte {
		raw, err := json.Marshal(struct {
			Receipt
			Signed *SignedReceipt `json:"signed"`
		}{r, s})
		require.NoError(t, err)
		return raw
	}
	require.Empty(t, key.Sign(nil, certificate))
	for n := 1; n <= 20; n++ {
		receipts := make([]Receipt, n)
		for i := range receipts {
			receipts[i] = Receipt{Status: "accepted", Report: strings.Repeat("r", i+1)}
		}
		signed := key.Sign(receipts, certificate)
		for i, r := range receipts {
			got, err := v.VerifyReceipt(text(r, signed[i]))
			require.NoError(t, err)
			require.Equal(t, r, got)
			if n > 1 {
				_, err = v.VerifyReceipt(text(r, signed[(i+1)%n]))
				require.ErrorContains(t, err, "not what was signed")
			}
		}
	}
}

// After any bit flip, the signature is no longer valid, or the content is unchanged.
func TestSigned_FlippedBit(t *testing.T) {
	t.Parallel()
	h, log := newHouse(t), logKey(t, "log.example.com/test")
	record, receipt := h.record(t), signedReceipt(t, log, nil)
	v, err := NewVerifier(log.Verifier())
	require.NoError(t, err)
	v, err = v.WithIdentities(h.operator)
	require.NoError(t, err)
	want, err := v.VerifyReceipt([]byte(receipt))
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		flip := func(text []byte) []byte {
			out := append([]byte{}, text...)
			bit := rapid.IntRange(0, 8*len(out)-1).Draw(t, "bit")
			out[bit/8] ^= 1 << (bit % 8)
			return out
		}
		r := record
		r.Body = flip(record.Body)
		if act, err := v.ActOf(r); err == nil {
			require.NotNil(t, act.Signed)
			require.NoError(t, act.Signed.Verify("", actSubject, r.Body))
			require.Equal(t, actSent, act.Signed.Sent)
		}
		if got, err := v.VerifyReceipt(flip([]byte(receipt))); err == nil {
			require.Equal(t, want, got)
		}
	})
}

func FuzzSignedAct(f *testing.F) {
	h := newHouse(f)
	f.Add(string(h.record(f).Body), actSubject)
	f.Add(`{"signed":null}`, "incident.acknowledged.hall.mill.flood.1")
	f.Add(`{"signed":{"by":"desk/hall","sent":"{}"}}`, actSubject)
	var v Verifier
	f.Fuzz(func(t *testing.T, body, subject string) {
		act, err := v.ActOf(Record{Sequence: 1, Subject: subject, Body: []byte(body)})
		if err != nil || act == nil || act.Signed == nil {
			return
		}
		if act.Desk != "" && act.Signed.By != "desk/"+act.Desk || act.Desk == "" && !strings.HasPrefix(act.Signed.By, "admin/") {
			t.Fatalf("%s signed for %s", act.Signed.By, act.Desk)
		}
	})
}

func FuzzReceipt(f *testing.F) {
	log, err := OpenKey(f.TempDir()+"/key", "log.example.com/test")
	require.NoError(f, err)
	v, err := NewVerifier(log.Verifier())
	require.NoError(f, err)
	good := signedReceipt(f, log, nil)
	want, err := v.VerifyReceipt([]byte(good))
	require.NoError(f, err)
	f.Add(good)
	f.Add(`{"status":"accepted","report":"r","signed":{"certificate":"x"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := v.VerifyReceipt([]byte(text))
		if err == nil {
			require.Equal(t, want, got, "only one receipt was ever signed with this key")
		}
	})
}
