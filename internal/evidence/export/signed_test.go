package export

import (
	"encoding/json"
	"os"

	"github.com/stretchr/testify/require"
)

// actSubject is the subject of the act in testdata/signed.json.
const actSubject = "incident.determined.hall.mill.flood.n1"

// signedSamples are an act and requests for removals whose keys were thrown away: the
// signatures cannot be made again, and later versions must verify them.
type signedSamples struct {
	Operator string                     `json:"operator"` // nkey that issued the credentials
	Act      string                     `json:"act"`      // body of the record of a desk's act
	Removals map[string]json.RawMessage `json:"removals"` // signed requests, by the record to remove
}

func readSigned(t require.TestingT) (s signedSamples) {
	raw, err := os.ReadFile("testdata/signed.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &s))
	return s
}
