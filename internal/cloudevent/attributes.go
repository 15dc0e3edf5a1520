package cloudevent

import (
	"math"
	"mime"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/event"
)

// The maximum length of an attribute, in characters. CloudEvents sets no limit; ours
// keeps a list of reports readable.
const (
	maxIDRunes     = 256 // id and subject
	maxSourceRunes = 1024
)

// checkAttributes checks the context attributes (CloudEvents 1.0.2, section 3) and
// returns the event that they describe, without its data. Type is empty unless it is one
// of ReportTypes.
func (e *envelope) checkAttributes(f *document.Faults) *Event {
	ev := new(Event)
	e.checkCase(f)
	if v, ok := e.text(f, "specversion", true, 0); ok && v != "1.0" {
		f.Add("$.specversion", `must be "1.0"`)
	}
	if v, ok := e.text(f, "id", true, maxIDRunes); ok {
		ev.ID = strings.Clone(v) // a clone, so that the text of the whole event can be freed
	}
	if v, ok := e.text(f, "subject", true, maxIDRunes); ok {
		ev.Subject = strings.Clone(v)
	}
	if v, ok := e.text(f, "source", true, maxSourceRunes); ok {
		if !isURIReference(v) {
			f.Add("$.source", "must be a URI-reference (RFC 3986)")
		}
		ev.Source = strings.Clone(v)
	}
	if v, ok := e.text(f, "type", true, 0); ok {
		if i := slices.Index(event.ReportTypes, v); i >= 0 {
			ev.Type = event.ReportTypes[i]
		} else {
			f.Add("$.type", "must be one of %s", strings.Join(event.ReportTypes, ", "))
		}
	}
	if v, ok := e.text(f, "time", false, 0); ok {
		var err error
		if ev.Time, err = event.ParseInstant(v); err != nil {
			f.Add("$.time", "%v", err)
		} else if strict, loose := event.StrictTime(v); loose {
			ev.Warnings = append(ev.Warnings, looseTime("$.time", v, strict))
		}
	}
	if v, ok := e.text(f, "datacontenttype", false, 0); ok && !isJSON(v) {
		f.Add("$.datacontenttype", "must be a JSON media type, such as application/json")
	}
	if v, ok := e.text(f, "dataschema", false, 0); ok {
		if u, err := url.Parse(v); err != nil || !u.IsAbs() || !isURIReference(v) {
			f.Add("$.dataschema", "must be an absolute URI (RFC 3986)")
		}
	}
	for i := range e.given {
		checkExtension(f, &e.given[i])
	}
	return ev
}

// text returns a string attribute that is set and well formed. A null counts as an
// attribute that is not set (JSON event format, section 2.2).
func (e *envelope) text(f *document.Faults, name string, required bool, maxRunes int) (string, bool) {
	n := new(document.Node)
	for i := range e.given {
		if e.given[i].Name == name {
			n = &e.given[i]
		}
	}
	s := n.Text
	switch {
	case slices.Contains(e.named, name): // a fault already names it
		return "", false
	case n.Type&^document.TypeNull == 0:
		if required {
			f.Add("$."+name, "is required")
		}
		return "", false
	case n.Type != document.TypeString:
		f.Add("$."+name, "must be a string")
	case s == "":
		f.Add("$."+name, "must not be empty")
	case hasControl(s):
		f.Add("$."+name, "must not contain control characters")
	case maxRunes > 0 && utf8.RuneCountInString(s) > maxRunes:
		f.Add("$."+name, "must have at most %d characters", maxRunes)
	default:
		return s, true
	}
	return "", false
}

var coreAttributes = []string{"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"}

// checkExtension checks the name and the type of an attribute that the CloudEvents core
// does not define (CloudEvents 1.0.2, section 3, "naming conventions" and "type system").
func checkExtension(f *document.Faults, n *document.Node) {
	if slices.Contains(coreAttributes, n.Name) {
		return
	}
	if !isAttributeName(n.Name) || n.Name == "data" {
		f.Add(document.AppendName("$", n.Name), "is not the name of an attribute: want lower-case letters and digits")
		return
	}
	switch n.Type {
	case document.TypeNull, document.TypeBoolean:
	case document.TypeString:
		if hasControl(n.Text) {
			f.Add(document.AppendName("$", n.Name), "must not contain control characters")
		}
	case document.TypeNumber:
		if n.Num != math.Trunc(n.Num) || n.Num < math.MinInt32 || n.Num > math.MaxInt32 {
			f.Add(document.AppendName("$", n.Name), "must be a whole number of 32 bits")
		}
	default:
		f.Add(document.AppendName("$", n.Name), "must be a string, a whole number, true or false: no list or object")
	}
}

func isAttributeName(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// hasControl reports whether s contains a character that the type String excludes: U+0000
// to U+001F, U+007F to U+009F, and noncharacters.
func hasControl(s string) bool {
	for _, r := range s {
		if unicode.IsControl(r) || r&0xFFFE == 0xFFFE || 0xFDD0 <= r && r <= 0xFDEF {
			return true
		}
	}
	return false
}

// isURIReference reports whether s is a URI-reference. It is stricter than url.Parse,
// which accepts spaces and any Unicode.
func isURIReference(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7F || strings.IndexByte(`"<>\^{|}`+"`", c) >= 0 {
			return false
		}
		if c == '%' && (i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2])) {
			return false
		}
	}
	_, err := url.Parse(s)
	return err == nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// isJSON reports whether a media type means JSON (JSON event format, section
// 3.1).
func isJSON(mediaType string) bool {
	if mediaType == "application/json" {
		return true
	}
	t, _, err := mime.ParseMediaType(mediaType)
	return err == nil && (t == "application/json" || t == "text/json" || strings.HasSuffix(t, "+json"))
}
