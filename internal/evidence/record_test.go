package evidence

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// anyText is text of any bytes, often not UTF-8 and often in need of escapes.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		rapid.SampledFrom([]string{"", "事件", "a\"b\\c", "\x00\n\r\t\x1f\x7f", "\u2028", "\xff", "<&>", "Nats-x"}),
	)
}

func anyRecord() *rapid.Generator[Record] {
	return rapid.Custom(func(t *rapid.T) Record {
		return Record{
			Sequence: rapid.Uint64Min(1).Draw(t, "sequence"),
			Subject:  anyText().Draw(t, "subject"),
			Header:   rapid.MapOfN(anyText(), rapid.SliceOfN(anyText(), 0, 3), 0, 4).Draw(t, "header"),
			Body:     anyBody().Draw(t, "body"),
		}
	})
}

func anyBody() *rapid.Generator[[]byte] {
	return rapid.OneOf(
		rapid.SliceOf(rapid.Byte()),
		rapid.Map(anyText(), func(s string) []byte { b, _ := json.Marshal(map[string]string{"title": s}); return b }),
		rapid.Map(rapid.SampledFrom([]string{`null`, ` {}`, `{}`, "{\n}", "{\r}", `1e9`, `{"a":1,"b":{"A":2}}`, "\"\xff\"", `}`, `{"record":1}`, "[]\u2028"}), func(s string) []byte { return []byte(s) }),
	)
}

// entered returns the part of a record that the log covers.
func entered(r Record) Record {
	var header map[string][]string
	for name, values := range r.Header {
		if !strings.HasPrefix(name, "Nats-") && len(values) > 0 {
			if header == nil {
				header = map[string][]string{}
			}
			header[name] = values
		}
	}
	return Record{r.Sequence, r.Subject, header, r.Body}
}

func TestLine_KeepsEveryByte(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := anyRecord().Draw(t, "record")
		line := r.Line()
		require.True(t, json.Valid(line), "%s", line)
		require.NotContains(t, string(line), "\n")
		require.NotContains(t, string(line), "\r")
		again, err := ParseLine(line)
		require.NoError(t, err)
		want := entered(r)
		require.Equal(t, want.Sequence, again.Sequence)
		require.Equal(t, want.Subject, again.Subject)
		require.Equal(t, want.Header, again.Header)
		require.Equal(t, string(want.Body), string(again.Body))
		require.Equal(t, r.Entry(), again.Entry())
	})
}

// TestLine_AnyReaderDecodesTheSame reads lines with a third party's JSON decoder.
func TestLine_AnyReaderDecodesTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := entered(anyRecord().Draw(t, "record"))
		var read struct {
			Record        uint64
			Subject       *string
			SubjectBase64 []byte
			Header        map[string][]string
			HeaderBase64  map[string][][]byte
			Body          jsontext.Value
			BodyBase64    *string
		}
		require.NoError(t, json.Unmarshal(r.Line(), &read))
		subject := string(read.SubjectBase64)
		if read.Subject != nil {
			subject = *read.Subject
		}
		require.Equal(t, r.Subject, subject)
		for name, values := range read.HeaderBase64 {
			raw, err := base64.StdEncoding.DecodeString(name)
			require.NoError(t, err)
			for _, v := range values {
				read.Header[string(raw)] = append(read.Header[string(raw)], string(v))
			}
		}
		if len(r.Header) > 0 || len(read.Header) > 0 {
			require.Equal(t, r.Header, read.Header)
		}
		body := []byte(read.Body)
		if read.BodyBase64 != nil {
			var err error
			body, err = base64.StdEncoding.DecodeString(*read.BodyBase64)
			require.NoError(t, err)
		}
		require.Equal(t, string(r.Body), string(body))
	})
}

func TestLine(t *testing.T) {
	t.Parallel()
	r := Record{7, "incident.accepted.grid-east.inc-1.r1", map[string][]string{
		"ce-time": {"2026-03-01T08:00:00Z"}, "a": {"1", "2"}, "Nats-Msg-Id": {"x"}, "none": {}}, []byte(`{"title":"事件"}`)}
	require.Equal(t, `{"record":7,"subject":"incident.accepted.grid-east.inc-1.r1","header":{"a":["1","2"],"ce-time":["2026-03-01T08:00:00Z"]},"body":{"title":"事件"}}`, string(r.Line()))
	r = Record{8, "\xff", map[string][]string{"b": {"\xfe", "v"}, "a": {"\"\n"}}, []byte("x")}
	require.Equal(t, `{"record":8,"subjectBase64":"/w==","header":{"a":["\"\u000a"]},"headerBase64":{"Yg==":["/g==","dg=="]},"bodyBase64":"eA=="}`, string(r.Line()))
}

// TestParseLine_AcceptsNoOtherForm has lines with the content of a valid one, formatted
// differently.
func TestParseLine_AcceptsNoOtherForm(t *testing.T) {
	t.Parallel()
	_, err := ParseLine([]byte(`{"record":7,"subject":"s","header":{},"body":{}}`))
	require.NoError(t, err)
	for _, line := range []string{
		``, `{}`, `null`,
		`{"record":07,"subject":"s","header":{},"body":{}}`,
		`{"record":0,"subject":"s","header":{},"body":{}}`,
		`{"record":18446744073709551616,"subject":"s","header":{},"body":{}}`,
		`{"record":7, "subject":"s","header":{},"body":{}}`,
		`{"subject":"s","record":7,"header":{},"body":{}}`,
		`{"Record":7,"subject":"s","header":{},"body":{}}`,
		`{"record":7,"subject":"\u0073","header":{},"body":{}}`,
		`{"record":7,"subject":"\n","header":{},"body":{}}`,
		`{"record":7,"subject":"\u000A","header":{},"body":{}}`,
		`{"record":7,"subjectBase64":"cw==","header":{},"body":{}}`,
		`{"record":7,"subject":"s","header":{"a":[]},"body":{}}`,
		`{"record":7,"subject":"s","header":{"Nats-a":["1"]},"body":{}}`,
		`{"record":7,"subject":"s","header":{"b":["1"],"a":["1"]},"body":{}}`,
		`{"record":7,"subject":"s","header":{"a":["1"],"a":["1"]},"body":{}}`,
		`{"record":7,"subject":"s","header":{"a":["1"],},"body":{}}`,
		`{"record":7,"subject":"s","header":{},"headerBase64":{},"body":{}}`,
		`{"record":7,"subject":"s","header":{},"headerBase64":{"YQ==":["YQ=="]},"body":{}}`,
		`{"record":7,"subject":"s","header":{},"body": {}}`,
		`{"record":7,"subject":"s","header":{},"body":{} }`,
		`{"record":7,"subject":"s","header":{},"body":{}} `,
		`{"record":7,"subject":"s","header":{},"body":{}}}`,
		`{"record":7,"subject":"s","header":{},"body":{},"body":{}}`,
		`{"record":7,"subject":"s","header":{},"body":}`,
		`{"record":7,"subject":"s","header":{},"body":"` + "\xff" + `"}`,
		`{"record":7,"subject":"s","header":{},"bodyBase64":"e30="}`,
		`{"record":7,"subject":"s","header":{},"bodyBase64":"eB=="}`,
		`{"record":7,"subject":"s","header":{},"bodyBase64":"eA"}`,
		`{"record":7,"subject":"s","header":{},"bodyBase64":"eA=="}x`,
		`{"record":7,"subject":"` + "\xff" + `","header":{},"body":{}}`,
	} {
		_, err := ParseLine([]byte(line))
		require.Error(t, err, "%s", line)
	}
}

func FuzzParseLine(f *testing.F) {
	for _, r := range plain(2) {
		f.Add(r.Line())
	}
	f.Add([]byte(`{"record":8,"subjectBase64":"/w==","header":{"a":["\"\u000a"]},"headerBase64":{"Yg==":["/g==","dg=="]},"bodyBase64":"eA=="}`))
	f.Add([]byte(`{"record":7,"subject":"s","header":{"a":["1"],"a":["1"]},"body":{}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := ParseLine(line)
		if err != nil {
			return
		}
		require.Equal(t, string(line), string(r.Line()))
		require.True(t, json.Valid(line))
		require.NotZero(t, r.Sequence)
	})
}

// jsonLine is isLine implemented with the standard library.
func jsonLine(body []byte) bool {
	return len(body) > 0 && json.Valid(body) && utf8.Valid(body) && !bytes.ContainsAny(body, "\r\n") &&
		len(bytes.TrimSpace(body)) == len(body)
}

func TestIsLineIsJSON(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		``, `0`, `-0`, `-`, `00`, `01`, `1.`, `1.5`, `.5`, `1e5`, `1E+5`, `1e-05`, `1e`, `1e+`, `+1`, `-1.0e1`, `0x1`, `1 `, ` 1`,
		`true`, `tru`, `truex`, `null`, `false`, `nul`, `""`, `"`, `"\`, `"\"`, `"\""`, `"\u00e4"`, `"\u00G4"`, `"\u00"`, `"\u`, "\"\\u\x10\x10\x10\x10\"", `"\x"`, `"\/\b\f\n\r\t\\"`,
		"\"\x1f\"", "\"\x7f\"", `[]`, `[`, `[ ]`, "[\t1 , 2\t]", `[1,]`, `[,1]`, `[1 2]`, `{}`, `{ }`, `{"a":1}`, `{"a" : 1 , "b":[{}]}`, `{"a"}`, `{"a":}`, `{a:1}`, `{"a":1,}`, `{,}`, `{}}`, `[]]`, `{]`, `[}`,
	} {
		require.Equal(t, jsonLine([]byte(body)), isLine([]byte(body)), "%q", body)
	}
	require.True(t, isLine([]byte(strings.Repeat("[", jsonDepth)+strings.Repeat("]", jsonDepth))))
	require.False(t, isLine([]byte(strings.Repeat("[", 10*jsonDepth)+strings.Repeat("]", 10*jsonDepth))))
	rapid.Check(t, func(t *rapid.T) {
		body := anyBody().Draw(t, "body")
		require.Equal(t, jsonLine(body), isLine(body))
		if len(body) > 0 {
			changed := []byte(flip(t, string(body)))
			require.Equal(t, jsonLine(changed), isLine(changed), "%q", changed)
		}
	})
}

func FuzzIsLine(f *testing.F) {
	for _, body := range []string{`{"a":[1,-2.5e+3,"\u00e4\n",true,false,null,{}]}`, `"\`, "[\t]", "{} "} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if bytes.Count(body, []byte("["))+bytes.Count(body, []byte("{")) <= jsonDepth {
			require.Equal(t, jsonLine(body), isLine(body))
		}
	})
}
