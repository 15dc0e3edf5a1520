package cloudevent

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestSplit(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
		err      string
	}{
		{"nothing", " \n", nil, ""},
		{"one", `{"a":1}`, []string{`{"a":1}`}, ""},
		{"array", `[{"a":1} , {"b":[2,{}]},[],3,"x,]"]`, []string{`{"a":1}`, `{"b":[2,{}]}`, `[]`, `3`, `"x,]"`}, ""},
		{"empty array", ` [ ] `, nil, ""},
		{"lines", "{\"a\":1}\n\n{\"b\":2}\r\n", []string{`{"a":1}`, `{"b":2}`}, ""},
		{"pretty and side by side", "{\n \"a\": 1\n}{\n}", []string{"{\n \"a\": 1\n}", "{\n}"}, ""},
		{"arrays and objects", `[{"a":1}]{"b":2}[{"c":3}]`, []string{`{"a":1}`, `{"b":2}`, `{"c":3}`}, ""},
		{"brackets in strings", `{"a":"}]\"\\"}`, []string{`{"a":"}]\"\\"}`}, ""},
		{"byte order mark", "\uFEFF{}", []string{`{}`}, ""},
		{"not valid, but closed", `{"a" 1}{}`, []string{`{"a" 1}`, `{}`}, ""},
		{"cut off", "{}\n{\"a\":1", []string{`{}`, `{"a":1`}, ""},
		{"cut off in a string", "{}\n{\"a", []string{`{}`, `{"a`}, ""},
		{"a broken line goes alone", "{\"a\":1\n{}\n{\"b\":\n{}}\n{\"c\":[1,\n{}]}\n", []string{`{"a":1`, `{}`, "{\"b\":\n{}}", "{\"c\":[1,\n{}]}"}, ""},
		{"more behind an object", "{\"x\":1}}\n{} , {}\n{} \t\n{}", []string{`{"x":1}}`, `{} , {}`, `{}`, `{}`}, ""},
		{"no object at all", "5\n{}\n]\nnot json {}\n{}", []string{`5`, `{}`, `]`, `not json {}`, `{}`}, ""},
		{"cut off array", "[{},", []string{`{}`}, "line 1, offset 3: an array does not end"},
		{"cut off in a literal", "[{},nul", []string{`{}`}, "line 1, offset 4: an event that begins here does not end"},
		{"text", "{}\nhello", []string{`{}`, `hello`}, ""},
		{"wrong bracket", "{\n\"a\":[} x\n{}", []string{"{\n\"a\":[} x", `{}`}, ""},
		{"wrong bracket in an array", "[{\n\"a\":[}", nil, "line 2, offset 8: want ']', not '}'"},
		{"missing comma", `[{} {}]`, []string{`{}`}, "offset 4: a comma or ] is missing"},
		{"missing event", `[{},,{}]`, []string{`{}`}, "offset 4: an event is missing before ','"},
		{"string over two lines", "{\"a\":\"b\n{}", []string{`{"a":"b`, `{}`}, ""},
		{"string over two lines in an array", "[{\"a\":\"b\n\"}]", nil, "line 1, offset 8: a string does not end on its line"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{"whole": strings.NewReader(tt.in), "by bytes": iotest.OneByteReader(strings.NewReader(tt.in))} {
				var got []string
				err := Split(r, func(raw []byte) error {
					got = append(got, string(raw))
					return nil
				})
				require.Equal(t, tt.want, got, name)
				require.Equal(t, tt.err != "", err != nil, "%s: %v", name, err)
				require.Contains(t, fmt.Sprint(err), tt.err, name)
			}
		})
	}
}

func TestSplit_StopsAtTheFirstError(t *testing.T) {
	enough := errors.New("enough")
	n := 0
	err := Split(strings.NewReader(`{}{}{}`), func([]byte) error {
		if n++; n == 2 {
			return enough
		}
		return nil
	})
	require.ErrorIs(t, err, enough)
	require.Equal(t, 2, n)

	err = Split(io.MultiReader(strings.NewReader(`{}{`), iotest.ErrReader(enough)), func([]byte) error { return nil })
	require.ErrorIs(t, err, enough)
}

// endless repeats one text until it has given n bytes.
type endless struct {
	text string
	n    int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n <= 0 {
		return 0, io.EOF
	}
	n := copy(p, e.text)
	e.n -= n
	return n, nil
}

func TestSplit_InputOfAnyLength(t *testing.T) {
	n := 0
	r := io.MultiReader(strings.NewReader("["), &endless{text: `{"a":1},`, n: 1 << 20}, strings.NewReader("{}]"))
	require.NoError(t, Split(r, func([]byte) error { n++; return nil }))
	require.Equal(t, 1<<17+1, n)

	for _, text := range []string{`{"a":`, `{"`, `[[`, `[1`, "{  "} {
		s := newSplitter(io.MultiReader(strings.NewReader(text), &endless{text: "11111111", n: 1 << 20}))
		require.Equal(t, maxSplitBytes, s.limit)
		s.limit = 1 << 16
		require.ErrorContains(t, s.run(func([]byte) error { return nil }), "an event is longer than 65536 bytes", text)
	}
}
