package main

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

//go:embed exportpage.html
var exportPage string

// What a page shows at most: it is for reading, and is held in memory.
const (
	pageIncidents   = 2000
	pageEscalations = 20000
)

// page is what a person reads of an export, out of its own records.
type page struct {
	evidence.Manifest
	Exercise  bool
	Signed    evidence.Checkpoint
	Incidents []*pageIncident
	Removals  []pageRemoval
	Rules     []pageRule
	Limit     int
	Cut       bool // there is more than it shows

	realm       event.Realm
	byName      map[string]*pageIncident
	byID        map[string]*pageTold
	escalations int
	seen        map[string]pageRule // packs and registers, by hash
}

// pageIncident is one incident with who was told of it.
type pageIncident struct {
	Operator, Incident, Title string
	Told                      []*pageTold
}

// pageTold is one desk told once, and what became of it.
type pageTold struct {
	event.EscalationRow
	AckRecord, OverdueRecord uint64
	Before                   bool // told before the range: only what came of it is in it
}

type pageRemoval struct {
	event.Removal
	Record uint64
}

type pageRule struct {
	event.RulesBody
	Record uint64
}

func newPage(realm event.Realm, m evidence.Manifest, checkpoint string) (*page, error) {
	v, err := evidence.NewVerifier(m.Key)
	if err != nil {
		return nil, err
	}
	cp, err := v.Open(checkpoint)
	if err != nil {
		return nil, err
	}
	return &page{
		Manifest: m, Exercise: realm == event.Drill, Signed: cp, Limit: pageIncidents, realm: realm,
		byName: map[string]*pageIncident{}, byID: map[string]*pageTold{}, seen: map[string]pageRule{},
	}, nil
}

// add takes what a page shows of one record, and notes in named the hashes of
// the rules that decided it. A body that says nothing to us is passed over: the
// record stands in the folder as it is.
func (p *page) add(r evidence.Record, named map[string]bool) {
	subject := p.realm.Plain(r.Subject)
	switch a := event.ParseSubject(subject); a.Kind {
	case event.KindGraded:
		if g, err := bodyOf[struct{ Rules event.Rules }](r); err == nil {
			for sha := range maps.Values(g.Rules.Packs) {
				named[sha] = true
			}
			named[g.Rules.Register] = true
		}
	case event.KindEscalated:
		p.told(a, r)
	case event.KindAcknowledged:
		if ack, err := bodyOf[event.Acknowledgement](r); err == nil {
			if t := p.telling(subject, a); t != nil {
				t.AcknowledgedAt, t.AcknowledgedBy, t.AckRecord = &ack.At, ack.Officer, r.Sequence
			}
		}
	case event.KindOverdue:
		if o, err := bodyOf[event.Overdue](r); err == nil {
			if t := p.telling(subject, a); t != nil {
				t.OverdueAt, t.OverdueRecord = &o.At, r.Sequence
			}
		}
	case event.KindRemoved:
		if removal, err := bodyOf[event.Removal](r); err == nil {
			p.Removals = append(p.Removals, pageRemoval{removal, r.Sequence})
		}
	case event.KindRules:
		if rules, err := bodyOf[event.RulesBody](r); err == nil {
			rules.Text = "" // it has a file of its own
			p.seen[a.Last] = pageRule{rules, r.Sequence}
		}
	}
}

func bodyOf[T any](r evidence.Record) (body T, err error) {
	err = json.Unmarshal(r.Body, &body)
	return body, err
}

// told takes an escalation, if there is room.
func (p *page) told(a event.Address, r evidence.Record) {
	in := p.incident(a)
	if in == nil || p.escalations == pageEscalations {
		p.Cut = true
		return
	}
	x, err := bodyOf[event.Escalated](r)
	if err != nil {
		return
	}
	p.escalations++
	t := &pageTold{EscalationRow: x.Row(r.Sequence, nil, nil, x.ReportedAt)}
	in.Operator, in.Incident = x.Operator, x.Incident
	if t.Title != "" {
		in.Title = t.Title
	}
	in.Told = append(in.Told, t)
	p.byID[event.EscalationOf(p.realm.Plain(r.Subject))] = t
}

// telling finds the escalation that a record is about; one from before the range
// is known by its id only. It is nil where there is no room.
func (p *page) telling(subject string, a event.Address) *pageTold {
	id := event.EscalationOf(subject)
	if t, ok := p.byID[id]; ok {
		return t
	}
	in := p.incident(a)
	if in == nil || p.escalations == pageEscalations {
		p.Cut = true
		return nil
	}
	p.escalations++
	t := &pageTold{EscalationRow: event.EscalationRow{Escalation: id, Desk: a.Desk}, Before: true}
	in.Told = append(in.Told, t)
	p.byID[id] = t
	return t
}

func (p *page) incident(a event.Address) *pageIncident {
	name := a.Operator + "." + a.Incident
	in := p.byName[name]
	if in == nil && len(p.Incidents) < pageIncidents {
		in = &pageIncident{Operator: a.Operator, Incident: a.Incident}
		p.byName[name] = in
		p.Incidents = append(p.Incidents, in)
	}
	return in
}

// write renders the page, with the rules that decided.
func (p *page) write(w io.Writer, named map[string]bool) error {
	for _, sha := range slices.Sorted(maps.Keys(named)) {
		if rule, ok := p.seen[sha]; ok {
			p.Rules = append(p.Rules, rule)
		}
	}
	return pageTemplate.Execute(w, p)
}

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"both": both, "mark": bothMark, "time": bothTime, "grade": func(g event.Grade) string { return twice(gradeNames[g]) },
	"late":  func(d event.Duration) string { return twice([2]string{readers[0].lateBy(d), readers[1].lateBy(d)}) },
	"whose": func(d event.Duty, r event.EscalationRow) bool { return inTime(d.DueAt, r.ReceivedAt) },
	"span":  span, "removed": removedSpan,
	"isLate": func(t *pageTold) bool {
		return t.AcknowledgedAt != nil && t.StateAt(*t.AcknowledgedAt) == event.StateAcknowledgedLate
	},
}).Parse(exportPage))

// readers are those for whom a page is written, as two people at a terminal.
var readers = [2]*environment{{lang: "zh"}, {lang: "en"}}

// both says a word in Chinese and English.
func both(id string) string { return twice([2]string{readers[0].word(id), readers[1].word(id)}) }

func twice(w [2]string) string {
	if w[0] == w[1] {
		return w[0]
	}
	return w[0] + " " + w[1]
}

// bothMark marks every figure that was not read in the text itself.
func bothMark(c event.Confidence) string {
	if c == event.ConfidenceText {
		return ""
	}
	return "[" + both(string(c)) + "]"
}

func bothTime(t any) string {
	switch t := t.(type) {
	case *time.Time:
		if t != nil {
			return readers[0].time(t)
		}
	case time.Time:
		return readers[0].time(&t)
	}
	return "–"
}

// folder is where the text of a pack or register lies in the export.
func (r pageRule) Folder() string { return "rules/" + strings.ToLower(r.SHA256) + ".yaml" }
