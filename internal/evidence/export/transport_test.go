package export

import (
	"bytes"
	"encoding/binary"
	"mime/quotedprintable"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
)

// transports are the changes that mail, editors and file transfers make to a text.
var transports = map[string]func([]byte) []byte{
	"a byte order mark":     func(b []byte) []byte { return append([]byte("\uFEFF"), b...) },
	"CR LF":                 func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) },
	"CR":                    func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r")) },
	"UTF-16LE":              func(b []byte) []byte { return toUTF16(binary.LittleEndian, "\uFEFF"+string(b)) },
	"UTF-16BE":              func(b []byte) []byte { return toUTF16(binary.BigEndian, "\uFEFF"+string(b)) },
	"UTF-16LE without mark": func(b []byte) []byte { return toUTF16(binary.LittleEndian, string(b)) },
	"UTF-16 and CR LF": func(b []byte) []byte {
		return toUTF16(binary.LittleEndian, "\uFEFF"+string(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))))
	},
	"no last newline": func(b []byte) []byte { return bytes.TrimSuffix(b, []byte("\n")) },
	"more newlines":   func(b []byte) []byte { return append(b, "\n\n"...) },
	"white space":     func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte(" \t\n")) },
	"empty lines": func(b []byte) []byte {
		return append([]byte("\n\n"), bytes.ReplaceAll(b, []byte("\n\n"), []byte("\n\n\n\n"))...)
	},
	"quoted-printable":   toQuotedPrintable,
	"white space, CR LF": func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte(" \r\n")) },
}

func toQuotedPrintable(text []byte) []byte {
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write(text)
	_ = w.Close()
	return b.Bytes()
}

func toUTF16(order binary.AppendByteOrder, text string) (out []byte) {
	for _, unit := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, unit)
	}
	return out
}

// An export whose files were damaged only in transport is valid, and the report shows it;
// with any other change as well, it is not.
func TestVerifyExport_TransportIsNoForgery(t *testing.T) {
	t.Parallel()
	for name, damage := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "export")
			l, sum := sample(t, dir)
			rules, err := filepath.Glob(filepath.Join(dir, "rules", "*"))
			require.NoError(t, err)
			files := []string{manifestFile, checkpointFile, keyFile, recordsFile, contextFile, "index.html"}
			for _, path := range rules {
				files = append(files, "rules/"+filepath.Base(path))
			}
			for _, path := range files {
				file := filepath.Join(dir, filepath.FromSlash(path))
				raw, err := os.ReadFile(file)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(file, damage(raw), 0o600))
			}
			r := l.verify(t, dir)
			require.Empty(t, r.Findings)
			require.Equal(t, sum, r.Manifest, "the hash of what was exported")
			damaged := map[string]bool{}
			for _, d := range r.Damaged {
				require.NotEmpty(t, d.Damage)
				damaged[d.Path] = true
			}
			require.True(t, damaged[recordsFile] && damaged[checkpointFile] && damaged[manifestFile], "%v", r.Damaged)
			p, err := Prove(dir, l.verifier, 42)
			require.NoError(t, err, "one record can be taken out, too")
			require.Equal(t, l.records[41].Line(), p.Record.Line())

			file := filepath.Join(dir, recordsFile)
			clean, _, _ := restoreTo(must(os.ReadFile(file)), hashOf(t, dir, recordsFile))
			require.NotNil(t, clean)
			forged := bytes.Replace(clean, []byte("事件 41"), []byte("事件 49"), 1)
			require.NotEqual(t, clean, forged)
			require.NoError(t, os.WriteFile(file, damage(forged), 0o600))
			require.NotEmpty(t, l.verify(t, dir).Findings, "a forgery hides in no damage")
		})
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func hashOf(t *testing.T, dir, path string) string {
	raw, _ := Restore(must(os.ReadFile(filepath.Join(dir, manifestFile))))
	m, err := parseManifest(raw)
	require.NoError(t, err)
	for _, f := range m.Files {
		if f.Path == path {
			return f.SHA256
		}
	}
	return ""
}

func TestVerifyExport_FilesThatDesktopsLeave(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "export")
	l, _ := sample(t, dir)
	for _, extra := range []string{".DS_Store", "Thumbs.db", "rules/desktop.ini", "tile/._000", "notes.txt"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.FromSlash(extra)), []byte("x"), 0o600))
	}
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(dir, "link")))
	r := l.verify(t, dir)
	require.Empty(t, r.Findings)
	require.Equal(t, []string{".DS_Store", "Thumbs.db", "link", "notes.txt", "rules/desktop.ini", "tile/._000"}, r.Extra, "each is named")
}

func TestRestore(t *testing.T) {
	t.Parallel()
	const text = "tocsin 停电 AA==\n\n— a b=\n"
	same, damage := Restore([]byte(text))
	require.Equal(t, text, string(same))
	require.Empty(t, damage)
	for name, change := range transports {
		got, damage := Restore(change([]byte(text)))
		require.Equal(t, text, string(got), name)
		require.NotEmpty(t, damage, name)
	}
	for _, raw := range []string{"", "\xff\xfe", "\xff\xfe\x00\xd8", "\x00", "\xfe\xff\x00"} {
		_, _ = Restore([]byte(raw)) // it ends, whatever the text
	}
}
