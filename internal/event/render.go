package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// renderer is implemented by what is written for each report. It needs no reflection, and
// it copies JSON that was already parsed, which an encoder would parse twice more.
type renderer interface{ render() ([]byte, error) }

// Render encodes a value as JSON. Unlike encoding/json it does not escape <, > and & in
// what it writes itself.
func Render(v any) ([]byte, error) {
	if r, can := v.(renderer); can {
		return r.render()
	}
	return json.Marshal(v)
}

func (r Receipt) render() ([]byte, error) {
	size := 768
	if s := r.Signed; s != nil {
		size += 448 + 44*len(s.Path) + len(s.Certificate)
	}
	o := newObject(size)
	o.text("status", r.Status)
	o.text("operator", r.Operator)
	o.text("incident", r.Incident)
	o.text("report", r.Report)
	o.some("source", r.Source)
	o.some("type", r.Type)
	if r.Record != 0 {
		o.number("record", r.Record)
	}
	if r.Entry != nil {
		o.text("entry", r.Entry.String())
	}
	o.some("digest", r.Digest)
	o.moment("receivedAt", r.ReceivedAt)
	listed(o, "errors", r.Errors)
	listed(o, "warnings", r.Warnings)
	listed(o, "late", r.Late)
	o.mark("exercise", r.Exercise)
	o.some("durability", r.Durability)
	if s := r.Signed; s != nil {
		o.object("signed", func(o *object) {
			o.some("format", s.Format)
			if len(s.Nonce) > 0 {
				o.text("nonce", base64.StdEncoding.EncodeToString(s.Nonce))
			}
			o.text("key", s.Key)
			o.text("signature", base64.StdEncoding.EncodeToString(s.Signature))
			o.number("index", s.Index)
			o.number("size", s.Size)
			if len(s.Path) > 0 {
				path, err := s.Path.MarshalText()
				o.fail(err)
				o.text("path", string(path))
			}
			o.some("certificate", s.Certificate)
		})
	}
	return o.done()
}

func (a *Accepted) render() ([]byte, error) {
	o := newObject(len(a.Event) + 768)
	o.text("operator", a.Operator)
	o.text("incident", a.Incident)
	o.text("report", a.Report)
	o.text("source", a.Source)
	o.text("type", a.Type)
	o.moment("sentAt", a.SentAt)
	o.time("receivedAt", a.ReceivedAt)
	o.text("digest", a.Digest)
	listed(o, "late", a.Late)
	listed(o, "warnings", a.Warnings)
	raw, err := Compact(a.Event)
	o.raw("event", raw, err)
	return o.done()
}

func (g *Graded) render() ([]byte, error) {
	o := newObject(3072 + 2560*len(g.Escalations))
	o.text("operator", g.Operator)
	o.text("incident", g.Incident)
	o.number("revision", uint64(g.Revision))
	o.moment("look", g.Look)
	listed(o, "held", g.Held)
	listed(o, "owed", g.Owed)
	list(o, "escalations", g.Escalations)
	o.number("through", g.Through)
	listed(o, "aside", g.Aside)
	o.object("cause", g.Cause.render)
	o.time("at", g.At)
	o.text("about", string(g.About))
	o.assessment(&g.Assessment)
	o.text("peak", g.Peak.String())
	o.object("change", g.Change.render)
	encoded(o, "withdrawal", g.Withdrawal)
	list(o, "facilities", g.Facilities)
	list(o, "duties", g.Duties)
	list(o, "told", g.Told)
	o.object("rules", g.Rules.render)
	o.object("state", g.State.render)
	return o.done()
}

func (o *object) assessment(a *Assessment) {
	o.text("grade", a.Grade.String())
	o.text("couldBe", a.CouldBe.String())
	if a.Statutes == nil {
		o.null("statutes")
	} else {
		o.list("statutes", len(a.Statutes), func(i int) {
			s := a.Statutes[i]
			o.text("statute", s.Statute)
			o.text("grade", s.Grade.String())
			o.text("computed", s.Computed.String())
			o.text("couldBe", s.CouldBe.String())
		})
	}
	encoded(o, "own", a.Own)
	list(o, "hits", a.Hits)
	o.couldBeIf(a.CouldBeIf)
	o.next(a.Next)
}

func (o *object) next(n *Next) {
	if n == nil {
		o.null("next")
		return
	}
	o.object("next", func(o *object) {
		o.stamp("at", &n.At)
		o.text("grade", n.Grade.String())
	})
}

func (o *object) couldBeIf(missing []Missing) {
	if len(missing) > 0 {
		o.list("couldBeIf", len(missing), func(i int) {
			o.text("grade", missing[i].Grade.String())
			o.texts("facts", missing[i].Facts)
		})
	}
}

func (e Escalated) render() ([]byte, error) {
	o := newObject(len(e.Report) + 3072)
	o.text("escalation", e.ID)
	o.text("desk", e.Desk)
	o.text("operator", e.Operator)
	o.text("incident", e.Incident)
	o.number("revision", uint64(e.Revision))
	o.text("about", string(e.About))
	o.text("grade", e.Grade.String())
	o.text("couldBe", e.CouldBe.String())
	o.text("peak", e.Peak.String())
	encoded(o, "own", e.Own)
	o.next(e.Next)
	o.object("change", e.Change.render)
	encoded(o, "withdrawal", e.Withdrawal)
	o.text("from", e.From)
	o.text("act", string(e.Act))
	list(o, "duties", e.Duties)
	listed(o, "standing", e.Standing)
	o.maybe("dueAt", e.DueAt)
	o.time("reportedAt", e.ReportedAt)
	o.flag("late", e.Late)
	o.maybe("acknowledgeBy", e.AcknowledgeBy)
	o.flag("exercise", e.Exercise)
	o.mark("imported", e.Imported)
	o.flag("designated", e.Designated)
	list(o, "facilities", e.Facilities)
	list(o, "hits", e.Hits)
	o.couldBeIf(e.CouldBeIf)
	if len(e.Report) > 0 {
		raw, err := Compact(e.Report)
		o.raw("report", raw, err)
	}
	listed(o, "owed", e.Owed)
	listed(o, "held", e.Held)
	encoded(o, "determined", e.Determined)
	encoded(o, "transfer", e.Transfer)
	encoded(o, "notice", e.Notice)
	encoded(o, "unhandled", e.Unhandled)
	o.object("cause", e.Cause.render)
	o.object("rules", e.Rules.render)
	return o.done()
}

func (c *Cause) render(o *object) {
	o.number("record", c.Record)
	o.text("type", c.Type)
	o.some("report", c.Report)
	o.time("at", c.At)
	o.moment("sentAt", c.SentAt)
	listed(o, "outdated", c.Outdated)
	o.some("desk", c.Desk)
	o.some("officer", c.Officer)
	o.texts("changed", c.Changed)
}

func (c *Change) render(o *object) {
	o.text("from", c.From.String())
	o.text("to", c.To.String())
	o.text("kind", c.Kind)
	o.some("reason", c.Reason)
	listed(o, "lost", c.Lost)
	listed(o, "gained", c.Gained)
}

func (r *Rules) render(o *object) {
	if r.Packs == nil {
		o.null("packs")
	} else {
		o.object("packs", func(o *object) {
			for _, id := range slices.Sorted(maps.Keys(r.Packs)) {
				o.text(id, r.Packs[id])
			}
		})
	}
	o.text("register", r.Register)
}

// MarshalJSON writes the known facts, sorted by path. A fact of the last report that
// upholds the incident, as most are, is written without its stamp, which is that of
// "reported".
func (s State) MarshalJSON() ([]byte, error) {
	o := newObject(2048)
	s.render(o)
	return o.done()
}

func (s *State) render(o *object) {
	o.object("fields", func(o *object) {
		for _, path := range s.paths() {
			f := s.Fields[path]
			o.object(path, func(o *object) { f.render(o, s.Reported) })
		}
	})
	o.field("reported", &s.Reported)
	o.field("withdrawn", &s.Withdrawn)
	o.mark("archived", s.Archived)
	o.mark("live", s.Live)
	o.field("final", &s.Final)
	encoded(o, "determined", s.Determined)
	listed(o, "asked", s.Asked)
	listed(o, "confirmed", s.Confirmed)
	listed(o, "transferred", s.Transferred)
}

// paths returns the paths of the facts, sorted.
func (s *State) paths() []string {
	paths := make([]string, 0, len(s.Fields))
	for path := range s.Fields {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// field writes a fact with its stamp, if it is set.
func (o *object) field(name string, f *Field) {
	if f.Record != 0 || !f.At.IsZero() || f.Value != nil {
		o.object(name, func(o *object) { f.render(o, Field{}) })
	}
}

// render writes a fact, with its stamp unless it is the same as that of same.
func (f *Field) render(o *object, same Field) {
	if len(f.Value) == 0 {
		o.null("value")
	} else {
		o.raw("value", f.Value, nil)
	}
	if f.Record != same.Record || !f.At.Equal(same.At) {
		o.time("at", f.At)
		o.number("record", f.Record)
	}
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *State) UnmarshalJSON(raw []byte) error {
	type plain State
	if err := json.Unmarshal(raw, (*plain)(s)); err != nil {
		return err
	}
	for path, f := range s.Fields {
		if f.Record == 0 && f.At.IsZero() {
			f.At, f.Record = s.Reported.At, s.Reported.Record
			s.Fields[path] = f
		}
	}
	return nil
}

// isPlain reports whether s is printable ASCII that needs no escapes in a JSON string.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7F || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// appendQuoted appends a text as JSON (RFC 8259 section 7).
func appendQuoted(out []byte, text string) []byte {
	if isPlain(text) {
		return append(append(append(out, '"'), text...), '"')
	}
	if !utf8.ValidString(text) {
		text = string([]rune(text)) // U+FFFD for each invalid byte
	}
	out = append(out, '"')
	for {
		n := strings.IndexFunc(text, isEscaped)
		if n < 0 {
			return append(append(out, text...), '"')
		}
		out = append(out, text[:n]...)
		switch c := text[n]; c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, `\n`...)
		default:
			out = fmt.Appendf(out, `\u%04x`, c)
		}
		text = text[n+1:]
	}
}

func isEscaped(r rune) bool { return r < ' ' || r == '"' || r == '\\' }

// Compact returns well-formed JSON without space between its tokens.
func Compact(raw json.RawMessage) (json.RawMessage, error) {
	if isCompact(raw) {
		return raw, nil
	}
	var out bytes.Buffer
	err := json.Compact(&out, raw)
	return out.Bytes(), err
}

func isCompact(raw []byte) bool {
	c := cutter{raw: raw, whole: true}
	for c.whole && c.at < len(raw) {
		switch {
		case c.next() == '"':
			c.text()
		case strings.IndexByte(jsonSpace, c.next()) >= 0:
			return false
		default:
			c.at++
		}
	}
	return c.whole
}
