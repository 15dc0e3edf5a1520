package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const packFolder = "../../schemas/statutes"

func TestStatuteShow_SaysEachLineInBothLanguages(t *testing.T) {
	t.Parallel()
	for lang, want := range map[string][]string{
		"zh": {
			"pack/cn-xj-cii-2022\n  名称: 新疆维吾尔自治区关键信息基础设施安全保护条例\n", "  施行: 2022-06-15\n",
			"duties/operator-to-protection\n  适用: 事件，威胁，地区 65，关键信息基础设施\n  报送方: 运营者\n  接收方: 保护工作部门\n  方式: 报告\n  时限: 及时\n",
			"  依据: 《新疆维吾尔自治区关键信息基础设施安全保护条例》第十六条第一款\n  原文: 关键信息基础设施发生网络安全事件或者发现网络安全威胁时，",
			"  核实程度: 与原文核对\n",
		},
		"en": {
			"duties/operator-to-protection\n  applies to: incidents, threats, region 65, CII\n  from: the operator\n  to: protection department\n",
			"  article: Xinjiang CII Regulations (2022), art. 16 ¶1\n", "  confidence: compared with the text\n",
		},
	} {
		code, out, errOut := tocsin(t, "", "statute", "show", "cn-xj-cii-2022", "--lang", lang)
		require.Equal(t, exitOK, code, errOut)
		for _, text := range want {
			require.Contains(t, out, text, lang)
		}
	}
	for lang, want := range map[string]string{
		"zh": "  条件: 中断运行 (整体, 关键信息基础设施) ≥ 6小时\n",
		"en": "  when: outage (overall, CII) ≥ 6h\n",
	} {
		code, out, errOut := tocsin(t, "", "statute", "show", "cn-csirm-2025", "--lang", lang)
		require.Equal(t, exitOK, code, errOut)
		require.Contains(t, out, want)
	}
	files, err := filepath.Glob(filepath.Join(packFolder, "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		id := strings.TrimSuffix(filepath.Base(name), ".yaml")
		code, out, errOut := tocsin(t, "", "statute", "show", id, "--lang", "zh")
		require.Equal(t, exitOK, code, errOut)
		require.NotContains(t, out, "field-", "every label has a word")
		require.Contains(t, out, "pack/"+id+"\n")
	}
}

func TestStatuteDiff_OfFolders(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	require.NoError(t, os.CopyFS(dir, os.DirFS(packFolder)))
	code, out, errOut := tocsin(t, "", "statute", "diff", packFolder, dir, "--lang", "en")
	require.Equal(t, exitOK, code, errOut)
	require.Equal(t, "nothing differs\n", out)

	measures := filepath.Join(dir, "cn-csirm-2025.yaml")
	raw, err := os.ReadFile(measures)
	require.NoError(t, err)
	text := string(raw)
	for _, change := range [][2]string{{"within: PT1H", "within: PT30M"}, {"- id: direct-loss-major", "- id: direct-loss-great"}} {
		require.Contains(t, text, change[0])
		text = strings.Replace(text, change[0], change[1], 1)
	}
	require.NoError(t, os.WriteFile(measures, []byte(text), 0o600))
	require.NoError(t, os.Remove(filepath.Join(dir, "cn-csl-2017.yaml")))

	code, out, errOut = tocsin(t, "", "statute", "diff", packFolder, dir, "--lang", "zh")
	require.Equal(t, exitOK, code, errOut)
	require.Contains(t, out, "≠ cn-csirm-2025: duties/cii-operator-to-protection\n    时限: 1 小时 (自发现或获知) → 30 分钟 (自发现或获知)\n")
	require.Contains(t, out, "− cn-csirm-2025: criteria/direct-loss-major\n    级别: 重大\n")
	require.Contains(t, out, "+ cn-csirm-2025: criteria/direct-loss-great\n    级别: 重大\n")
	require.Contains(t, out, "− cn-csl-2017: pack/cn-csl-2017\n")
	require.Contains(t, out, "− cn-csl-2017: retention/records\n")

	code, out, errOut = tocsin(t, "", "statute", "diff", packFolder, dir, "--lang", "zh", "--json")
	require.Equal(t, exitOK, code, errOut)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 5)
	for _, l := range lines {
		if c := decode(t, l); c["line"] == "duties/cii-operator-to-protection" {
			require.Equal(t, "changed", c["change"])
			require.Equal(t, []any{map[string]any{"field": "within", "before": "1 hour (from discovery)", "after": "30 minutes (from discovery)"}}, c["fields"])
		}
	}

	// Two files are compared whatever their ids.
	draft := filepath.Join(t.TempDir(), "draft.yaml")
	require.NoError(t, os.WriteFile(draft, []byte(strings.Replace(text, "id: cn-csirm-2025", "id: draft", 1)), 0o600))
	code, out, errOut = tocsin(t, "", "statute", "diff", filepath.Join(packFolder, "cn-csirm-2025.yaml"), draft, "--json")
	require.Equal(t, exitOK, code, errOut)
	require.Equal(t, 3, strings.Count(out, "\n"), out)

	code, _, errOut = tocsin(t, "", "statute", "diff", packFolder, filepath.Join(dir, "none"))
	require.Equal(t, exitUnreachable, code, errOut)
}
