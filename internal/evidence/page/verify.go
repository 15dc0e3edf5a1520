package page

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/evidence/export"
)

// VerifyExport is export.Verify, and also renders the page of the export from its
// records and compares it. The manifest is not signed, and one that names no version may
// come from an earlier program or from a forger: its page is compared with the first
// version. A page that is not compared, and every other unproved file that a browser
// displays, is reported as unchecked.
func VerifyExport(ctx context.Context, dir string, v evidence.Verifier, progress func(done, of uint64)) (export.Report, error) {
	p := New()
	report, err := export.Verify(ctx, dir, v, progress, p.Add)
	if err != nil {
		return report, err
	}
	if len(report.Findings) == 0 && report.Checkpoint.Origin != "" {
		if err := p.compare(&report); err != nil {
			return report, err
		}
	}
	for _, name := range report.Unproved {
		unchecked(&report, name, doNotTrust)
	}
	for _, name := range report.Extra {
		if isPage(name) {
			unchecked(&report, name, "the manifest does not list it: "+doNotTrust)
		}
	}
	return report, nil
}

const doNotTrust = "it was not checked against the records, and may have been changed: do not trust what it shows"

func unchecked(report *export.Report, name, message string) {
	report.Unchecked = append(report.Unchecked, export.Finding{Path: name, Message: message})
}

// isPage reports whether a browser displays a file of this name as a page.
func isPage(name string) bool {
	name = strings.ToLower(name)
	ending := path.Ext(name)
	return strings.HasPrefix(path.Base(name), "index.") || strings.Contains(ending, "htm") || ending == ".mht" || ending == ".svg" || ending == ".xml" || ending == ".pdf"
}

func (p *Page) compare(report *export.Report) error {
	m := report.Contents
	at := slices.IndexFunc(m.Files, func(f export.ManifestFile) bool { return f.Path == File })
	finding := func(message string) {
		report.Findings = append(report.Findings, export.Finding{Path: File, Message: message})
	}
	if at < 0 {
		if m.Page != "" {
			finding("it is missing: the manifest names its version, " + m.Page)
		}
		return nil
	}
	version := m.Page
	if version == "" {
		version = "tocsin/page/1"
	}
	if _, known := versions[version]; !known {
		unchecked(report, File, fmt.Sprintf("its version is %q: %v", version, evidence.ErrNewer))
		return nil
	}
	sum := sha256.New()
	if err := p.Write(sum, version, m, report.Checkpoint); err != nil {
		return err
	}
	switch rendered := hex.EncodeToString(sum.Sum(nil)); {
	case rendered == m.Files[at].SHA256:
		report.PageCompared = true
		report.Unproved = slices.DeleteFunc(report.Unproved, func(path string) bool { return path == File })
	case m.Page != "":
		finding("it does not show what the records say: rendered from them it has the SHA-256 " + rendered)
	}
	return nil
}
