package event

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// RFC 3339 permits a lower-case t and z and leap seconds; they are read, with a warning.
func TestStrictTime(t *testing.T) {
	for given, want := range map[string]string{
		"2025-11-01t08:30:00Z":          "2025-11-01T08:30:00Z",
		"2025-11-01T08:30:00z":          "2025-11-01T08:30:00Z",
		"2025-11-01t08:30:00.25z":       "2025-11-01T08:30:00.25Z",
		"2025-11-01t08:30:00+08:00":     "2025-11-01T08:30:00+08:00",
		"2016-12-31T23:59:60Z":          "2017-01-01T00:00:00Z",
		"2016-12-31t23:59:60.5z":        "2017-01-01T00:00:00.5Z",
		"2017-01-01T07:59:60+08:00":     "2017-01-01T08:00:00+08:00",
		"2017-01-01T07:59:60.125+08:00": "2017-01-01T08:00:00.125+08:00",
		"1969-12-31T23:59:60Z":          "1970-01-01T00:00:00Z",
	} {
		strict, ok := StrictTime(given)
		require.True(t, ok, given)
		require.Equal(t, want, strict, given)
		got, err := ParseInstant(given)
		require.NoError(t, err, given)
		same, err := time.Parse(time.RFC3339Nano, want)
		require.NoError(t, err)
		require.True(t, got.Equal(same), given)
	}
	for _, given := range []string{
		"2025-11-01T08:30:00Z",
		"2025-11-01 08:30:00z",
		"2025-11-01T08:30:61Z",
		"2025-11-01T08:30:0zZ",
		"2025-02-29t08:30:00Z",
		"2025-11-01t08:30z",
		"2025-11-01t08:30:00",
		"2025-11-01t24:00:00z",
		"2025-11-01t08:60:60z",
		strings.Repeat("2", 100) + "z",
		"2025-11-01t08:30:00.1234567890",
	} {
		strict, ok := StrictTime(given)
		require.False(t, ok, "%q is read as %q", given, strict)
	}
}

func TestStrictTimes(t *testing.T) {
	for _, c := range []struct{ name, raw, want string }{
		{"discoveredAt", `"2025-11-01t08:30:00z"`, `"2025-11-01T08:30:00Z"`},
		{"title", `"2025-11-01t08:30:00z"`, `"2025-11-01t08:30:00z"`},
		{"facts.outage", `[{"scope":"overall","since":"2016-12-31T23:59:60Z"}]`, `[{"scope":"overall","since":"2017-01-01T00:00:00Z"}]`},
		{"facts.outage", `[ {"since": "2016-12-31T23:59:00Z"} ]`, `[ {"since": "2016-12-31T23:59:00Z"} ]`},
		{"cause", `"x"`, `"x"`},
	} {
		require.Equal(t, c.want, string(StrictTimes(c.name, jsontext.Value(c.raw))))
	}
}

var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

func TestIsDateTime(t *testing.T) {
	near := rapid.StringMatching(`[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.,][0-9]{0,4})?(Z|[+-][0-2][0-9]:[0-9]{2})`)
	tried, formed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		for range 10 {
			s := near.Draw(t, "near")
			if rapid.Bool().Draw(t, "damage") {
				i := rapid.IntRange(0, len(s)-1).Draw(t, "at")
				s = s[:i] + rapid.SampledFrom([]string{"", "0", "9", ":", "é", "\n", ".", "Z", "z", "t", " "}).Draw(t, "with") + s[i+1:]
			}
			require.Equal(t, rfc3339.MatchString(s), isDateTime(s), s)
			tried++
			if isDateTime(s) {
				formed++
			}
		}
	})
	require.Greater(t, formed, tried/10)
}
