package interchange

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
)

// wheres counts the pieces of the input that faults name.
func wheres(faults []string, where *regexp.Regexp) int {
	seen := map[string]bool{}
	for _, f := range faults {
		seen[where.FindString(f)] = true
	}
	return len(seen)
}

var (
	lineOf    = regexp.MustCompile(`^line \d+`)
	elementOf = regexp.MustCompile(`\$\[\d+\]`)
	rowOf     = regexp.MustCompile(`^line \d+, row \d+`)
)

// Every incident of the input is imported or reported as bad: never both, never neither.
func FuzzVERIS(f *testing.F) {
	seed, err := os.ReadFile("testdata/veris.jsonl")
	require.NoError(f, err)
	f.Add(seed)
	f.Fuzz(func(t *testing.T, input []byte) {
		lines, faults := run(t, VERIS, plant, string(input))
		for _, line := range lines {
			accepted(t, line)
		}
		again, _ := run(t, VERIS, plant, string(input))
		require.Equal(t, lines, again)

		body := bytes.Trim(bytes.TrimPrefix(input, []byte(utf8BOM)), jsonSpace)
		var elements []jsontext.Value
		switch texts := linesOfObjects(body); {
		case texts >= 0:
			require.Equal(t, texts, len(lines)+wheres(faults, lineOf))
		case json.Unmarshal(body, &elements) == nil:
			require.Equal(t, len(elements), len(lines)+wheres(faults, elementOf))
		default:
			require.NotEmpty(t, append(lines, faults...))
		}

		// Whatever precedes it, a good incident on a line of its own is imported.
		good := `{"incident_id":"after the rest","timeline":{"incident":{"year":2020}}}`
		lines, _ = run(t, VERIS, plant, string(input)+"\n"+good)
		require.NotEmpty(t, lines)
		require.Contains(t, lines[len(lines)-1], "after the rest")
	})
}

// linesOfObjects counts the lines that are JSON objects; -1 when one is not.
func linesOfObjects(body []byte) int {
	n := 0
	for line := range bytes.Lines(body) {
		line = bytes.Trim(line, jsonSpace)
		switch {
		case len(line) == 0:
		case line[0] == '{' && json.Valid(line):
			n++
		default:
			return -1
		}
	}
	return n
}

// Every row that is not empty is part of an incident or reported as bad.
func FuzzDOE417(f *testing.F) {
	seed, err := os.ReadFile("testdata/doe417.csv")
	require.NoError(f, err)
	f.Add(seed)
	f.Fuzz(func(t *testing.T, input []byte) {
		lines, faults := run(t, DOE417, plant, string(input))
		subjects := map[string]bool{}
		for _, line := range lines {
			e := accepted(t, line)
			require.False(t, subjects[e.ID], "an event came out twice")
			subjects[e.ID] = true
		}
		again, _ := run(t, DOE417, plant, string(input))
		require.Equal(t, lines, again)

		rows, broken := 0, false
		r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(input, []byte(utf8BOM))))
		r.FieldsPerRecord = -1
		for {
			cells, err := r.Read()
			if err == io.EOF {
				break
			}
			broken = broken || err != nil
			if err != nil || strings.TrimSpace(strings.Join(cells, "")) != "" {
				rows++
			}
		}
		if len(lines) > 0 {
			require.LessOrEqual(t, len(lines)+wheres(faults, rowOf), rows-1)
		}
		if broken { // an open quotation mark takes the rest with it
			return
		}
		// Whatever precedes it, a table is imported.
		lines, _ = run(t, DOE417, plant, string(input)+"\n"+doeHead+doeRow(from, to, "after the rest", "c", "Severe Weather", "5"))
		require.NotEmpty(t, lines)
		require.Contains(t, strings.Join(lines, "\n"), "after the rest")
	})
}
