package evidence

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"
)

// guesses returns every hash that somebody can compute who knows the content of a
// receipt, and the nonces of other receipts, but not its own.
func guesses(r Receipt, known [][]byte) map[Hash]bool {
	out := map[Hash]bool{}
	for _, nonce := range append(known, nil, []byte{}, make([]byte, nonceSize)) {
		out[Hash(tlog.RecordHash(r.text(nonce)))] = true
	}
	return out
}

// An operator must not be able to confirm a guess at another's receipt from the sibling
// hashes in its own, in particular of a refused one, which contains nothing random.
func TestSign_SiblingHashesConfirmNoGuess(t *testing.T) {
	t.Parallel()
	key := NewReceiptKey()
	receipts := []Receipt{
		{Status: "rejected", Operator: "mill", Incident: "flood", Report: "r1"},
		{Status: "rejected", Operator: "dam", Incident: "leak", Report: "r1"},
		{Status: "rejected", Operator: "mill", Incident: "flood", Report: "r2"},
		{Status: "conflict", Operator: "port", Incident: "fire", Report: "r1", Digest: strings.Repeat("ab", 32)},
		{Status: "rejected", Operator: "grid", Incident: "storm", Report: "r2"},
	}
	signed := key.Sign(receipts, "")
	for i, victim := range receipts {
		var known [][]byte
		seen := map[Hash]bool{}
		for j, s := range signed {
			if j != i {
				known = append(known, s.Nonce)
				for _, h := range s.Path {
					seen[h] = true
				}
			}
		}
		for guess := range guesses(victim, known) {
			require.False(t, seen[guess], "the sibling hashes of the others confirm receipt %d", i)
		}
		own := Hash(tlog.RecordHash(victim.text(signed[i].Nonce)))
		require.True(t, seen[own], "the test looks at the hash that its own nonce opens")
	}
	for _, again := range key.Sign(receipts, "") {
		for _, s := range signed {
			require.NotEqual(t, s.Nonce, again.Nonce, "a nonce belongs to one signature of one receipt")
			require.NotEqual(t, s.Path, again.Path)
		}
	}
}

// Receipts of the first format were issued before leaves had nonces.
func TestVerifyReceipt_FirstFormat(t *testing.T) {
	t.Parallel()
	key, err := os.ReadFile("testdata/receipts-v1.key")
	require.NoError(t, err)
	v, err := NewVerifier(string(key))
	require.NoError(t, err)
	given, err := os.ReadFile("testdata/receipts-v1.jsonl")
	require.NoError(t, err)
	n := 0
	for lines := bufio.NewScanner(bytes.NewReader(given)); lines.Scan(); n++ {
		_, err := v.VerifyReceipt(lines.Bytes())
		require.NoError(t, err, "line %d", n+1)
		_, err = v.VerifyReceipt(bytes.Replace(lines.Bytes(), []byte(`"r-`), []byte(`"s-`), 1))
		require.ErrorContains(t, err, "not what was signed")
	}
	require.Equal(t, 2, n)
}

func TestVerifyReceipt_Formats(t *testing.T) {
	t.Parallel()
	log := logKey(t, "log.example.com/test")
	v, err := NewVerifier(log.Verifier())
	require.NoError(t, err)
	text := signedReceipt(t, log, nil)
	var in struct {
		Signed SignedReceipt `json:"signed"`
	}
	require.NoError(t, json.Unmarshal([]byte(text), &in))
	nonce, err := json.Marshal(in.Signed.Nonce)
	require.NoError(t, err)
	own := `"nonce":` + string(nonce) + `,`
	with := func(format, nonce string) error {
		changed := strings.Replace(text, `"format":"tocsin/receipt/2",`, format, 1)
		changed = strings.Replace(changed, own, nonce, 1)
		require.NotEqual(t, text, changed)
		_, err := v.VerifyReceipt([]byte(changed))
		return err
	}
	require.ErrorIs(t, with(`"format":"tocsin/receipt/3",`, own), ErrNewer)
	require.ErrorContains(t, with("", own), "has a nonce")
	require.ErrorContains(t, with(`"format":"tocsin/receipt/1",`, own), "has a nonce")
	require.ErrorContains(t, with("", ""), "not what was signed")
	require.ErrorContains(t, with(`"format":"tocsin/receipt/2",`, ""), "0 bytes")
	require.ErrorContains(t, with(`"format":"tocsin/receipt/2",`, `"nonce":"AAAA",`), "3 bytes")
	require.ErrorContains(t, with(`"format":"tocsin/receipt/2",`, `"nonce":"AAAAAAAAAAAAAAAAAAAAAA==",`), "not what was signed")
}
