package event

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

var somePart = Parts{"a": nil, "b": {"c": nil, "d": {"e": nil}}}

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
		require.Equal(t, want, string(somePart.Pick([]byte(raw))), raw)
	}
	require.Equal(t, Parts{"a": nil, "raw": {"title": nil}, "in": {"b": nil}}, PartsOf(reflect.TypeFor[struct {
		A   []int           `json:"a,omitempty"`
		Raw json.RawMessage `json:"raw" part:"title"`
		In  struct {
			B string `json:"b"`
		} `json:"in"`
	}]()))
}

func FuzzParts(f *testing.F) {
	f.Add([]byte(`{"a":1,"x":[{"y":"\\\""}],"b":{"c":2,"z":{}}}`))
	f.Add([]byte(`{"x":1`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		picked := somePart.Pick(raw)
		require.LessOrEqual(t, len(picked), len(raw))
		if json.Valid(raw) {
			require.True(t, json.Valid(picked), "%s", picked)
		}
	})
}

func membersOf(raw []byte) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	return out, Members(raw, func(name string, value json.RawMessage) error {
		out[name] = value
		return nil
	})
}

func TestMembersAreThoseOfTheObject(t *testing.T) {
	got, err := membersOf([]byte(` { "a" : [1, {"b":2}] , "\u0062\"":"}" , "a":null } `))
	require.NoError(t, err)
	require.Equal(t, map[string]json.RawMessage{"a": json.RawMessage("null"), `b"`: json.RawMessage(`"}"`)}, got)
	got, err = membersOf([]byte(" null\n"))
	require.NoError(t, err)
	require.Empty(t, got)
	for _, raw := range []string{``, `1`, `[]`, `"a"`, `{`, `{"a":1,}`, `{"a"}`, `{"a":}`, `{a:1}`, `{"a":1 "b":2}`, `{"a":1}}`, `{"a":1} x`, `nullx`} {
		_, err := membersOf([]byte(raw))
		require.Error(t, err, raw)
	}
}

func TestAMemberIsFoundByItsName(t *testing.T) {
	for raw, want := range map[string]string{`{"a":1,"data":2}`: "2", `{"d\u0061ta":3}`: "3", `{"dat":1,"data2":2}`: "", `null`: "", `{"\\data":1}`: ""} {
		got, err := Member([]byte(raw), "data")
		require.NoError(t, err, raw)
		require.Equal(t, want, string(got), raw)
	}
	_, err := Member([]byte(`{"\ud800":1,"x"}`), "data")
	require.Error(t, err)
}

func FuzzMembers(f *testing.F) {
	for _, raw := range []string{`{"a":1,"b":{"c":[{}]}}`, `{"\u0061":"\\\""}`, `null`, `{"a":1,}`, "{\"b\xff\":1}"} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := membersOf(raw)
		var want map[string]json.RawMessage
		if json.Unmarshal(raw, &want) != nil {
			return // syntax errors inside a value are not detected
		}
		require.NoError(t, err)
		require.Equal(t, len(want), len(got))
		for name, value := range want {
			require.Equal(t, string(value), string(got[name]), name)
		}
	})
}
