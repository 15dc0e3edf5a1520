package sourcetext

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// publishedText is how instruments are published: half of its commas of another width,
// lines broken anywhere, one article in several paragraphs.
const publishedText = `某条例

（2025年1月1日通过）

第一条  为了保障安全,制定本条例。

第二条　运营者应当按照有关规定向网信部门、保护工作部门和公安
机关报告，最迟不得超过１小时。

发生下列情形的,应当立即报告：
（一）整体中断；
（二）主要功能故障。
第三条 及时补报。

Article 4  The operator  shall report
without delay.
`

func published(t *testing.T) Text {
	t.Helper()
	text, err := Read(fstest.MapFS{"sources/a.txt": {Data: []byte(publishedText)}}, "sources/a.txt")
	require.NoError(t, err)
	return text
}

func TestSourceText_FindsQuotesWhoseWordsAreTheSame(t *testing.T) {
	text := published(t)
	for _, quote := range []string{
		"为了保障安全，制定本条例。",
		"为了保障安全,制定本条例。",
		"向网信部门、保护工作部门和公安机关报告，最迟不得超过1小时。",
		"主要功能故障",
		"运营者应当……最迟不得超过1小时。",
		"……发生下列情形的，应当立即报告……整体中断……主要功能故障。",
		"发生下列情形的，应当立即报告：（一）整体中断；（二）主要功能故障。",
		"The operator shall report without delay.",
	} {
		assert.Empty(t, text.Find(quote, ""), quote)
	}
}

func TestSourceText_RefusesOtherWords(t *testing.T) {
	text := published(t)
	for quote, want := range map[string]string{
		"向网信部门、保护工作部门、公安机关报告":        `these words are not in the text: "向网信部门、保护工作部门、公安机关报告"`,
		"为了保障安全、制定本条例。":              "these words are not in the text",
		"为了保障安全。制定本条例。":              "these words are not in the text",
		"运营者应当向网信部门":                 "these words are not in the text",
		"The operator shall re port": "these words are not in the text",
		"Theoperator shall report":   "these words are not in the text",
		"整体中断……发生下列情形的":              "its parts do not follow each other in one article",
		"发生下列情形的……及时补报":              "its parts do not follow each other in one article",
		"最迟不得超过1小时……最迟不得超过1小时":       "its parts do not follow each other in one article",
		"……": "its parts do not follow each other in one article",
		"为了保障安全，制定本条例。第二条": "these words are not in the text",
	} {
		assert.Contains(t, text.Find(quote, ""), want, quote)
	}
}
