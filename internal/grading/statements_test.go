package grading

import (
	"encoding/json"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
)

func TestStatementsOf(t *testing.T) {
	t.Parallel()
	got, err := statementsOf(jsontext.Value(`{"id":"r", "d\u0061ta": {"title": "\u4e8b", "facts": {"outage": [ {"scope": "overall"} ]}, "list": [1, 2]}}`))
	require.NoError(t, err)
	require.Equal(t, statements{
		"title": jsontext.Value(`"\u4e8b"`), "facts.outage": jsontext.Value(`[{"scope":"overall"}]`), "list": jsontext.Value(`[1,2]`),
	}, got)
	for _, raw := range []string{`null`, `{}`, `{"data":null}`, `{"data":{"facts":null}}`} {
		got, err := statementsOf(jsontext.Value(raw))
		require.NoError(t, err, raw)
		require.Empty(t, got, raw)
	}
	for _, raw := range []string{``, `1`, `[]`, `{`, `{"data":[]}`, `{"data":{"facts":7}}`, `{"data":{}} x`} {
		_, err := statementsOf(jsontext.Value(raw))
		require.Error(t, err, raw)
	}
}

// FuzzStatementsOf compares with encoding/json.
func FuzzStatementsOf(f *testing.F) {
	for _, raw := range []string{`{"data":{"title":"t","facts":{"outage":[{}]}}}`, `{"\u0064ata":{"a":"\\\""}}`, `null`, `{"data":{"a":1,}}`} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := statementsOf(raw)
		if err != nil {
			return
		}
		require.True(t, json.Valid(raw))
		for path, value := range got {
			var said any
			require.NoError(t, json.Unmarshal(value, &said), path)
		}
		again, err := statementsOf(raw)
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}
