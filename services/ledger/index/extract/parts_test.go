package extract

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

var somePart = partsOf("a", "b.c", "b.d.e")

func TestPick_KeepsOnlyTheParts(t *testing.T) {
	for raw, want := range map[string]string{
		`{"a":1,"x":2}`: `{"a":1}`,
		` { "x" : [1,{"a":"]"}] , "a" : "\"}\\" } `:      `{"a":"\"}\\"}`,
		`{"b":{"x":{},"c":[1, 2],"d":{"e":null,"a":0}}}`: `{"b":{"c":[1, 2],"d":{"e":null}}}`,
		`{"b":"text"}`:          `{"b":"text"}`,
		`{"x":-1.5e3,"a":true}`: `{"a":true}`,
		`{"x":true}`:            `{}`,
		`{}`:                    `{}`,
		`null`:                  `null`,
		`"a"`:                   `"a"`,
		``:                      ``,
		`{`:                     `{`,
		`{"a":1,}`:              `{"a":1,}`,
		`{"a":1} x`:             `{"a":1} x`,
		`{"a":}`:                `{"a":}`,
		`{"x":"`:                `{"x":"`,
		`{"x":[1`:               `{"x":[1`,
		`{"x"}`:                 `{"x"}`,
		`{a:1}`:                 `{a:1}`,
	} {
		require.Equal(t, want, string(somePart.pick([]byte(raw))), raw)
	}
}

func FuzzParts(f *testing.F) {
	f.Add([]byte(`{"a":1,"x":[{"y":"\\\""}],"b":{"c":2,"z":{}}}`))
	f.Add([]byte(`{"x":1`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		picked := somePart.pick(raw)
		require.LessOrEqual(t, len(picked), len(raw))
		if json.Valid(raw) {
			require.True(t, json.Valid(picked), "%s", picked)
		}
	})
}
