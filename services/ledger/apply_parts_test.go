package ledger

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
)

var somePart = parts{"a": nil, "b": {"c": nil, "d": {"e": nil}}}

func TestPartsArePicked(t *testing.T) {
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
	require.Equal(t, parts{"title": nil}, escalatedParts["report"])
	require.Equal(t, parts{"title": nil}, revisionParts["state"]["fields"])
}

// What is decoded from the parts of a record is what is decoded from the record.
func TestPartsSayTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRecord(t)
		for _, of := range []func([]byte) (any, error){func(raw []byte) (any, error) {
			var e escalated
			err := json.Unmarshal(raw, &e)
			if strings.HasPrefix(string(e.Report), "{") {
				return e.row(1), err
			}
			return e, err
		}, func(raw []byte) (any, error) {
			var g revision
			err := json.Unmarshal(raw, &g)
			return g, err
		}} {
			whole, fault := of(r.Data)
			for _, p := range []parts{escalatedParts, revisionParts} {
				picked, err := of(p.pick(r.Data))
				require.Equal(t, fault == nil, err == nil)
				if e, is := whole.(event.EscalationRow); is && reflect.ValueOf(p).Pointer() == reflect.ValueOf(escalatedParts).Pointer() {
					require.Equal(t, jsonOf(t, e), jsonOf(t, picked))
				}
				if _, is := whole.(revision); is && reflect.ValueOf(p).Pointer() == reflect.ValueOf(revisionParts).Pointer() {
					require.Equal(t, whole, picked)
				}
			}
		}
	})
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
