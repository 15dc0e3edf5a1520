package statute

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// text reads a text that is not blank.
func (n node) text() string {
	before := n.Faults()
	s := n.Text()
	if strings.TrimSpace(s) == "" && n.Faults() == before {
		n.fail("want text, not an empty one")
	}
	return s
}

var (
	idPattern     = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	regionPattern = regexp.MustCompile(`^[0-9]{2,6}$`)
)

func (n node) id() string {
	s := n.text()
	if s != "" && (!idPattern.MatchString(s) || len(s) > 64) {
		n.fail("%q is not an id: want lower-case words joined by hyphens, 64 characters at most", s)
	}
	return s
}

func (n node) region() string {
	s := n.text()
	if s != "" && !regionPattern.MatchString(s) {
		n.fail("%q is not a GB/T 2260 code or its beginning", s)
	}
	return s
}

func (n node) boolean() bool { return n.Bool() }

func (n node) booleanRef() *bool {
	b := n.boolean()
	return &b
}

func (n node) number() float64 { return n.Number() }

func (n node) duration() time.Duration {
	s := n.text()
	if s == "" {
		return 0
	}
	d, err := event.ParseDuration(s)
	if err != nil {
		n.fail("%v", err)
	}
	return d
}

// date reads a calendar date as its first instant at +08:00.
func (n node) date() time.Time {
	s := n.text()
	if s == "" {
		return time.Time{}
	}
	t, err := time.ParseInLocation(time.DateOnly, s, event.Beijing)
	if err != nil {
		n.fail("%q is not a calendar date such as 2025-11-01", s)
	}
	return t
}

func (n node) instant() time.Time {
	s := n.text()
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		n.fail("%q is not an RFC 3339 time", s)
	}
	return t
}

func (n node) grade() event.Grade {
	s := n.text()
	if s == "" {
		return event.Ungraded
	}
	g, err := event.ParseGrade(s)
	if err != nil || g == event.Ungraded {
		n.fail("%q is not a grade: want especially-grave, major, relatively-large or general", s)
	}
	return g
}

// oneOf reads one word of a closed list.
func oneOf[T ~string](words ...T) func(node) T {
	return func(n node) T {
		s := T(n.text())
		if s != "" && !slices.Contains(words, s) {
			n.fail("%q is unknown: want one of %s", s, joinWords(words))
		}
		return s
	}
}

func joinWords[T ~string](words []T) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}
