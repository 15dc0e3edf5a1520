package statutecmd

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// line is a line of a pack as a lawyer reads it: its id after what it is, and what it
// says, in a fixed order.
type line struct {
	path   string // such as duties/ID, as in what check finds
	fields []field
}

// field is one statement of a line, by its key: what diff compares.
type field struct{ key, text string }

// describe returns the lines of a pack, of which the first is the pack itself, in the
// language of the user.
func (e environment) describe(p *statute.Pack) []line {
	lines := []line{e.describePack(p)}
	add := func(kind, id string, citation, quote string, c event.Confidence, note statute.Text, fields ...field) {
		fields = append(fields, field{"citation", e.Citation(citation, p.CitationsZH[citation])}, field{"quote", quote},
			field{"confidence", e.Word(string(c))}, field{"note", e.text(note)})
		lines = append(lines, line{kind + "/" + id, said(fields)})
	}
	for _, c := range p.Criteria {
		add("criteria", c.ID, c.Citation, c.Quote, c.Confidence, c.Note,
			field{"grade", e.GradeName(c.Grade)}, field{"for", e.scope(&c.For)}, field{"when", p.Describe(c.When, e)})
	}
	for _, d := range p.Duties {
		add("duties", d.ID, d.Citation, d.Quote, d.Confidence, d.Note,
			field{"for", e.scope(&d.For)}, field{"when", p.Describe(d.When, e)}, field{"from", e.party(d.From)}, field{"to", e.party(d.To)},
			field{"act", e.Word(string(d.Act))}, field{"within", e.terms(d.Terms)},
			field{"items", e.items(d.Items)}, field{"manual", e.yes(d.Manual)})
	}
	for _, f := range p.FollowUps {
		add("followUps", f.ID, f.Citation, f.Quote, f.Confidence, f.Note,
			field{"for", e.scope(&f.For)}, field{"when", p.Describe(f.When, e)}, field{"items", e.items(f.Items)},
			field{"report", e.stages(f.Stages)}, field{"within", e.recurring(f)})
	}
	if r := p.Retention; r != nil {
		add("retention", "records", r.Citation, r.Quote, r.Confidence, r.Note, field{"for", e.scope(&r.For)}, field{"keep", e.Limit(r.Keep.String())})
	}
	for _, f := range p.Facts {
		lines = append(lines, line{"facts/" + f.Path(), said([]field{{"title", e.text(f.Title)}, {"kind", f.Kind}, {"words", strings.Join(f.Words, ", ")}})})
	}
	for _, c := range p.Consequences {
		add("consequences", c.ID, c.Citation, c.Quote, c.Confidence, c.Note, field{"of", strings.Join(c.Of, ", ")}, field{"text", e.text(c.Text)})
	}
	return lines
}

func (e environment) describePack(p *statute.Pack) line {
	force := p.Effective.From.Format(time.DateOnly)
	if until := p.Effective.Until; !until.IsZero() {
		force += " – " + until.Format(time.DateOnly)
	}
	return line{"pack/" + p.ID, said([]field{
		{"title", e.text(p.Title)}, {"source", p.Source}, {"rank", e.text(p.Rank)}, {"effective", force},
		{"jurisdiction", p.Jurisdiction}, {"zone", p.Zone}, {"calendar", p.Calendar}, {"text", p.SourceFile}, {"note", e.text(p.Note)},
	})}
}

// said leaves out what a line does not say.
func said(fields []field) (out []field) {
	for _, f := range fields {
		if f.text != "" {
			out = append(out, f)
		}
	}
	return out
}

// pack prints a pack.
func (e environment) pack(p *statute.Pack) {
	for _, l := range e.describe(p) {
		fmt.Fprintf(e.Out, "%s\n", l.path)
		for _, f := range l.fields {
			fmt.Fprintf(e.Out, "  %s: %s\n", e.Word("field-"+f.key), f.text)
		}
		fmt.Fprintln(e.Out)
	}
	fmt.Fprintf(e.Out, "SHA-256 %s\n", p.SHA256)
}

// scope prints the cases that a line is about.
func (e environment) scope(s *statute.Scope) string {
	var parts []string
	for _, about := range s.About {
		parts = append(parts, e.Word("about-"+string(about)))
	}
	if s.Grade != event.Ungraded {
		parts = append(parts, fmt.Sprintf(e.Word("grade-from"), e.GradeName(s.Grade)))
	}
	if s.Region != "" {
		parts = append(parts, e.Word("of-region")+" "+s.Region)
	}
	if s.Sector != nil {
		parts = append(parts, e.Word("of-sector")+" "+strings.Join(s.Sector, ", "))
	}
	if s.Except != nil {
		parts = append(parts, fmt.Sprintf(e.Word("except-sector"), strings.Join(s.Except, ", ")))
	}
	if s.OwnIncident {
		parts = append(parts, e.Word("own-incident"))
	}
	if s.CII != nil {
		parts = append(parts, e.Word(map[bool]string{true: "is-cii", false: "no-cii"}[*s.CII]))
	}
	if s.Central != nil {
		parts = append(parts, e.Word(map[bool]string{true: "is-central", false: "no-central"}[*s.Central]))
	}
	return strings.Join(parts, e.Word("list-and"))
}

// party prints one end of a duty.
func (e environment) party(p statute.Party) string {
	text := e.Word("party-" + string(p.Role))
	if p.Level != "" {
		text += e.Word("list-and") + e.Word("at-"+string(p.Level))
	}
	if p.Of == statute.RoleOperator {
		text += e.Word("list-and") + e.Word("of-operators-place")
	}
	return text
}

func (e environment) yes(is bool) string {
	if is {
		return e.Word("yes")
	}
	return ""
}

// items prints the names of items of a report.
func (e environment) items(paths []string) string {
	names := make([]string, len(paths))
	for i, path := range paths {
		names[i] = e.text(statute.NameOf(path))
	}
	return strings.Join(names, e.Word("list-and"))
}

// stages prints stages of which any is enough.
func (e environment) stages(list []string) string {
	names := make([]string, len(list))
	for i, stage := range list {
		names[i] = e.Stage(stage)
	}
	return strings.Join(names, " / ")
}

// terms prints limits with what they count from, of which the first to end counts.
func (e environment) terms(terms []statute.Term) string {
	if len(terms) == 0 {
		return e.Word("promptly")
	}
	texts := make([]string, len(terms))
	for i, t := range terms {
		texts[i] = e.Limit(t.Within.String()) + " (" + e.clock(t.Clock) + ")"
	}
	return strings.Join(texts, e.Word("or-earlier"))
}

// clock prints what a limit counts from.
func (e environment) clock(c statute.Clock) string {
	id, latest := c.Line()
	switch {
	case latest:
		return fmt.Sprintf(e.Word("clock-latest"), e.Stage(id))
	case id != "":
		return fmt.Sprintf(e.Word("clock-stage"), e.Stage(id))
	}
	return e.Word("clock-" + string(c))
}

// recurring prints the limits of a follow-up and whether it is owed again.
func (e environment) recurring(f statute.FollowUp) string {
	text := e.terms(f.Terms)
	switch {
	case f.OnRequest:
		return e.Word("on-request")
	case f.Every == nil:
		return text
	case f.Within == nil:
		return fmt.Sprintf(e.Word("every"), e.Limit(f.Every.String()))
	}
	return text + fmt.Sprintf(e.Word("then-every"), e.Limit(f.Every.String()))
}

func (e environment) text(t statute.Text) string { return e.Pick([2]string{t.ZH, t.EN}) }
