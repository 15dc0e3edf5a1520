package printable

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestText_ShowsWhatIsHidden(t *testing.T) {
	t.Parallel()
	ranges := [][2]rune{{0, 8}, {0xb, 0x1f}, {0x7f, 0x9f}, {0x61c, 0x61c}, {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x2069}, {0xfeff, 0xfeff}, {0xe0000, 0xe007f}, {0x3164, 0x3164}, {0xad, 0xad}}
	for _, span := range ranges {
		for r := span[0]; r <= span[1]; r++ {
			for _, show := range []func(string) string{Text, Line} {
				got := show("断" + string(r) + "电")
				require.NotContains(t, got, string(r), "%U", r)
				require.NotEqual(t, "断 电", got, "%U is shown", r)
			}
		}
	}
	for in, want := range map[string]string{
		"a\x1b[31mb\u009bc\n": `a\u001b[31mb\u009bc` + "\n", "\xff\u202e": `\ufffd<ff>\u202e`, "\U000e0041": `\udb40\udc41`,
		"全省𠮷葛\U000e0100 é \uFFFD\t👍🏽 \"": "全省𠮷葛\U000e0100 é \uFFFD\t👍🏽 \"", "": "",
	} {
		require.Equal(t, want, Text(in))
	}
	require.Equal(t, `停电 #9 a b\u2028签收`, Line("停电\n#9\ta\r\nb\u2028签收"))
}

func TestTruncate_CountsCharacters(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "abc": "abc", "abcd": "abc…", "调度中断": "调度中…", "调度中": "调度中", "\xff\xffa": "\xff\xffa", "\xff\xffab": "\xff\xffa…"} {
		require.Equal(t, want, Truncate(in, 3), "%q", in)
	}
}

func TestText_OfAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		out := Text(in)
		require.True(t, utf8.ValidString(out))
		for _, r := range out {
			require.False(t, Hidden(r) && r != '\n' && r != '\t')
		}
		require.Equal(t, out, Text(out), "what is shown stays as it is")
		for _, r := range Line(in) {
			require.False(t, Hidden(r) || unicode.IsControl(r))
		}
		var b bytes.Buffer
		n, err := Writer{&b}.Write([]byte(in))
		require.NoError(t, err)
		require.Equal(t, len(in), n)
		require.Equal(t, out, b.String())
	})
}

// A log line in JSON stays JSON and means the same.
func TestText_OfJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.String().Draw(t, "text")
		raw, err := json.Marshal(map[string]string{"a": in})
		require.NoError(t, err)
		var out map[string]string
		require.NoError(t, json.Unmarshal([]byte(Text(string(raw))), &out))
		require.Equal(t, in, out["a"])
	})
}
