package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/evidence/export"
)

const event = `{"specversion":"1.0","id":"r1","source":"urn:tocsin:operator:mill","type":"tocsin.report.initial.v1","subject":"flood","data":{"title":"调度中断","facilities":["dispatch"]}}`

func TestReceipts(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	key := evidence.NewReceiptKey()
	certificate, err := s.key.CertifyReceipts(key.Public())
	require.NoError(t, err)
	digest, err := evidence.CanonicalDigest([]byte(`{"facilities":["dispatch"],"title":"调度中断"}`))
	require.NoError(t, err)
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	claim := evidence.Receipt{Status: "accepted", Operator: "mill", Incident: "flood", Report: "r1", Source: "urn:tocsin:operator:mill", Type: "tocsin.report.initial.v1", Digest: digest, ReceivedAt: &at, Record: 7, Exercise: true}
	receipt := func(certificate string) string {
		raw, err := json.Marshal(struct {
			evidence.Receipt
			Signed *evidence.SignedReceipt `json:"signed"`
		}{claim, key.Sign([]evidence.Receipt{claim}, certificate)[0]})
		require.NoError(t, err)
		return string(raw) + "\n"
	}
	s.write(t, "receipt", receipt(certificate))
	s.write(t, "event", event)
	code, out, errOut := s.verify(s.path("receipt"), "--report", s.path("event"))
	require.Equal(t, exitHolds, code, errOut)
	for _, want := range []string{"HOLDS: the receipt", "mill", "flood", "r1", digest, "2026-03-02T08:00:00Z", "no real incident", s.path("event")} {
		require.Contains(t, out, want)
	}
	code, out, _ = s.verify(s.path("receipt"), "--json")
	require.Equal(t, exitHolds, code)
	require.Contains(t, out, `"kind":"receipt"`)

	for want, other := range map[string]string{
		"the receipt is of another":    strings.Replace(event, "调度", "结算", 1),
		"tocsin.report.final.v1":       strings.Replace(event, "initial", "final", 1),
		"urn:other:mill":               strings.Replace(event, "urn:tocsin:operator", "urn:other", 1),
		"\"r2\"":                       strings.Replace(event, "r1", "r2", 1),
		"duplicate object member name": strings.Replace(event, `{"spec`, `{"data":{},"spec`, 1),
	} {
		s.write(t, "other", other)
		code, _, errOut = s.verify(s.path("receipt"), "--report", s.path("other"))
		require.Equal(t, exitFails, code, want)
		require.Contains(t, errOut, want)
	}
	forged := strings.Replace(event, `"data"`, `"DATA"`, 1) // a careless decoder takes it for data
	s.write(t, "other", strings.Replace(forged, `{"spec`, `{"data":{"title":"forged"},"spec`, 1))
	code, _, _ = s.verify(s.path("receipt"), "--report", s.path("other"))
	require.Equal(t, exitFails, code)
	s.write(t, "base64", `{"id":"r1","source":"urn:tocsin:operator:mill","type":"tocsin.report.initial.v1","subject":"flood","data_base64":"`+base64.StdEncoding.EncodeToString([]byte(`{"title":"调度中断","facilities":["dispatch"]}`))+`"}`)
	code, _, errOut = s.verify(s.path("receipt"), "--report", s.path("base64"))
	require.Equal(t, exitHolds, code, errOut)

	// In a conflict nothing about the report stored under the id is vouched for.
	taken := claim
	claim.Status = "conflict"
	s.write(t, "conflict", receipt(certificate))
	claim = taken
	code, out, _ = s.verify(s.path("conflict"))
	require.Equal(t, exitHolds, code)
	require.NotContains(t, out, "2026-03-02")
	code, _, errOut = s.verify(s.path("conflict"), "--report", s.path("event"))
	require.Equal(t, exitFails, code)
	require.Contains(t, errOut, "nothing was taken")
	s.write(t, "forged", strings.Replace(receipt(certificate), "mill", "grid", 1))
	code, _, errOut = s.verify(s.path("forged"))
	require.Equal(t, exitFails, code)
	require.Contains(t, errOut, "not what was signed")

	// Several in one file, as a reporting program keeps them.
	s.write(t, "several", receipt(certificate)+"\n"+receipt(certificate))
	code, out, errOut = s.verify(s.path("several"))
	require.Equal(t, exitHolds, code, errOut)
	require.Contains(t, out, "all 2 receipts")
	s.write(t, "several", receipt(certificate)+receipt("")+strings.Replace(receipt(certificate), "mill", "grid", 1)+"{}\n")
	code, _, errOut = s.verify(s.path("several"))
	require.Equal(t, exitFails, code)
	for _, want := range []string{"line 2: could not be checked", "line 3: does not hold", "line 4: does not hold", "of 4 receipts 1 hold"} {
		require.Contains(t, errOut, want)
	}
	code, out, _ = s.verify(s.path("several"), "--json")
	require.Equal(t, exitFails, code)
	require.Contains(t, out, `"receipts":{"hold":1,"faults":[{"line":2,"result":"unchecked"`)
	s.write(t, "several", receipt(certificate)+receipt(""))
	code, _, _ = s.verify(s.path("several"))
	require.Equal(t, exitUnchecked, code)
	code, _, errOut = s.verify(s.path("several"), "--report", s.path("event"))
	require.Equal(t, exitUnchecked, code)
	require.Contains(t, errOut, "has several receipts")

	s.write(t, "early", receipt(""))
	code, _, errOut = s.verify(s.path("early"))
	require.Equal(t, exitUnchecked, code)
	require.Contains(t, errOut, "send the same report again")
	s.write(t, "newer", strings.Replace(receipt(certificate), "tocsin/receipt/2", "tocsin/receipt/9", 1))
	code, _, errOut = s.verify(s.path("newer"))
	require.Equal(t, exitUnchecked, code, "a format of the future is no forgery")
	require.Contains(t, errOut, "newer tocsin-verify")
	for _, args := range [][]string{{s.path("receipt"), "--extends", s.path("checkpoint-200")}, {s.path("checkpoint-200"), "--report", s.path("event")}, {s.path("receipt"), "--report", s.path("none")}} {
		code, _, _ := s.verify(args...)
		require.Equal(t, exitUnchecked, code, "%v", args)
	}
}

// An export in which a desk has signed one act, and another has signed none.
func TestVerify_ActsOfDesks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, err := evidence.OpenKey(filepath.Join(dir, "secret"), "log.example.com/test")
	require.NoError(t, err)
	identities, err := nkeys.CreateOperator()
	require.NoError(t, err)
	operator, err := identities.PublicKey()
	require.NoError(t, err)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	user, err := nkeys.Encode(nkeys.PrefixByteUser, public)
	require.NoError(t, err)
	certificate, err := identities.Sign(evidence.KeyText("desk/hall", string(user)))
	require.NoError(t, err)
	const sent = `{"escalation":"hall.mill.flood.1","officer":"duty-officer"}`
	act := func(desk, officer string) evidence.Record {
		subject := "incident.acknowledged." + desk + ".mill.flood.1"
		body := map[string]any{"escalation": "hall.mill.flood.1", "officer": officer, "at": "2026-03-02T08:00:00Z"}
		if desk == "hall" {
			body["signed"] = evidence.SignedAct{
				By: "desk/hall", Key: string(user), Sent: sent, Identities: operator, Certificate: certificate,
				Signature: ed25519.Sign(private, evidence.ActText(evidence.ActFormat1, subject, []byte(sent))),
			}
		}
		raw, err := json.Marshal(body)
		require.NoError(t, err)
		return evidence.Record{Subject: subject, Header: map[string][]string{}, Body: raw}
	}
	scene := func(name string, records ...evidence.Record) (folder, proof string) {
		tiles := evidence.Dir(filepath.Join(dir, name+"-tree"))
		require.NoError(t, os.Mkdir(string(tiles), 0o700))
		tree, err := evidence.OpenTree(string(tiles), 0)
		require.NoError(t, err)
		for i := range records {
			records[i].Sequence = uint64(i + 1)
			require.NoError(t, tree.Append(records[i].Entry()))
		}
		require.NoError(t, tree.Write())
		cp, err := key.Sign(uint64(len(records)), tree.Root())
		require.NoError(t, err)
		folder = filepath.Join(dir, name)
		m := export.Manifest{Key: key.Verifier(), First: 1, Last: uint64(len(records)), Made: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)}
		e, err := export.Create(folder, m, cp.Note, tiles)
		require.NoError(t, err)
		for _, r := range records {
			require.NoError(t, e.Add(r))
		}
		_, err = e.Close()
		require.NoError(t, err)
		path, err := evidence.ProveInclusion(tiles, uint64(len(records)), 0)
		require.NoError(t, err)
		proof = filepath.Join(dir, name+".proof")
		require.NoError(t, os.WriteFile(proof, []byte(evidence.Proof{Record: records[0], Path: path, Checkpoint: cp.Note}.String()), 0o600))
		return folder, proof
	}
	verify := func(args ...string) (int, string) {
		code, out, errOut := command(append([]string{"--lang", "en", "--key", key.Verifier()}, args...)...)
		return code, out + errOut
	}

	signed, proof := scene("signed", act("hall", "duty-officer"))
	for _, file := range []string{signed, proof} {
		code, out := verify(file)
		require.Equal(t, exitHolds, code, out)
		require.Contains(t, out, operator)
		code, out = verify(file, "--identities", operator)
		require.Equal(t, exitHolds, code, out)
		stranger, err := nkeys.CreateOperator()
		require.NoError(t, err)
		other, err := stranger.PublicKey()
		require.NoError(t, err)
		code, out = verify(file, "--identities", other)
		require.Equal(t, exitFails, code, out)
		require.Contains(t, out, "gave out and not")
		code, _ = verify(file, "--identities", string(user))
		require.Equal(t, exitUnchecked, code)
	}
	_, out := verify(proof)
	require.Contains(t, out, fmt.Sprintf("by desk/hall with the key %s", user))

	// The log has certified it, although nobody did it.
	forged, proof := scene("forged", act("hall", "deputy"))
	for _, file := range []string{forged, proof} {
		code, out := verify(file)
		require.Equal(t, exitFails, code, out)
		require.Contains(t, out, "$.officer is not as it was signed")
	}

	half, _ := scene("half", act("hall", "duty-officer"), act("gate", "duty-officer"))
	code, out := verify(half)
	require.Equal(t, exitHolds, code, out)
	require.Contains(t, out, "1 signed by the desks that did them, 1 not signed")
	code, out = verify(half, "--identities", operator)
	require.Equal(t, exitFails, code, out)
	require.Contains(t, out, "desk/gate, and the desk has not signed it")
}
