package main

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/quotedprintable"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/evidence/export"
)

// wrapped breaks lines as a mail program does.
func wrapped(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		for len(line) > 72 {
			b.WriteString(line[:72] + "\n")
			line = line[72:]
		}
		b.WriteString(line)
	}
	return b.String()
}

func quotedPrintable(text string) string {
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

// receipt returns a signed receipt, a line of JSON.
func (s *scene) receipt(t *testing.T) string {
	t.Helper()
	key := evidence.NewReceiptKey()
	certificate, err := s.key.CertifyReceipts(key.Public())
	require.NoError(t, err)
	claim := evidence.Receipt{Status: "accepted", Operator: "mill", Incident: "flood", Report: "r1", Source: "urn:x=3D"}
	raw, err := json.Marshal(struct {
		evidence.Receipt
		Signed *evidence.SignedReceipt `json:"signed"`
	}{claim, key.Sign([]evidence.Receipt{claim}, certificate)[0]})
	require.NoError(t, err)
	return string(raw) + "\n"
}

// Changes that mail makes to a text are reverted where possible, and are otherwise not
// reported as a forgery.
func TestVerify_MailIsNoForgery(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.write(t, "proof", s.proof(t, 42))
	s.write(t, "consistency", s.consistency(t))
	s.write(t, "receipt", s.receipt(t))
	for name, c := range map[string]struct {
		damage func(string) string
		want   int
	}{
		"quoted-printable":             {quotedPrintable, exitHolds},
		"two empty lines at the start": {func(s string) string { return "\n\n" + s }, exitHolds},
		"doubled empty lines":          {func(s string) string { return strings.ReplaceAll(s, "\n\n", "\n\n\n\n") }, exitHolds},
		"wrapped":                      {wrapped, exitUnchecked},
		"quoted":                       {func(s string) string { return "> " + strings.ReplaceAll(s, "\n", "\n> ") }, exitUnchecked},
		"a plain dash":                 {func(s string) string { return strings.ReplaceAll(s, "\u2014", "-") }, exitUnchecked},
		"empty lines taken out":        {func(s string) string { return strings.ReplaceAll(s, "\n\n", "\n") }, exitUnchecked},
		"no break space":               {func(s string) string { return strings.ReplaceAll(s, " ", "\u00a0") }, exitUnchecked},
		"cut":                          {func(s string) string { return s[:len(s)-40] }, exitUnchecked},
	} {
		changed := 0
		for _, file := range []string{"proof", "consistency", "checkpoint-300", "receipt"} {
			text := s.read(t, file)
			damaged := c.damage(text)
			if damaged == text {
				continue
			}
			changed++
			s.write(t, "damaged", damaged)
			args := []string{s.path("damaged")}
			if file == "consistency" {
				args = append(args, "--extends", s.path("checkpoint-200"))
			}
			code, out, errOut := s.verify(args...)
			require.Equal(t, c.want, code, "%s, %s: %s", file, name, errOut)
			if code == exitHolds {
				require.Contains(t, out, "repaired", "%s, %s", file, name)
				continue
			}
			require.NotContains(t, errOut, "does not hold")
			require.Contains(t, errOut, "mail or an editor may have damaged it", "%s, %s", file, name)
		}
		require.NotZero(t, changed, name)
	}
	s.write(t, "spaced", strings.Replace(s.receipt(t), `"signature":"`, `"signature":"  `, 1))
	code, _, errOut := s.verify(s.path("spaced"))
	require.Equal(t, exitUnchecked, code, errOut)
	s.write(t, "forged", quotedPrintable(strings.Replace(s.receipt(t), "mill", "grid", 1)))
	code, _, _ = s.verify(s.path("forged"))
	require.Equal(t, exitFails, code, "a forgery hides in no damage")
}

// An export with an act of a format or kind that this program does not know could not be
// checked; any real fault takes precedence.
func TestVerify_NewerFormatIsUnchecked(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]evidence.Record{
		"an act":      {Subject: "incident.determined.hall.mill.flood.n1", Body: []byte(`{"signed":{"format":"tocsin/act/9","by":"desk/hall","sent":"{}"}}`)},
		"a new kind":  {Subject: "incident.suspended.hall.mill.flood.n1", Body: []byte(`{"signed":{"by":"desk/hall","key":"U"}}`)},
		"a removal":   {Subject: "incident.removed.1", Body: []byte(`{"first":1,"entries":[],"signed":{"format":"tocsin/removal/2","by":"admin/a","sent":"{}"}}`)},
		"a new cause": {Subject: "incident.removed.1", Body: []byte(`{"first":1,"entries":[],"why":"storm","signed":{"by":"admin/a","sent":"{}"}}`)},
	} {
		s := newScene(t)
		r.Sequence = 301
		tree, err := evidence.OpenTree(string(s.tiles), 300)
		require.NoError(t, err)
		require.NoError(t, tree.Append(r.Entry()))
		require.NoError(t, tree.Write())
		cp, err := s.key.Sign(301, tree.Root())
		require.NoError(t, err)
		s.write(t, "checkpoint-300", cp.Note)
		s.records = append(s.records, r)
		s.export(t, "export", 290, 301)
		code, out, errOut := s.verify(s.path("export"))
		require.Equal(t, exitUnchecked, code, "%s: %s", name, errOut)
		require.Empty(t, out)
		require.Contains(t, errOut, "record 301", name)
		require.Contains(t, errOut, "a newer program made it", name)
		require.Contains(t, errOut, "could not be checked", name)
		code, out, _ = s.verify(s.path("export"), "--json")
		require.Equal(t, exitUnchecked, code)
		require.Contains(t, out, `"result":"unchecked"`)
		require.Contains(t, out, `"unchecked":[{"record":301`)
		code, _, errOut = s.verify(s.path("export"), "--record", "301")
		require.Equal(t, exitUnchecked, code, "%s: %s", name, errOut)

		manifest := filepath.Join(s.path("export"), "manifest.json")
		raw, err := os.ReadFile(manifest)
		require.NoError(t, err)
		for _, change := range []string{`"format": "tocsin/export@v7"`, `"format": "tocsin/export@v1",` + "\n" + ` "sealed": true`} {
			require.NoError(t, os.WriteFile(manifest, bytes.Replace(raw, []byte(`"format": "tocsin/export@v1"`), []byte(change), 1), 0o600))
			code, _, errOut = s.verify(s.path("export"))
			require.Equal(t, exitUnchecked, code, errOut)
			require.Contains(t, errOut, "a newer program made it")
		}
	}
}

// A forger who edits the page can edit the manifest: without a version in it the page is
// not compared, and must not be trusted.
func TestVerify_PageNotComparedIsUnchecked(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	m := export.Manifest{Key: s.key.Verifier(), First: 1, Last: 20}
	e, err := export.Create(s.path("export"), m, s.read(t, "checkpoint-300"), s.tiles)
	require.NoError(t, err)
	for n := range 20 {
		require.NoError(t, e.Add(s.records[n]))
	}
	require.NoError(t, e.AddFile("index.html", func(w io.Writer) error {
		_, err := io.WriteString(w, "<p>all is well")
		return err
	}))
	_, err = e.Close()
	require.NoError(t, err)
	code, out, errOut := s.verify(s.path("export"))
	require.Equal(t, exitUnchecked, code)
	require.NotContains(t, out, "HOLDS")
	require.Contains(t, errOut, "index.html: it was not checked against the records")
	require.Contains(t, errOut, "do not trust what it shows")
	code, out, _ = s.verify(s.path("export"), "--json")
	require.Equal(t, exitUnchecked, code)
	require.Contains(t, out, `"pageCompared":false`)
	require.Contains(t, out, `"unchecked":[{"path":"index.html"`)
}
