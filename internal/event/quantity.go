package event

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// Number is a count or an amount. In the first hour nobody knows the exact number, so it
// may be a lower bound: {"atLeast": 5000}.
type Number struct {
	Value   float64
	AtLeast bool // Value is a lower bound
}

// MarshalJSON writes a bare number, or {"atLeast": n} for a bound.
func (n Number) MarshalJSON() ([]byte, error) { return marshalBound(n.Value, n.AtLeast) }

// UnmarshalJSON reads a bare number or {"atLeast": n}.
func (n *Number) UnmarshalJSON(b []byte) error {
	return unmarshalBound(b, &n.Value, &n.AtLeast)
}

// Span is a length of time, exact or a lower bound, in ISO 8601: "PT6H" or
// {"atLeast": "PT2H"}.
type Span struct {
	Duration time.Duration
	AtLeast  bool // Duration is a lower bound
}

// MarshalJSON writes an ISO 8601 duration, or {"atLeast": d} for a bound.
func (s Span) MarshalJSON() ([]byte, error) {
	return marshalBound(FormatDuration(s.Duration), s.AtLeast)
}

// UnmarshalJSON reads an ISO 8601 duration or {"atLeast": d}.
func (s *Span) UnmarshalJSON(b []byte) error {
	var text string
	if err := unmarshalBound(b, &text, &s.AtLeast); err != nil {
		return err
	}
	d, err := ParseDuration(text)
	s.Duration = d
	return err
}

func marshalBound[T any](v T, atLeast bool) ([]byte, error) {
	if atLeast {
		return json.Marshal(struct {
			AtLeast T `json:"atLeast"`
		}{v}, JSON)
	}
	return json.Marshal(v, JSON)
}

func unmarshalBound[T any](b []byte, v *T, atLeast *bool) error {
	*atLeast = false
	if b = bytes.TrimSpace(b); len(b) == 0 || b[0] != '{' {
		return json.Unmarshal(b, v, JSON)
	}
	var bound struct {
		AtLeast *T `json:"atLeast"`
	}
	if err := json.Unmarshal(b, &bound, JSON); err != nil {
		return err
	}
	if bound.AtLeast == nil {
		return fmt.Errorf("a bound needs atLeast")
	}
	*v, *atLeast = *bound.AtLeast, true
	return nil
}

// Duration is a fixed length of time, in ISO 8601: "PT6H".
type Duration time.Duration

// MarshalText writes ISO 8601.
func (d Duration) MarshalText() ([]byte, error) { return []byte(FormatDuration(time.Duration(d))), nil }

// UnmarshalText reads ISO 8601.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// ParseDuration reads an ISO 8601 duration of fixed length: weeks, or days
// with hours, minutes and (fractional) seconds. Years and months are refused,
// because their length depends on the calendar.
func ParseDuration(s string) (time.Duration, error) {
	bad := func(why string) (time.Duration, error) {
		return 0, fmt.Errorf("%q is not an ISO 8601 duration such as PT90M or P1DT6H: %s", s, why)
	}
	rest, ok := strings.CutPrefix(s, "P")
	if !ok || rest == "" {
		return bad("it must begin with P and name a length")
	}
	units := []struct {
		letter byte
		length time.Duration
		clock  bool // comes after T
	}{
		{'W', 7 * 24 * time.Hour, false}, {'D', 24 * time.Hour, false},
		{'H', time.Hour, true}, {'M', time.Minute, true}, {'S', time.Second, true},
	}
	var total float64
	inClock, next := false, 0
	for rest != "" {
		if rest[0] == 'T' {
			if inClock || len(rest) == 1 {
				return bad("T may occur only once, before hours, minutes or seconds")
			}
			inClock, rest = true, rest[1:]
			continue
		}
		end := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' && r != ',' })
		if end <= 0 {
			return bad("a number and its unit are missing")
		}
		digits := strings.Replace(rest[:end], ",", ".", 1)
		n, err := strconv.ParseFloat(digits, 64)
		if err != nil || strings.HasPrefix(digits, ".") || strings.HasSuffix(digits, ".") {
			return bad("a number cannot be read")
		}
		letter := rest[end]
		if strings.Contains(digits, ".") && end+1 != len(rest) {
			return bad("only the last number may have a fraction")
		}
		i := next
		for i < len(units) && (units[i].letter != letter || units[i].clock != inClock) {
			i++
		}
		if i == len(units) {
			if letter == 'Y' || (letter == 'M' && !inClock) {
				return bad("years and months have no fixed length; give days")
			}
			return bad("a unit is unknown, twice or out of order")
		}
		total += n * float64(units[i].length)
		next, rest = i+1, rest[end+1:]
	}
	if next == 0 {
		return bad("it names no length")
	}
	if total > math.MaxInt64/2 {
		return bad("it is longer than a century and a half")
	}
	return time.Duration(math.Round(total)), nil
}

// FormatDuration writes a duration in ISO 8601, in days, hours, minutes and
// seconds: P1DT6H. Negative lengths have no ISO 8601 form and are written as
// zero.
func FormatDuration(d time.Duration) string {
	if d <= 0 {
		return "PT0S"
	}
	var b strings.Builder
	b.WriteByte('P')
	if days := d / (24 * time.Hour); days > 0 {
		fmt.Fprintf(&b, "%dD", days)
		d %= 24 * time.Hour
	}
	if d > 0 {
		b.WriteByte('T')
	}
	if h := d / time.Hour; h > 0 {
		fmt.Fprintf(&b, "%dH", h)
		d %= time.Hour
	}
	if m := d / time.Minute; m > 0 {
		fmt.Fprintf(&b, "%dM", m)
		d %= time.Minute
	}
	if d > 0 {
		b.WriteString(strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "S")
	}
	return b.String()
}
