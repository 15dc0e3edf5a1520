package title

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// found reports whether a title is found by the tokens of a query, and by its words, as
// in the index.
func found(title, question string) (byTokens, byWords bool) {
	title = Fold(title)
	words := Words(question)
	tokens := Tokens(title)
	all, characters := Lookup(words)
	for _, token := range all {
		if !slices.Contains(tokens, token) {
			return false, Contains(title, words)
		}
	}
	for _, c := range characters {
		if !slices.ContainsFunc(tokens, func(t uint64) bool { return BeginsWith(t, c) }) {
			return false, Contains(title, words)
		}
	}
	return true, Contains(title, words)
}

func TestTitles_FoundByWords(t *testing.T) {
	const title = "华东电网SCADA调度中断（第2次）: Server-Room flooded, ＤＤｏＳ攻击 Öl データ"
	for question, want := range map[string]bool{
		"调度": true, "中断": true, "电网": true, "度中": true, "断": true, "华": true, "次": true,
		"调度中断": true, "华东电网": true, "调度 中断": true, "中断 调度": true, "中断，电网": true,
		"网调": false, "华网": false, "调断": false, "电力": false, "火": false, "调度攻击": false, "东网": false,
		"scada": true, "SCADA": true, "ＳＣＡＤＡ": true, "scad": false, "cada": false,
		"server": true, "room": true, "server-room": true, "room server": true, "serve": false, "rooms": false,
		"ddos": true, "DDoS攻击": true, "ddos攻": true, "oS攻击": false, "攻击ddos": false, "电网scada调度": true,
		"第2次": true, "2": true, "22": false, "öl": true, "O\u0308L": true, "ol": false, "データ": true, "タ": true,
		"flooded 攻击 华": true, "flooded 火": false,
	} {
		tokens, words := found(title, question)
		require.Equal(t, want, words, question)
		require.True(t, tokens || !want, question)
	}
	require.Empty(t, Words(" ！-，"))
	require.Equal(t, []string{"a1", "故障b", "c"}, Words("Ａ1, 故障B　c"))
	require.True(t, Exact(Words("电网 scada 断 ddos")))
	require.False(t, Exact(Words("华东电")))
	require.False(t, Exact(Words("ddos攻")))
	require.True(t, Contains("aab ab", []string{"ab"}), "the first place is in a longer word, the second is not")
}

var signs = rapid.StringOfN(rapid.SampledFrom([]rune("电网调度断ab1 -，ＡータO\u0308")), 0, 12, -1)

// A title with the words is found by the tokens; and if the tokens are exact, only such
// titles are.
func TestTokens_FindEveryTitleWithTheWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		title, question := signs.Draw(t, "title"), signs.Draw(t, "question")
		tokens, words := found(title, question)
		if words {
			require.True(t, tokens)
		}
		if tokens && Exact(Words(question)) {
			require.True(t, words)
		}
		for _, w := range Words(title) {
			_, words := found(title, w)
			require.True(t, words, w)
		}
	})
}

func FuzzFold(f *testing.F) {
	f.Add("ＤＤｏＳ 攻击")
	f.Add("\xff\x00İß")
	f.Fuzz(func(t *testing.T, s string) {
		folded := Fold(s)
		for _, token := range Tokens(folded) {
			if b := Bucket(token); b < 0 || b >= 1<<textShift {
				t.Fatal(token, b)
			}
		}
		for _, w := range Words(s) {
			require.True(t, Contains(folded, []string{w}), "%q in %q", w, folded)
			require.True(t, strings.Contains(folded, w))
		}
	})
}
