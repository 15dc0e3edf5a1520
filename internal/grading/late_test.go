package grading

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
)

func TestAReportThatComesLate(t *testing.T) {
	rb := rulebook(t)
	found := "2026-03-02T07:00:00+08:00"
	site := func(facilities string) string {
		return `"facilities":[` + facilities + `],"discoveredAt":"` + found + `",`
	}
	for name, row := range map[string]struct {
		operator, kind, data string
		want                 []string
	}{
		"CII, an hour was given":                   {"grid-east", "initial", site(`"dispatch"`) + large, []string{"art. 4 ¶2 1h0m0s"}},
		"major: the forward is not the operator's": {"grid-east", "initial", site(`"dispatch"`) + major, []string{"art. 4 ¶2 1h0m0s"}},
		"no CII, four hours":                       {"grid-east", "initial", site(`"office-portal"`) + `"facts":{"peopleAffected":100000}`, nil},
		"a central organ":                          {"ministry-portal", "initial", site(`"portal"`) + `"facts":{"peopleAffected":100000}`, nil},
		"general":                                  {"grid-east", "initial", site(`"dispatch"`) + short, nil},
		"a threat has no limits":                   {"grid-east", "initial", site(`"dispatch"`) + `"about":"threat","ownGrade":"especially-grave"`, nil},
		"an import":                                {"grid-east", "initial", site(`"dispatch"`) + `"imported":true,` + major, nil},
		"without a discovery":                      {"grid-east", "progress", ownFirst, nil},
		"a withdrawal":                             {"grid-east", "withdrawal", site(`"dispatch"`) + large + `,"reason":"test"`, nil},
		"Xinjiang says promptly":                   {"xj-hydro", "initial", site(`"station-3"`) + large, []string{"art. 4 ¶2 1h0m0s"}},
		"two of CII, one line each":                {"grid-east", "initial", site(`"dispatch","office-portal"`) + large, []string{"art. 4 ¶2 1h0m0s"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := taken(row.kind, "r1", nine, row.data)
			a.Operator = row.operator
			late, err := lateOf(rb, a)
			require.NoError(t, err)
			var got []string
			for _, l := range late {
				require.True(t, l.DueAt.Equal(nine.Add(-time.Duration(l.By))))
				require.Equal(t, event.ConfidenceSecondary, l.Confidence)
				got = append(got, l.Citation[len("Measures for Reporting Cybersecurity Incidents (2025), "):]+" "+time.Duration(l.By).String())
			}
			require.Equal(t, row.want, got)
		})
	}
	_, err := lateOf(rb, taken("initial", "r1", nine, site(`"nowhere"`)+large))
	require.ErrorContains(t, err, "nowhere")
}

// The limit is exact to the nanosecond: at the due time it is still in time.
func TestLateBeginsAfterTheDueTime(t *testing.T) {
	rb := rulebook(t)
	for after, want := range map[time.Duration]int{0: 0, -1: 0, 1: 1} {
		late, err := lateOf(rb, taken("initial", "r1", on("10:02").Add(after), dispatch+large))
		require.NoError(t, err)
		require.Len(t, late, want)
	}
}

// Late derives no more than the duties, and none for reports that cannot be late; it says
// what the first revision says, also of an outage that is dated after the receipt.
func TestPropertyLateIsWhatTheFirstRevisionSays(t *testing.T) {
	rb := rulebook(t)
	rapid.Check(t, func(t *rapid.T) {
		a := anyReport(t, 0)
		a.ReceivedAt = a.ReceivedAt.Add(rapid.SampledFrom(passes).Draw(t, "later"))
		if rapid.Bool().Draw(t, "ahead") {
			a.Event = jsontext.Value(strings.Replace(string(a.Event), "2026-03-02T08:00:00", "2026-03-04T08:00:00", 1))
		}
		late, err := lateOf(rb, a)
		require.NoError(t, err)
		g, err := rb.Revise(nil, cause(10, a), nil)
		require.NoError(t, err)
		lines := map[string]bool{}
		for _, d := range g.Duties {
			if d.From == a.Operator && d.DueAt != nil && a.ReceivedAt.After(*d.DueAt) && a.Type != event.TypeWithdrawal {
				lines[d.Citation+d.DueAt.String()] = true
			}
		}
		require.Len(t, late, len(lines))
	})
}

// lateOf calls Late with the report's data as intake has parsed them.
func lateOf(rb Rulebook, a *event.Accepted) ([]event.Lateness, error) {
	var e struct {
		Data event.Report `json:"data"`
	}
	if err := json.Unmarshal(a.Event, &e); err != nil {
		return nil, err
	}
	return rb.Late(a, &e.Data)
}

func reportOf(t *testing.T, a *event.Accepted) *event.Report {
	t.Helper()
	var e struct {
		Data event.Report `json:"data"`
	}
	require.NoError(t, json.Unmarshal(a.Event, &e))
	return &e.Data
}
