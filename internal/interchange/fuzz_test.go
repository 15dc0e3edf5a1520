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

// Every incident of the input comes out or is named as bad: never both, never
// neither.
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
		if !bytes.HasPrefix(body, []byte("[")) {
			texts := 0
			for _, line := range bytes.Split(body, []byte("\n")) {
				if len(bytes.Trim(line, jsonSpace)) > 0 {
					texts++
				}
			}
			require.Equal(t, texts, len(lines)+wheres(faults, lineOf))
			return
		}
		var elements []json.RawMessage
		if json.Unmarshal(body, &elements) == nil {
			require.Equal(t, len(elements), len(lines)+wheres(faults, elementOf))
		} else {
			require.NotEmpty(t, faults)
		}
	})
}

// Every row with something in it is part of an incident or named as bad.
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

		rows := 0
		r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(input, []byte(utf8BOM))))
		r.FieldsPerRecord = -1
		for {
			cells, err := r.Read()
			if err == io.EOF {
				break
			}
			if err != nil || strings.TrimSpace(strings.Join(cells, "")) != "" {
				rows++
			}
		}
		bad := wheres(faults, rowOf)
		if len(lines) > 0 {
			require.LessOrEqual(t, len(lines)+bad, rows-1)
		}
		if rows > 1 && len(lines) == 0 {
			require.Positive(t, bad)
		}
	})
}
