// Package page renders the page of an export for people, and verifies it: the page is a
// pure function of the records, so that a verifier can render it again and compare. It
// decodes the records itself, in their stored form, and shares no type with the server:
// the rendering of a version of the page must never change.
//
// A new look of the page is a new version beside the old ones, with a template, words and
// a sample of its own; the manifest of an export names the version.
package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/evidence/export"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// File is the page's path in an export.
const File = "index.html"

// Version is the version of new pages.
const Version = "tocsin/page/1"

// The maximum content of a page: it is for reading, and is kept in memory.
const (
	maxIncidents   = 2000
	maxEscalations = 20000
)

// Page collects what a page shows of the records of an export, in any order as long as
// the range itself is in order. It is for one goroutine.
type Page struct {
	export.Manifest
	Exercise  bool
	Signed    evidence.Checkpoint
	Incidents []*incident
	Removals  []removal
	Rules     []rules
	Limit     int
	Cut       bool // there is more than the page shows

	byName      map[string]*incident
	byID        map[string]*told
	escalations int
	named       map[string]bool  // hashes of the rules that decisions were made with
	seen        map[string]rules // packs and registers, by hash
}

// New returns a page without records.
func New() *Page {
	return &Page{Limit: maxIncidents, byName: map[string]*incident{}, byID: map[string]*told{}, named: map[string]bool{}, seen: map[string]rules{}}
}

// Names reports whether a decision in the range was made with a pack or register.
func (p *Page) Names(sha256 string) bool { return p.named[sha256] }

// Add adds what the page shows of one record. A body that cannot be decoded is skipped:
// the record is in the folder anyway.
func (p *Page) Add(r evidence.Record) {
	subject, drill := strings.CutPrefix(r.Subject, "exercise.")
	p.Exercise = p.Exercise || drill
	parts := strings.Split(subject, ".")
	switch {
	case len(parts) == 2 && parts[0] == "rules":
		p.addRules(parts[1], r)
	case len(parts) < 3 || parts[0] != "incident":
	case parts[1] == "graded":
		p.addGraded(r)
	case parts[1] == "removed":
		var x removal
		if decode(r, &x) {
			x.Record = r.Sequence
			p.Removals = append(p.Removals, x)
		}
	case len(parts) != 6: // desk, operator, incident, revision
	case parts[1] == "escalated":
		p.addEscalated(parts, r)
	case parts[1] == "acknowledged":
		p.addAcknowledged(parts, r)
	case parts[1] == "overdue":
		p.addOverdue(parts, r)
	}
}

func decode(r evidence.Record, into any) bool { return evidence.Decode(r.Body, into) == nil }

func (p *Page) addRules(sha256 string, r evidence.Record) {
	var x rules
	if decode(r, &x) {
		x.Record = r.Sequence
		p.seen[sha256] = x
	}
}

func (p *Page) addGraded(r evidence.Record) {
	var x struct {
		Rules struct {
			Packs    map[string]string `json:"packs"`
			Register string            `json:"register"`
		} `json:"rules"`
	}
	if decode(r, &x) {
		for sha := range maps.Values(x.Rules.Packs) {
			p.named[sha] = true
		}
		p.named[x.Rules.Register] = true
	}
}

// addEscalated adds an escalation, if there is room.
func (p *Page) addEscalated(parts []string, r evidence.Record) {
	in := p.incident(parts)
	if in == nil || p.escalations == maxEscalations {
		p.Cut = true
		return
	}
	x := &told{Record: r.Sequence}
	if !decode(r, x) {
		return
	}
	p.escalations++
	in.Operator, in.Incident = x.Operator, x.Incident
	var report struct {
		Title string `json:"title"`
	}
	if json.Unmarshal(x.Report, &report) == nil && report.Title != "" {
		in.Title = report.Title
	}
	x.Report = nil
	x.Standing = slices.DeleteFunc(x.Standing, func(d duty) bool { return d.LateBy == nil })
	in.Told = append(in.Told, x)
	p.byID[idOf(parts)] = x
}

func (p *Page) addAcknowledged(parts []string, r evidence.Record) {
	var x acknowledgement
	if !decode(r, &x) {
		return
	}
	if t := p.telling(parts); t != nil {
		t.AcknowledgedAt, t.AcknowledgedBy, t.AckRecord = &x.At, x.Officer, r.Sequence
	}
}

func (p *Page) addOverdue(parts []string, r evidence.Record) {
	var x acknowledgement
	if !decode(r, &x) {
		return
	}
	if t := p.telling(parts); t != nil {
		t.OverdueAt, t.OverdueRecord = &x.At, r.Sequence
	}
}

// telling finds the escalation that a record is about; one from before the range is known
// only by its id. It is nil where there is no room.
func (p *Page) telling(parts []string) *told {
	id := idOf(parts)
	if t, ok := p.byID[id]; ok {
		return t
	}
	in := p.incident(parts)
	if in == nil || p.escalations == maxEscalations {
		p.Cut = true
		return nil
	}
	p.escalations++
	t := &told{Escalation: id, Desk: parts[2], Before: true}
	in.Told = append(in.Told, t)
	p.byID[id] = t
	return t
}

func idOf(parts []string) string { return strings.Join(parts[2:], ".") }

func (p *Page) incident(parts []string) *incident {
	name := parts[3] + "." + parts[4]
	in := p.byName[name]
	if in == nil && len(p.Incidents) < maxIncidents {
		in = &incident{Operator: parts[3], Incident: parts[4]}
		p.byName[name] = in
		p.Incidents = append(p.Incidents, in)
	}
	return in
}

// Write renders the page in a version for an export with this manifest and this
// checkpoint. Invisible characters are shown as escapes.
func (p *Page) Write(w io.Writer, version string, m export.Manifest, cp evidence.Checkpoint) error {
	t, ok := versions[version]
	if !ok {
		return fmt.Errorf("the page has the version %q: %w", version, evidence.ErrNewer)
	}
	p.Manifest, p.Signed, p.Rules = m, cp, nil
	for _, sha := range slices.Sorted(maps.Keys(p.named)) {
		if x, ok := p.seen[sha]; ok {
			p.Rules = append(p.Rules, x)
		}
	}
	for _, in := range p.Incidents {
		for _, t := range in.Told {
			if at, late := m.StoredLate[t.Record]; late {
				t.store(at)
			}
		}
	}
	slices.SortFunc(p.Removals, func(a, b removal) int { return int(int64(a.Record) - int64(b.Record)) })
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return err
	}
	_, err := io.WriteString(w, printable.Text(b.String()))
	return err
}
