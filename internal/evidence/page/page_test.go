package page

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/evidence/export"
)

// records are one of everything that a page shows.
func records() []evidence.Record {
	of := func(subject, body string) evidence.Record {
		return evidence.Record{Subject: subject, Header: map[string][]string{"tocsin-salt": {"0"}}, Body: []byte(body)}
	}
	sha := strings.Repeat("ab", 32)
	all := []evidence.Record{
		of("rules."+sha, `{"kind":"statute","id":"law","sha256":"`+sha+`","text":"id: law\n"}`),
		of("incident.graded.grid-east.inc-1.1", `{"rules":{"packs":{"law":"`+sha+`"},"register":"none"}}`),
		of("incident.escalated.desk-a.grid-east.inc-1.1", `{"escalation":"desk-a.grid-east.inc-1.1","desk":"desk-a","operator":"grid-east","incident":"inc-1","revision":1,"grade":"major",
"change":{"kind":"raised"},"from":"grid-east","act":"report","dueAt":"2026-03-01T05:00:00Z","reportedAt":"2026-03-01T04:40:00.5Z","acknowledgeBy":"2026-03-01T04:50:00Z","report":{"title":"停电 <b>\u202e & 三号"},"cause":{"at":"2026-03-01T04:00:00Z"},
"duties":[{"citation":"Law, art. 4","confidence":"unverified","dueAt":"2026-03-01T04:30:00Z","lateBy":"PT10M0.5S","strictDueAt":"2026-03-01T03:00:00Z","onBehalf":{"authority":"order","verified":false}},
{"citation":"Law, art. 5","confidence":"text","dueAt":null},{"citation":"Law, art. 6","confidence":"text","dueAt":"2026-03-02T04:30:00Z"}],"standing":[{"citation":"Law, art. 7","confidence":"text","lateBy":"P1DT2H"},{"citation":"none","confidence":"text"}]}`),
		of("incident.acknowledged.desk-a.grid-east.inc-1.1", `{"officer":"post <i>","at":"2026-03-01T05:10:00Z"}`),
		of("incident.overdue.desk-a.grid-east.inc-1.1", `{"at":"2026-03-01T04:50:01Z"}`),
		of("incident.acknowledged.desk-b.grid-east.inc-0.3", `{"officer":"duty","at":"2026-03-01T05:10:00Z"}`),
		of("incident.escalated.desk-b.grid-east.inc-1.1", `{"escalation":"x","desk":"desk-b","operator":"grid-east","incident":"inc-1","grade":"ungraded","act":"notice","notice":{"kind":"away","desk":"desk-a"},"reportedAt":"2026-03-01T04:40:00Z","imported":true}`),
		of("incident.escalated.desk-c.grid-east.inc-1.1", `{"no":`),
		of("exercise.incident.removed.2", `{"first":2,"entries":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="],"order":"order 7","officer":"post","at":"2026-03-01T04:40:00Z","operator":"grid-east","incident":"inc-1","type":"t"}`),
	}
	for i := range all {
		all[i].Sequence = uint64(i + 1)
	}
	return all
}

var made = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func render(t *testing.T, records []evidence.Record) string {
	p := New()
	for _, r := range records {
		p.Add(r)
	}
	var b bytes.Buffer
	m := export.Manifest{Key: "log.example.com/test+1+A", First: 1, Last: 9, Made: made, Since: &made}
	require.NoError(t, p.Write(&b, "tocsin/page/1", m, evidence.Checkpoint{Origin: "log.example.com/test", Size: 9, Note: "note\n"}))
	return b.String()
}

// The rendering of version 1 must never change: pages of exports made with it would no
// longer verify. A new look is a new version.
func TestVersion1_RendersAsEver(t *testing.T) {
	t.Parallel()
	got := render(t, records())
	if os.Getenv("UPDATE_PAGE") != "" {
		require.NoError(t, os.WriteFile("testdata/v1.golden.html", []byte(got), 0o644))
	}
	want, err := os.ReadFile("testdata/v1.golden.html")
	require.NoError(t, err)
	require.Equal(t, string(want), got)
	for _, want := range []string{"停电 &lt;b&gt;\\u202e &amp; 三号", "post &lt;i&gt;", "迟报 10分钟 late by 10m", "迟报 1天2小时 late by 1d2h", "重大 major", "逾期签收 acknowledged late", "before this range", "法规包 statute pack law", "order 7", "Records of a drill"} {
		require.Contains(t, got, want)
	}
	require.NotContains(t, got, "ZgotmplZ")

	var context, inRange []evidence.Record // a verifier sees those beside the range first
	for _, r := range records() {
		if strings.Contains(r.Subject, "rules.") || strings.Contains(r.Subject, "removed") {
			context = append(context, r)
		} else {
			inRange = append(inRange, r)
		}
	}
	require.Equal(t, got, render(t, append(context, inRange...)))
}

// An escalation that waited for the disk is shown with the lateness that the server gives
// for its storing, and the page names the server as the source. A desk's own act needs no
// acknowledgement.
func TestPage_ShowsStoredLateness(t *testing.T) {
	t.Parallel()
	p := New()
	p.Add(evidence.Record{Sequence: 5, Subject: "incident.escalated.desk-a.o.i.1", Body: []byte(`{"desk":"desk-a","operator":"o","incident":"i","act":"report","from":"o","dueAt":"2026-03-01T05:00:00Z","reportedAt":"2026-03-01T04:59:59Z",
"duties":[{"citation":"Law, art. 4","confidence":"text","dueAt":"2026-03-01T05:00:00Z"},{"citation":"Law, art. 5","confidence":"text","dueAt":"2026-03-02T05:00:00Z"}]}`)})
	p.Add(evidence.Record{Sequence: 6, Subject: "incident.escalated.desk-a.o.i.2", Body: []byte(`{"desk":"desk-a","operator":"o","incident":"i","act":"update","from":"desk-a","reportedAt":"2026-03-01T05:30:00Z"}`)})
	render := func(late map[uint64]time.Time) string {
		var b bytes.Buffer
		require.NoError(t, p.Write(&b, Version, export.Manifest{First: 5, Last: 6, Made: made, StoredLate: late}, evidence.Checkpoint{}))
		return b.String()
	}
	got := render(nil)
	require.Equal(t, 2, strings.Count(got, "按时 in time"))
	require.NotContains(t, got, "stored")
	require.Contains(t, got, "own act, nothing to acknowledge")
	got = render(map[uint64]time.Time{5: time.Date(2026, 3, 1, 6, 10, 5, 250e6, time.UTC)})
	for _, want := range []string{"存储于 stored 2026-03-01 14:10:05.250 &#43;08:00", "迟报 1小时10分钟 late by 1h10m", "It does not prove the times marked “stored”"} {
		require.Contains(t, got, want)
	}
	require.Equal(t, 1, strings.Count(got, "按时 in time"), "the other duty was met")
}

func TestPage_IsBounded(t *testing.T) {
	t.Parallel()
	var many []evidence.Record
	for i := range maxIncidents + 1 {
		many = append(many, evidence.Record{Sequence: uint64(i + 1), Subject: fmt.Sprintf("incident.acknowledged.desk.o.inc-%d.1", i), Body: []byte(`{"officer":"p"}`)})
	}
	require.Contains(t, render(t, many), "This page shows the first 2000 incidents")
}

// exported writes an export whose page is passed through change.
func exported(t *testing.T, version string, change func(string) string) (dir string, v evidence.Verifier) {
	t.Helper()
	tmp := t.TempDir()
	key, err := evidence.OpenKey(filepath.Join(tmp, "key"), "log.example.com/test")
	require.NoError(t, err)
	tiles := filepath.Join(tmp, "tree")
	require.NoError(t, os.Mkdir(tiles, 0o700))
	tree, err := evidence.OpenTree(tiles, 0)
	require.NoError(t, err)
	all := records()
	all = all[:len(all)-1]
	for _, r := range all {
		require.NoError(t, tree.Append(r.Entry()))
	}
	require.NoError(t, tree.Write())
	cp, err := key.Sign(tree.Size(), tree.Root())
	require.NoError(t, err)
	dir = filepath.Join(tmp, "export")
	m := export.Manifest{Key: key.Verifier(), First: 2, Last: uint64(len(all)), Made: made, Page: version}
	e, err := export.Create(dir, m, cp.Note, evidence.Dir(tiles))
	require.NoError(t, err)
	p := New()
	for _, r := range all[1:] {
		require.NoError(t, e.Add(r))
		p.Add(r)
	}
	require.NoError(t, e.AddContext(all[0]))
	p.Add(all[0])
	var b bytes.Buffer
	require.NoError(t, p.Write(&b, Version, m, cp))
	if text := change(b.String()); text != "" {
		require.NoError(t, e.AddFile(File, func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		}))
	}
	_, err = e.Close()
	require.NoError(t, err)
	v, err = evidence.NewVerifier(key.Verifier())
	require.NoError(t, err)
	return dir, v
}

// The hash of an edited page may match an edited manifest; its content must match the
// records.
func TestVerifyExport_ComparesThePage(t *testing.T) {
	t.Parallel()
	same := func(s string) string { return s }
	edit := func(s string) string { return strings.Replace(s, "重大 major", "一般 general", 1) }
	for name, c := range map[string]struct {
		version   string
		change    func(string) string
		compared  bool
		finding   string
		unchecked string // of the page
	}{
		"as it was made":        {Version, same, true, "", ""},
		"edited":                {Version, edit, false, "does not show what the records say", doNotTrust},
		"taken out":             {Version, func(string) string { return "" }, false, "it is missing", ""},
		"of an earlier program": {"", same, true, "", ""},
		"edited, and the manifest names no version":        {"", edit, false, "", doNotTrust},
		"edited, and the manifest names a version to come": {"tocsin/page/99", edit, false, "", "a newer program made it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, v := exported(t, c.version, c.change)
			r, err := VerifyExport(t.Context(), dir, v, nil)
			require.NoError(t, err)
			require.Equal(t, c.compared, r.PageCompared)
			if c.unchecked == "" {
				require.Empty(t, r.Unchecked)
			} else {
				require.NotEmpty(t, r.Unchecked)
				require.Equal(t, File, r.Unchecked[0].Path)
				require.Contains(t, r.Unchecked[0].Message, c.unchecked)
			}
			if c.finding == "" {
				require.Empty(t, r.Findings)
				return
			}
			require.Len(t, r.Findings, 1)
			require.Contains(t, r.Findings[0].Message, c.finding)
		})
	}
}

// A page that the manifest does not list was added by somebody else.
func TestVerifyExport_DoesNotTrustAPageThatIsNotListed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"index.html", "INDEX.HTM", "read-me.xhtml", "tile/index.php"} {
		dir, v := exported(t, "", func(string) string { return "" })
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte("all is well"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, ".DS_Store"), nil, 0o600))
		r, err := VerifyExport(t.Context(), dir, v, nil)
		require.NoError(t, err)
		require.Empty(t, r.Findings)
		require.Len(t, r.Unchecked, 1, name)
		require.Equal(t, name, r.Unchecked[0].Path)
	}
}
