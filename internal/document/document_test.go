package document

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/fault"
)

// read is a document of schema.
type read struct {
	Text   string   `json:"text"`
	Number float64  `json:"number"`
	Flag   bool     `json:"flag"`
	List   []string `json:"list"`
	Free   any      `json:"free"`
}

var schema = MustCompile(fstest.MapFS{"test.json": {Data: []byte(`{
	"type": "object", "additionalProperties": false,
	"properties": {
		"text": {"type": "string", "format": "no-hash"}, "number": {"type": "number"}, "flag": {"type": "boolean"},
		"list": {"type": "array", "uniqueItems": true, "items": {"type": "string", "pattern": "^[a-z]*$", "errorMessage": "want small letters"}},
		"free": {"type": "object"},
		"pair": {"type": "object", "properties": {"left": {"description": "the left one"}}, "required": ["left", "right"]},
		"kind": {"enum": ["one", "two"]}
	}
}`)}}, "test.json", map[string]func(string) error{"no-hash": func(s string) error {
	if strings.Contains(s, "#") {
		return errors.New("has a hash")
	}
	return nil
}})

func readAll(raw string) (r read, faults []string) {
	for _, f := range Read([]byte(raw), 1<<16, schema, &r).Faults() {
		faults = append(faults, f.Path+": "+f.Message)
	}
	return r, faults
}

// Text that YAML would read as something else is refused where text is wanted, and
// accepted as written when it is quoted.
func TestText_IsAsWritten(t *testing.T) {
	for _, scalar := range []string{
		"0010", "8", "+5", "-5", "0x1F", "0o17", "0b11", "1_000", "1.0", "1e3", ".5", ".inf", ".nan", "08",
		"true", "True", "FALSE", "null", "~", "Null",
	} {
		_, faults := readAll("text: " + scalar)
		require.Len(t, faults, 1, scalar)
		require.Regexp(t, `^\$\.text: want text.*\(line 1, column 7\)$`, faults[0])
		for _, quoted := range []string{`"` + scalar + `"`, "'" + scalar + "'"} {
			r, faults := readAll("text: " + quoted)
			require.Empty(t, faults)
			require.Equal(t, scalar, r.Text)
		}
	}
	for _, scalar := range []string{"yes", "no", "on", "off", "y", "n", "2025-11-01", "12:30:45", "1.2.3", "0x", "a b", "１０"} {
		r, faults := readAll("text: " + scalar)
		require.Empty(t, faults, scalar)
		require.Equal(t, scalar, r.Text)
	}
	_, faults := readAll("text:\n")
	require.Len(t, faults, 1, "nothing is no text")
	r, faults := readAll("text: |\n  two\n  lines\n")
	require.Empty(t, faults)
	require.Equal(t, "two\nlines", r.Text)
}

func TestNumber_IsPlainDecimal(t *testing.T) {
	for scalar, want := range map[string]float64{"0": 0, "1000": 1000, "0.5": 0.5, "-3": -3, "1.0": 1, "9007199254740991": 1<<53 - 1} {
		r, faults := readAll("number: " + scalar)
		require.Empty(t, faults, scalar)
		require.Equal(t, want, r.Number)
	}
	for _, scalar := range []string{
		"0010", "+5", "0x1F", "0o17", "0b11", "1_000", "1e3", ".5", "5.", ".inf", ".nan", "08", `"8"`, "1,000", "1:30", "~", "true", "9007199254740992", "[1]",
	} {
		_, faults := readAll("number: " + scalar)
		require.Len(t, faults, 1, scalar)
		require.Regexp(t, `^\$\.number: .*\(line 1, column 9\)$`, faults[0])
	}
}

func TestBool_IsTrueOrFalse(t *testing.T) {
	for _, scalar := range []string{"yes", "no", "on", "off", "True", "1", `"true"`, "~", "y"} {
		_, faults := readAll("flag: " + scalar)
		require.Equal(t, []string{"$.flag: want true or false (line 1, column 7)"}, faults, scalar)
	}
	r, faults := readAll("flag: true")
	require.Empty(t, faults)
	require.True(t, r.Flag)
}

func TestParse_EveryFaultAtOnce(t *testing.T) {
	_, faults := readAll("text: 0010\nnumber: 0x8\nflag: yes\nlist: [a, 7, {}]\ntext: b\nother: 1\n7: x\n")
	require.ElementsMatch(t, []string{
		`$.text: want text: quote it, "0010" (line 1, column 7)`,
		"$.number: want a number in plain decimal, such as 1000 or 0.5 (line 2, column 9)",
		"$.flag: want true or false (line 3, column 7)",
		`$.list[1]: want text: quote it, "7" (line 4, column 11)`,
		"$.list[2]: want text (line 4, column 14)",
		"$.text: the key is used twice (line 5, column 1)",
		"$.other: unknown key: want one of flag, free, kind, list, number, pair, text (line 6, column 1)",
		"$.7: a key must be plain text (line 7, column 1)",
		"$.7: unknown key: want one of flag, free, kind, list, number, pair, text (line 7, column 1)",
	}, faults)
}

func TestParse_Refuses(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'z'; c++ {
		p := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+p+",", 9) + "]\n"
	}
	for name, c := range map[string]struct{ raw, want string }{
		"an anchor":        {"text: &a b", "$.text: an anchor (&a) is not allowed (line 1, column 7)"},
		"an alias":         {"list: [&a b, *a]", "$.list[1]: an alias (*a) is not allowed: repeat the value (line 1, column 14)"},
		"a merge key":      {"<<: {text: b}", "$.<<: a merge key is not allowed: write the keys out (line 1, column 1)"},
		"a tag":            {"text: !!str 8", "$.text: a tag (!!str) is not allowed (line 1, column 7)"},
		"a tag of its own": {"text: !x 8", "$.text: a tag (!x) is not allowed (line 1, column 7)"},
		"an alias bomb":    {bomb, "$.a: an anchor (&a) is not allowed (line 1, column 4)"},
		"two documents":    {"text: a\n---\ntext: b\n", "$: want exactly one document (line 2, column 1)"},
		"no document":      {"", "$: want exactly one document (line 1, column 1)"},
		"a list as a key":  {"[a, b]: c", "$.: a key must be plain text (line 1, column 1)"},
		"too long":         {strings.Repeat("#", 1<<16+1), "$: has more than 65536 bytes"},
		"brackets":         {strings.Repeat("[", 100), "$: nested deeper than 64 (line 1, column 65)"},
		"indentation":      {"list: " + strings.Repeat("- ", 70) + "a", "$.list: not YAML: block sequence entries are not allowed in this context (line 1, column 1)"},
		"lists in lists":   {strings.Repeat("- ", 70) + "a", "$" + strings.Repeat("[0]", 65) + ": nested deeper than 64 (line 1, column 131)"},
		"not UTF-8":        {"text: \xff", "$: not YAML: it is not UTF-8 from here on (line 1, column 7)"},
		"UTF-16":           {"\xff\xfet\x00", "$: not YAML: it is UTF-16: save it as UTF-8 (line 1, column 1)"},
		"no YAML":          {"text: [a\n", "$.text: not YAML: did not find expected ',' or ']' (line 1, column 1)"},
		"an unknown alias": {"text: a\nlist:\n  - b\n  - *nobody\n", "$.list[1]: not YAML: the alias *nobody names no anchor, and neither is allowed: repeat the value (line 4, column 5)"},
		"a stray indent":   {"list:\n  - a\n  - b\n text: c\nflag: true\n", "$.list[1]: not YAML: did not find expected key (line 4, column 2)"},
		"a tab":            {"text: a\nlist:\n\t- a\n", "$.list: not YAML: found character that cannot start any token (line 3, column 2)"},
		"an open quote":    {"text: a\nlist: [b,\n  c]\nnumber: \"7\nflag: true\n", "$.number: not YAML: found unexpected end of stream (line 4, column 1)"},
		"two colons":       {"text: a\nnumber: 1\nflag: a: b\n", "$.flag: not YAML: mapping values are not allowed in this context (line 3, column 1)"},
		"a list":           {"[]", "$: want a mapping (line 1, column 1)"},
	} {
		_, faults := readAll(c.raw)
		require.Contains(t, faults, c.want, name)
	}
}

// TestRead_SchemaRules: a fault says what the schema demands, in the words of the schema
// where it has any, and a value that it does not describe is as strict as any other.
func TestRead_SchemaRules(t *testing.T) {
	r, faults := readAll("text: 'a#b'\nlist: [a, B, a]\nkind: three\npair: {}\nfree: {a: [0x1F, 7, x, null]}\nnumber: 7\n")
	require.Equal(t, []string{
		"$.text: has a hash (line 1, column 7)",
		`$.list[1]: want small letters, got "B" (line 2, column 11)`,
		"$.list[2]: is given twice: see entry 0 (line 2, column 14)",
		`$.kind: must be one of one, two, got "three" (line 3, column 7)`,
		"$.pair.left: is required: the left one (line 4, column 7)",
		"$.pair.right: is required (line 4, column 7)",
		"$.free.a[0]: want text, which has to be quoted, or a number in plain decimal (line 5, column 12)",
	}, faults)
	require.Equal(t, read{Number: 7, List: []string{"a", "", ""}, Free: map[string]any{"a": []any{nil, 7.0, "x", nil}}}, r, "what is in order is read")
}

// TestFail: a caller adds what it finds, but nothing of a value that the schema refused.
func TestFail(t *testing.T) {
	d := Read([]byte("text: 7\nlist:\n  - a\n"), 1<<16, schema, new(read))
	require.True(t, d.IsList("$.list"))
	require.False(t, d.IsList("$.text"))
	d.Fail("$.list[0]", "is not %s", "b")
	d.Fail("$.text", "is missing")
	d.Fail("$.list[7].id", "is far away")
	d.Fail("$.list[0]", "is not c")
	d.Fail("$.list[0]", "is not c")
	var got []string
	for _, f := range d.Faults() {
		got = append(got, f.Path+": "+f.Message)
	}
	require.Equal(t, []string{
		`$.text: want text: quote it, "7" (line 1, column 7)`,
		"$.list[7].id: is far away (line 3, column 3)",
		"$.list[0]: is not b (line 3, column 5)",
		"$.list[0]: is not c (line 3, column 5)",
	}, got)
}

func TestParse_ByteOrderMark(t *testing.T) {
	r, faults := readAll("\xef\xbb\xbftext: a\r\nlist: [b]\r\n")
	require.Empty(t, faults)
	require.Equal(t, read{Text: "a", List: []string{"b"}}, r)
}

// Text that is read without a fault occurs unchanged in the document.
func FuzzParse(f *testing.F) {
	for _, raw := range []string{"text: 0010", "number: 1_000\nflag: on", "list: [a, 'b', \"c\"]", "a: &a [*a]", "? [a]\n: b", "text: !!int 7", "<<: *x", "- - - a", "text: >\n a\n b"} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, faults := readAll(string(raw))
		for _, line := range faults {
			require.True(t, strings.HasPrefix(line, "$"), line)
		}
		if len(faults) == 0 && r.Text != "" && !strings.ContainsAny(string(raw), "'\"\\\n\r\u0085\u2028\u2029|>") {
			require.Contains(t, string(raw), r.Text)
		}
	})
}

// A program's JSON is read by the same schemas as a person's YAML.
func TestReadJSON(t *testing.T) {
	var r read
	faults, ok := ReadJSON([]byte(`{"text":7,"text":"b","flag":null,"list":["a","B"],"other":1,"NUMBER":3,"number":2,"kind":"one"}`), schema, &r)
	require.True(t, ok)
	require.Equal(t, []fault.Detail{
		{Path: "$.NUMBER", Message: `must be written "number": names differ in their case`},
		{Path: "$.list[1]", Message: `want small letters, got "B"`},
		{Path: "$.other", Message: "is not a known field: remove it, or correct its name"},
		{Path: "$.text", Message: "is given twice"},
		{Path: "$.text", Message: "must be a string, not a number"},
	}, faults)
	require.Equal(t, read{Number: 2, List: []string{"a", ""}}, r, "what is in order is read")
}

func TestReadJSON_RefusesWhatIsNoObject(t *testing.T) {
	for _, raw := range []string{``, `x`, `[]`, `7`, `null`, `{"a":1`, `{"a":1,}`} {
		faults, ok := ReadJSON([]byte(raw), schema, new(read))
		require.False(t, ok, raw)
		require.NotEmpty(t, faults, raw)
	}
	for _, raw := range []string{`{}{}`, "{\"text\":\"\xff\"}"} {
		faults, _ := ReadJSON([]byte(raw), schema, new(read))
		require.NotEmpty(t, faults, raw)
	}
}
