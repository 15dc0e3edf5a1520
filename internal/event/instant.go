package event

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ParseInstant reads an RFC 3339 time with zone, including the forms that StrictTime
// rewrites. The years are bounded because records, indexes and clocks count nanoseconds
// in 64 bits.
func ParseInstant(s string) (time.Time, error) {
	t, err := parseDateTime(s)
	if err != nil {
		if strict, ok := StrictTime(s); ok {
			t, err = parseDateTime(strict)
		}
	}
	if err != nil {
		return t, err
	}
	if t = t.UTC(); t.Year() < 1970 || t.Year() > 2200 {
		return t, errors.New("must lie between the years 1970 and 2200")
	}
	return t, nil
}

func parseDateTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	// The library also accepts one-digit hours, a comma and zones of 24 hours.
	if err != nil || !isDateTime(s) {
		return t, errors.New("must be an RFC 3339 date and time with a zone, such as 2025-11-01T08:30:00+08:00")
	}
	return t, nil
}

// isDateTime reports whether s has the form of a date-time (RFC 3339, section 5.6), in
// upper case; time.Parse checks that the day exists.
func isDateTime(s string) bool {
	const form = "0000-00-00T00:00:00"
	if len(s) <= len(form) || !hasForm(s[:len(form)], form) {
		return false
	}
	zone := s[len(form):]
	if zone[0] == '.' {
		fraction := zone[1:]
		zone = strings.TrimLeft(fraction, "0123456789")
		if len(zone) == len(fraction) {
			return false
		}
	}
	return zone == "Z" || (hasForm(zone, "+00:00") || hasForm(zone, "-00:00")) && zone[1:3] < "24" && zone[4:] < "60"
}

// hasForm reports whether s matches form, in which a zero represents any digit.
func hasForm(s, form string) bool {
	if len(s) != len(form) {
		return false
	}
	for i := range len(form) {
		if digit := '0' <= s[i] && s[i] <= '9'; s[i] != form[i] && (form[i] != '0' || !digit) {
			return false
		}
	}
	return true
}

// StrictTime rewrites a time in the form that every reader accepts. RFC 3339 permits a
// lower-case t and z (section 5.6) and a leap second (section 5.7), which counts as the
// second after it. ok is false where s is already in the strict form or is not a time.
func StrictTime(s string) (strict string, ok bool) {
	const form = "0000-00-00?00:00:00"
	if len(s) <= len(form) || len(s) > 64 {
		return "", false
	}
	b := []byte(s)
	small := b[10] == 't' || b[len(b)-1] == 'z'
	leap := string(b[16:19]) == ":60"
	if !small && !leap {
		return "", false
	}
	if b[10] == 't' {
		b[10] = 'T'
	}
	if b[len(b)-1] == 'z' {
		b[len(b)-1] = 'Z'
	}
	if leap {
		copy(b[16:19], ":59")
	}
	t, err := parseDateTime(string(b))
	if err != nil {
		return "", false
	}
	if leap {
		return t.Add(time.Second).Format(time.RFC3339Nano), true
	}
	return string(b), true
}

// timeNames are the members of a report's data that are times.
var timeNames = []string{"discoveredAt", "occurredAt", "handledAt", "since", "until", "demandedAt", "at"}

// StrictTimeOf applies StrictTime to the member of a report's data with this name, if it is
// a time.
func StrictTimeOf(name, text string) (strict string, ok bool) {
	if len(text) < len("2006-01-02t15:04:05z") || !slices.Contains(timeNames, name) {
		return "", false
	}
	return StrictTime(text)
}

// StrictTimes returns the value of the member name of a report's data, with its times in
// the form that every reader accepts. A value without such a time is returned unchanged.
func StrictTimes(name string, raw jsontext.Value) jsontext.Value {
	if !mayHaveLooseTime(raw) {
		return raw
	}
	var tree any
	if json.Unmarshal(raw, &tree, JSON) != nil {
		return raw
	}
	out, err := json.Marshal(strictTree(name, tree), JSON)
	if err != nil {
		return raw
	}
	return out
}

// mayHaveLooseTime reports whether there may be a string that StrictTime rewrites. It is
// cheap.
func mayHaveLooseTime(raw []byte) bool {
	for {
		_, after, found := bytes.Cut(raw, []byte{'"'})
		if !found {
			return false
		}
		if len(after) > 19 && after[4] == '-' && after[13] == ':' && (after[10] == 't' || after[17] == '6' || bytes.IndexByte(after[:min(len(after), 64)], 'z') > 18) {
			return true
		}
		raw = after
	}
}

func strictTree(name string, tree any) any {
	switch v := tree.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = strictTree(key, value)
		}
	case []any:
		for i := range v {
			v[i] = strictTree("", v[i])
		}
	case string:
		if strict, ok := StrictTimeOf(name, v); ok {
			return strict
		}
	}
	return tree
}
