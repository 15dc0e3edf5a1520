package evidence

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestDecode_NamesThatDifferOnlyInCase(t *testing.T) {
	t.Parallel()
	type inner struct {
		Key string `json:"key"`
	}
	type target struct {
		Subject string           `json:"subject"`
		Keys    string           `json:"ks"`
		In      *inner           `json:"in"`
		List    []inner          `json:"list"`
		Map     map[string]inner `json:"map"`
		Hash    *Hash            `json:"hash"`
		Raw     jsontext.Value   `json:"raw"`
	}
	var many strings.Builder
	for i := range 64 {
		fmt.Fprintf(&many, `"n%d":%d,`, i, i)
	}
	for _, good := range []string{
		`{}`, `{"subject":"a","other":1,"raw":{"a":[1,{"b":" \" "}]}}`, `{"in":null,"list":[],"map":{"key":{"key":"k"}}}`,
		`{` + many.String() + `"subject":"a"}`, " {\n\t\"subject\" : \"a\" , \"list\" : [ { \"key\" : \"b\" } ] }\r\n",
		`{"hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`,
	} {
		var v target
		require.NoError(t, Decode([]byte(good), &v), good)
	}
	for _, bad := range []string{
		`{"Subject":"a"}`, `{"subject":"a","Subject":"b"}`, `{"SUBJECT":"b","subject":"a"}`, `{"subject":"a","subject":"a"}`,
		`{"\u0053ubject":"a"}`, `{"ſubject":"a"}`, "{\"\u212as\":\"a\"}", `{"in":{"Key":"a"}}`, `{"list":[{"key":"a"},{"KEY":"a"}]}`,
		`{"map":{"a":{"Key":"b"}}}`, `{"map":{"a":{},"A":{}}}`, `{"raw":{"x":{"a":1,"A":2}}}`, `{"other":[{"ä":1,"Ä":2}]}`,
		`{` + many.String() + `"N63":1}`, `{` + many.String() + `"n0":1}`, `{"subject":"a"`, `{"subject":"a"}}`, ``,
	} {
		var v target
		require.Error(t, Decode([]byte(bad), &v), bad)
	}
}

// The oracle parses the text and compares every two names of every object.
func clashes(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		var names []string
		for name, value := range v {
			for _, other := range names {
				if strings.EqualFold(name, other) {
					return true
				}
			}
			if names = append(names, name); clashes(value) {
				return true
			}
		}
	case []any:
		for _, value := range v {
			if clashes(value) {
				return true
			}
		}
	}
	return false
}

func TestDecode_FindsEveryClash(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var value func(depth int) any
		value = func(depth int) any {
			switch rapid.IntRange(0, 4-min(depth, 2)).Draw(t, "kind") {
			case 4:
				return rapid.MapOfN(rapid.StringOfN(rapid.SampledFrom([]rune("aAkK\u212asSſ\"\\")), 0, 2, -1), rapid.Custom(func(*rapid.T) any { return value(depth + 1) }), 0, 4).Draw(t, "object")
			case 3:
				return rapid.SliceOfN(rapid.Custom(func(*rapid.T) any { return value(depth + 1) }), 0, 3).Draw(t, "array")
			case 2:
				return rapid.SampledFrom([]string{"", "{", "}", `"a":`, "\\", `\"`}).Draw(t, "text")
			case 1:
				return rapid.SampledFrom([]float64{0, -1.5, 1e9}).Draw(t, "number")
			}
			return nil
		}
		v := value(0)
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		var any any
		require.NoError(t, json.Unmarshal(raw, &any))
		require.Equal(t, clashes(any), Decode(raw, &any) != nil, "%s", raw)
	})
}

func FuzzCheckNames(f *testing.F) {
	for _, text := range []string{`{"a":1,"A":2}`, `{"a":[{"b":"\""}]`, `[}`, `{"a" "b"}`, `"`, `{:`, `[[`, "\\"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_ = checkNames([]byte(text), nil) // it ends, whatever the text
		var any any
		if Decode([]byte(text), &any) == nil && clashes(any) {
			t.Fatalf("%q", text)
		}
	})
}

// Every member of a receipt, including its signed part, is read only by its exact name.
func TestVerifyReceipt_NamesThatDifferOnlyInCase(t *testing.T) {
	t.Parallel()
	log := logKey(t, "log.example.com/test")
	v, err := NewVerifier(log.Verifier())
	require.NoError(t, err)
	text := signedReceipt(t, log, nil)
	names := regexp.MustCompile(`"(\w+)":`).FindAllStringSubmatch(text, -1)
	require.Greater(t, len(names), 12)
	for _, name := range names {
		upper := `"` + strings.ToUpper(name[1][:1]) + name[1][1:] + `":`
		if name[1] == "warnings" {
			continue // nothing of it is verified
		}
		_, err := v.VerifyReceipt([]byte(strings.Replace(text, name[0], upper, 1)))
		require.ErrorContains(t, err, "is written for", name[1])
		_, err = v.VerifyReceipt([]byte(strings.Replace(text, name[0], upper+`"forged",`+name[0], 1)))
		require.Error(t, err, "%s before it", name[1])
	}
	_, err = v.VerifyReceipt([]byte(strings.Replace(text, `{`, `{"Operator":"dam",`, 1)))
	require.Error(t, err, "a reader that ignores case would be shown another operator")
	_, err = v.VerifyReceipt([]byte(strings.Replace(text, `"warnings":`, `"Warnings":[],"warnings":`, 1)))
	require.Error(t, err)
}

// A removal under other names removes nothing, and rules under other names prove nothing.
func TestInterpretedRecords_NamesInAnotherCase(t *testing.T) {
	t.Parallel()
	r := removalOf(2, Record{Sequence: 1, Subject: "x"})
	_, _, ok := r.Removal()
	require.True(t, ok)
	r.Body = []byte(strings.Replace(string(r.Body), `"entries"`, `"Entries"`, 1))
	_, _, ok = r.Removal()
	require.False(t, ok)
}
