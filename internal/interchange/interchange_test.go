package interchange

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/cloudevent"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

var plant = Options{Operator: "op-1", Facility: "plant"}

type importFunc func(io.Reader, Options, func([]byte) error) error

// run imports and returns the lines and the faults as "path: message".
func run(t testing.TB, f importFunc, o Options, input string) (lines, faults []string) {
	t.Helper()
	err := f(strings.NewReader(input), o, func(b []byte) error {
		lines = append(lines, string(b))
		return nil
	})
	for _, d := range fault.DetailsOf(err) {
		faults = append(faults, d.Path+": "+d.Message)
	}
	if err != nil {
		require.Equal(t, fault.Reject, fault.KindOf(err))
		require.NotEmpty(t, faults, "an error without a detail: %v", err)
	}
	return lines, faults
}

// accepted reads a line as intake would, and checks what every import owes.
func accepted(t testing.TB, line string) *cloudevent.Event {
	t.Helper()
	require.NotContains(t, line, "\n")
	e, err := cloudevent.Parse([]byte(line))
	require.NoError(t, err, line)
	r := e.Report
	require.Equal(t, event.TypeInitial, e.Type)
	require.Equal(t, "urn:tocsin:operator:op-1", e.Source)
	require.Equal(t, []string{"plant"}, r.Facilities)
	require.True(t, r.Imported)
	require.True(t, r.ContainsNoStateSecrets)
	require.NotNil(t, r.DiscoveredAt)
	require.True(t, r.DiscoveredAt.Equal(e.Time))
	require.NotEmpty(t, r.Title)
	require.LessOrEqual(t, utf8.RuneCountInString(r.Title), maxTitle)
	return e
}

// one imports an input of one incident.
func one(t testing.TB, f importFunc, o Options, input string) *cloudevent.Event {
	t.Helper()
	lines, faults := run(t, f, o, input)
	require.Empty(t, faults)
	require.Len(t, lines, 1)
	return accepted(t, lines[0])
}

// The bytes are part of the contract: an import repeated after years must be
// a duplicate, not a conflict.
func TestGolden(t *testing.T) {
	for name, f := range map[string]importFunc{"veris.jsonl": VERIS, "doe417.csv": DOE417} {
		input, err := os.ReadFile("testdata/" + name)
		require.NoError(t, err)
		base, _, _ := strings.Cut(name, ".")
		want, err := os.ReadFile("testdata/" + base + ".golden.jsonl")
		require.NoError(t, err)
		for range 3 {
			lines, faults := run(t, f, plant, string(input))
			require.Empty(t, faults)
			require.Equal(t, string(want), strings.Join(lines, "\n")+"\n")
		}
		for _, line := range strings.Split(strings.TrimSpace(string(want)), "\n") {
			accepted(t, line)
			require.NotContains(t, line, "must never appear")
		}
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want []string
	}{
		{Options{}, []string{"operator: is required", "facility: is required"}},
		{Options{Operator: "a/b", Facility: "f"}, []string{`operator: "a/b" cannot be the last segment of a source (RFC 3986)`}},
		{Options{Operator: "a b", Facility: "f"}, []string{`operator: "a b" cannot be the last segment of a source (RFC 3986)`}},
		{Options{Operator: "a", Facility: "\xff"}, []string{`facility: "\xff" is not UTF-8`}},
		{Options{Operator: "a", Facility: strings.Repeat("f", 251)}, []string{"facility: has more than 250 characters"}},
	} {
		for _, f := range []importFunc{VERIS, DOE417} {
			lines, faults := run(t, f, c.o, "")
			require.Empty(t, lines)
			require.Equal(t, c.want, faults)
		}
	}
}

func TestStopped(t *testing.T) {
	full := errors.New("disk full")
	for name, f := range map[string]importFunc{"veris.jsonl": VERIS, "doe417.csv": DOE417} {
		input, err := os.ReadFile("testdata/" + name)
		require.NoError(t, err)

		calls := 0
		err = f(bytes.NewReader(input), plant, func([]byte) error { calls++; return full })
		require.ErrorIs(t, err, full)
		require.Equal(t, 1, calls, "nothing more is emitted after emit failed")
		require.Equal(t, fault.Retry, fault.KindOf(err))

		torn := io.MultiReader(bytes.NewReader(input), iotest.ErrReader(io.ErrUnexpectedEOF))
		err = f(torn, plant, func([]byte) error { return nil })
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "a torn read is not the end of the input")
	}
	bad := strings.NewReader("17\n" + incidentLine(t, nil))
	err := VERIS(bad, plant, func([]byte) error { return full })
	require.ErrorIs(t, err, full)
	require.Len(t, fault.DetailsOf(err), 1, "faults up to the stop are told too")
}

func TestTitle(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"  two\r\n\twords\u00a0here\x00now ", "two words here now"},
		{strings.Repeat("警", 300), strings.Repeat("警", 200)},
		{strings.Repeat("a", 199) + " bcd", strings.Repeat("a", 199)},
		{strings.Repeat("a", 200), strings.Repeat("a", 200)},
		{"bad \xff byte", "bad \uFFFD byte"},
		{" \x01 ", ""},
	} {
		require.Equal(t, c.want, titleOf(c.in), fmt.Sprintf("%q", c.in))
	}
}
