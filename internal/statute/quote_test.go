package statute

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

// publishedText is the text of the packs below.
const publishedText = `第一条 为了保障安全,制定本条例。
第三条 及时补报。
`

// TestPacks_AnyOtherCharacterIsFound changes each quote that is compared at every place.
func TestPacks_AnyOtherCharacterIsFound(t *testing.T) {
	compared := 0
	for _, p := range embedded(t).packs {
		for i := range p.Duties {
			d := &p.Duties[i]
			if d.Confidence != event.ConfidenceText {
				continue
			}
			require.NotNil(t, p.text, p.ID)
			compared++
			quote := []rune(d.Quote)
			for at, was := range quote {
				if was == '…' {
					continue // two of them are one mark
				}
				quote[at] = '甲'
				require.NotEmpty(t, p.text.Find(string(quote), ""), "%s/%s at %d", p.ID, d.ID, at)
				quote[at] = was
			}
		}
	}
	require.NotZero(t, compared)
}

func TestCheck_ComparesQuotesWithTheSource(t *testing.T) {
	const lines = `followUps:
  - {id: own-words, report: final, citation: c, quote: 应当补报, confidence: text}
  - {id: elsewhere, report: final, citation: d, quote: 及时补报, confidence: text}
  - {id: verbatim, report: final, citation: c, quote: 及时补报, confidence: text}
  - {id: reading, report: final, citation: c, quote: 及时上报, confidence: interpretation}
  - {id: reported, report: final, citation: c, quote: 及时上报, confidence: secondary}
  - {id: remembered, report: final, citation: c, quote: 及时上报, confidence: unverified}
retention: {keep: P6M, citation: c, quote: 六个月, confidence: text}
`
	const pointer = "sourceFile: sources/a.txt\n"
	const cited = "citationsZh: {c: 某条例第三条, d: 某条例第一条}\n"
	source := &fstest.MapFile{Data: []byte(publishedText)}
	findings := func(files fstest.MapFS) map[string]string {
		set, err := Load(files)
		require.NoError(t, err, "a pack can be used without its source")
		out := make(map[string]string)
		for _, f := range set.Check() {
			assert.Equal(t, SeverityError, f.Severity)
			out[f.Path] = f.Message
		}
		return out
	}
	with := func(head string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(minimal + cited + head + lines)}
	}

	const differs = "the quote differs from sources/a.txt: these words are not in 第三条: "
	assert.Equal(t, map[string]string{
		"followUps/elsewhere": `the quote differs from sources/a.txt: these words are not in 第一条: "及时补报"`,
		"followUps/own-words": differs + `"应当补报"`, "followUps/reading": differs + `"及时上报"`, "retention": differs + `"六个月"`,
	}, findings(fstest.MapFS{"test-pack.yaml": with(pointer), "sources/a.txt": source}))

	const none = "confidence text, but the pack names no sourceFile to compare the quote with: secondary at most"
	assert.Equal(t, map[string]string{
		"followUps/elsewhere": none, "followUps/own-words": none, "followUps/verbatim": none, "retention": none,
	}, findings(fstest.MapFS{"test-pack.yaml": with(""), "sources/a.txt": source}))

	const unread = "sources/a.txt cannot be read, so the quote cannot be compared with it"
	assert.Equal(t, map[string]string{
		"followUps/elsewhere": unread, "followUps/own-words": unread, "followUps/verbatim": unread, "followUps/reading": unread, "retention": unread,
	}, findings(fstest.MapFS{"test-pack.yaml": with(pointer)}))
}

func TestDecode_SourceFileStandsBesideThePack(t *testing.T) {
	for _, name := range []string{"../secret.txt", "/etc/passwd", "sources/../a.txt", "a.txt"} {
		got := faultsOf(t, minimal+"sourceFile: "+name+"\nretention: {keep: P6M}\n")
		assert.Contains(t, got["$.sourceFile"], "want a file of the folder sources beside the pack", name)
	}
}

func TestCheck_EveryCitationIsTranslated(t *testing.T) {
	p, err := Decode([]byte(minimal + `citationsZh: {"Law, art. 1": 某法第一条, "Law, art. 3": 某法第三条}
followUps:
  - {id: a, report: final, citation: "Law, art. 1", quote: 引, confidence: secondary}
  - {id: b, report: final, citation: "Law, art. 2", quote: 引, confidence: secondary}
  - {id: c, report: final, citation: "Law, art. 2", quote: 引, confidence: secondary}
`))
	require.NoError(t, err)
	set := newSet([]*Pack{p})
	require.Equal(t, []Finding{
		{"test-pack", "followUps/b", SeverityWarning, `citationsZh has no "Law, art. 2"`},
		{"test-pack", "citationsZh", SeverityWarning, `no line cites "Law, art. 3"`},
	}, set.Check())
	require.Equal(t, "某法第一条", set.CitationZH("test-pack", "Law, art. 1"))
	require.Empty(t, set.CitationZH("test-pack", "Law, art. 2"))
	require.Empty(t, set.CitationZH("other-pack", "Law, art. 1"))
	require.Equal(t, event.Citations{"Law, art. 1": "某法第一条", "Law, art. 3": "某法第三条"}, set.Citations())
}
