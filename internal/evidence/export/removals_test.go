package export

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Removals that earlier versions stored unsigned still verify, and count as unsigned; one
// with an invalid signature is a finding.
func TestVerify_SignedAndUnsignedRemovals(t *testing.T) {
	t.Parallel()
	signed := readSigned(t)
	for _, c := range []struct {
		name            string
		signedFor       string // record
		want            string
		signed, without uint64
	}{
		{"unsigned", "", "", 0, 1},
		{"signed", "10", "", 1, 0},
		{"signed for another record", "11", "other records", 0, 0},
	} {
		records := plain(40)
		removal := removalOf(30, records[9])
		body := map[string]any{}
		require.NoError(t, json.Unmarshal(removal.Body, &body))
		body["order"], body["officer"] = "o", "p"
		if c.signedFor != "" {
			body["signed"] = signed.Removals[c.signedFor]
		}
		var err error
		removal.Body, err = json.Marshal(body)
		require.NoError(t, err)
		records[29] = removal
		l := logOf(t, records)
		dir := t.TempDir()
		l.export(t, dir, 1, 40, []uint64{10})
		v, err := l.verifier.WithIdentities(signed.Operator)
		require.NoError(t, err)
		report, err := Verify(t.Context(), dir, v, nil, nil)
		require.NoError(t, err)
		require.Equal(t, c.signed, report.Removals.Signed, c.name)
		require.Equal(t, c.without, report.Removals.Unsigned, c.name)
		if c.want == "" {
			require.Empty(t, report.Findings, c.name)
		} else {
			require.NotEmpty(t, report.Findings, c.name)
			require.Contains(t, fmt.Sprint(report.Findings), c.want, c.name)
		}
	}
}
