package evidence

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestEntryHashIsFixed pins the encoding that other programs must reproduce: if it
// changed, no proof of an older record would verify.
func TestEntryHashIsFixed(t *testing.T) {
	t.Parallel()
	h := EntryHash(7, "incident.reported.grid-east.fire.1", map[string][]string{
		"Tocsin-Salt":    {"c2FsdA"},
		"Tocsin-At":      {"2026-03-01T08:00:00Z", "again"},
		"Nats-Sequence":  {"7"},
		"Content-Type":   {"application/json"},
		"Tocsin-Nothing": nil,
	}, []byte(`{"title":"火灾"}`))
	require.Equal(t, goldenEntry, hex.EncodeToString(h[:]))
}

// Computed by a separate program from the description of EntryHash.
const goldenEntry = "c6540abc0fd67a9d0753cd78f980974f0ba9dd51c944f82801889a19f08abfa3"

func TestEntryHashTellsRecordsApart(t *testing.T) {
	t.Parallel()
	type record struct {
		sequence uint64
		subject  string
		header   map[string][]string
		body     []byte
	}
	text := rapid.StringMatching(`[ab:\n]{0,4}`)
	records := rapid.Custom(func(t *rapid.T) record {
		return record{
			rapid.Uint64Range(0, 3).Draw(t, "sequence"), text.Draw(t, "subject"),
			rapid.MapOfN(text, rapid.SliceOfN(text, 1, 3), 0, 3).Draw(t, "header"), []byte(text.Draw(t, "body")),
		}
	})
	hash := func(r record) Hash { return EntryHash(r.sequence, r.subject, r.header, r.body) }
	rapid.Check(t, func(t *rapid.T) {
		a, b := records.Draw(t, "a"), records.Draw(t, "b")
		same := a.sequence == b.sequence && a.subject == b.subject && string(a.body) == string(b.body) && len(a.header) == len(b.header)
		for name := range a.header {
			same = same && slices.Equal(a.header[name], b.header[name])
		}
		require.Equal(t, same, hash(a) == hash(b))

		// Moving bytes from one field to the next gives another record.
		moved := a
		moved.subject, moved.body = a.subject+"x", []byte(strings.TrimPrefix(string(a.body), "x"))
		require.NotEqual(t, hash(a), hash(moved))
		a.header["Nats-Stream"] = []string{"LEDGER"}
		with := hash(a)
		delete(a.header, "Nats-Stream")
		require.Equal(t, hash(a), with)
	})
}

func FuzzHashText(f *testing.F) {
	f.Add([]byte(EmptyRoot().String()))
	f.Add([]byte(strings.Repeat("A", 43) + "="))
	f.Add([]byte(strings.Repeat("A", 42) + "B="))       // stray bits
	f.Add([]byte("\n" + strings.Repeat("A", 43) + "=")) // what the decoder passes over
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, text []byte) {
		var h Hash
		if h.UnmarshalText(text) != nil {
			require.Zero(t, h)
			return
		}
		again, err := h.MarshalText()
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
	})
}

func TestHashInJSON(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal([]Hash{EmptyRoot()})
	require.NoError(t, err)
	require.Equal(t, `["47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]`, string(raw))
	var back []Hash
	require.NoError(t, json.Unmarshal(raw, &back))
	require.Equal(t, []Hash{EmptyRoot()}, back)
	require.ErrorContains(t, json.Unmarshal([]byte(`["AAAA"]`), &back), "is not the base64 of a SHA-256")
}
