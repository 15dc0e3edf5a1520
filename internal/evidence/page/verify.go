package page

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// VerifyExport is evidence.VerifyExport, and renders the page of the export again from
// its records to compare it. The page of an export that names no version, as earlier
// ones do, is compared with the first; where it differs, it stays among what nothing
// proves.
func VerifyExport(ctx context.Context, dir string, v evidence.Verifier, progress func(done, of uint64)) (evidence.Report, error) {
	p := New()
	report, err := evidence.VerifyExportReading(ctx, dir, v, progress, p.Add)
	if err != nil || len(report.Findings) > 0 {
		return report, err
	}
	return report, p.compare(&report)
}

func (p *Page) compare(report *evidence.Report) error {
	m := report.Contents
	at := slices.IndexFunc(m.Files, func(f evidence.ManifestFile) bool { return f.Path == File })
	finding := func(path, message string) {
		report.Findings = append(report.Findings, evidence.Finding{Path: path, Message: message})
	}
	if at < 0 {
		if m.Page != "" {
			finding(File, "it is missing: the manifest names its version, "+m.Page)
		}
		return nil
	}
	version := m.Page
	if version == "" {
		version = "tocsin/page/1"
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
		finding(File, "it does not show what the records say: rendered from them it has the SHA-256 "+rendered)
	}
	return nil
}
