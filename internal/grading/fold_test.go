package grading

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
	"github.com/tocsin-project/tocsin/internal/statute"
	"github.com/tocsin-project/tocsin/schemas"
)

var nine = time.Date(2026, 3, 2, 9, 0, 0, 0, time.FixedZone("CST", 8*3600))

// rulebook returns the embedded packs with the example register, in which text may be
// replaced; replace alternates old and new.
func rulebook(t testing.TB, replace ...string) Rulebook {
	t.Helper()
	packs, err := statute.Load(schemas.Statutes)
	require.NoError(t, err)
	raw, err := fs.ReadFile(schemas.Registers, "example.yaml")
	require.NoError(t, err)
	text := string(raw)
	for i := 0; i < len(replace); i += 2 {
		require.Contains(t, text, replace[i])
		text = strings.Replace(text, replace[i], replace[i+1], 1)
	}
	reg, err := register.Decode([]byte(text))
	require.NoError(t, err)
	return Rulebook{Statutes: packs, Register: reg}
}

// taken returns a report of grid-east as intake stores it.
func taken(kind, id string, received time.Time, data string) *event.Accepted {
	return &event.Accepted{
		Operator: "grid-east", Incident: "x", Report: id, Source: "urn:tocsin:operator:grid-east",
		Type: "tocsin.report." + kind + ".v1", ReceivedAt: received,
		Event: jsontext.Value(fmt.Sprintf(`{"id":%q,"data":{"containsNoStateSecrets":true,%s}}`, id, data)),
	}
}

const (
	onSite = `"facilities":["dispatch"],"discoveredAt":"2026-03-02T08:40:00+08:00"`
	short  = `"facts":{"outage":[{"scope":"overall","duration":"PT9M"}]}`
	large  = `"facts":{"outage":[{"scope":"overall","duration":"PT20M"}]}`
	major  = `"facts":{"outage":[{"scope":"overall","duration":"PT2H"}]}`
)

// values that a report may give to a path; "" leaves it out.
var values = map[string][]string{
	"title": {"", `"A"`, `"B"`, `null`}, "cause": {"", `"C"`, `"D"`, `null`},
	"ownGrade": {"", "", `"general"`, `"relatively-large"`, `"major"`, `"especially-grave"`, `null`},
	"about":    {"", "", "", `"incident"`, `"threat"`}, "crimeSuspected": {"", `true`, `false`, `null`},
	"facilities":   {"", "", `["dispatch"]`, `["office-portal"]`, `["dispatch","office-portal"]`},
	"discoveredAt": {"", `"2026-03-02T08:40:00+08:00"`, `"2026-03-02T10:40:00+08:00"`, `null`},
	"imported":     {"", "", "", "", "", `true`},
}

var factValues = map[string][]string{
	"outage": {"", `[]`, `null`, `[{"scope":"overall","duration":"PT20M"}]`, `[{"scope":"overall","duration":"PT2H"}]`,
		`[{"scope":"main-function","since":"2026-03-02T08:00:00+08:00"}]`},
	"peopleAffected": {"", `5`, `{"atLeast":1000000}`, `20000000`, `null`},
	"dataThreat":     {"", `"none"`, `"serious"`, `null`},
}

// anyReport draws the i-th report of an incident, received near nine and sent at any
// time.
func anyReport(t *rapid.T, i int) *event.Accepted {
	label := func(s string) string { return fmt.Sprint(s, " ", i) }
	draw := func(from map[string][]string) (members []string) {
		for _, path := range slices.Sorted(mapKeys(from)) {
			if v := rapid.SampledFrom(from[path]).Draw(t, label(path)); v != "" {
				members = append(members, fmt.Sprintf("%q:%s", path, v))
			}
		}
		return members
	}
	members := draw(values)
	if facts := draw(factValues); len(facts) > 0 {
		members = append(members, `"facts":{`+strings.Join(facts, ",")+"}")
	}
	kind := rapid.SampledFrom([]string{"initial", "progress", "progress", "progress", "final", "withdrawal"}).Draw(t, label("kind"))
	if kind == "withdrawal" {
		members = append(members, `"reason":"false-alarm"`)
	}
	minute := func(s string) time.Time {
		return nine.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, label(s))) * time.Minute)
	}
	a := taken(kind, fmt.Sprint("r", i), minute("received"), `"other":"x",`+strings.Join(members, ","))
	a.Event = jsontext.Value(strings.Replace(string(a.Event), ",}}", "}}", 1))
	if rapid.Bool().Draw(t, label("timed")) {
		sent := minute("sent")
		a.SentAt = &sent
	}
	return a
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func anyReports(t *rapid.T, most int) []*event.Accepted {
	reports := make([]*event.Accepted, rapid.IntRange(1, most).Draw(t, "reports"))
	for i := range reports {
		reports[i] = anyReport(t, i)
	}
	return reports
}

// known folds reports in the given order; the ledger sequence of each is its place in the
// list, from 10 on.
func known(t require.TestingT, reports []*event.Accepted, order []int) event.State {
	var s event.State
	for _, i := range order {
		var err error
		s, _, err = fold(s, uint64(10+i), reports[i])
		require.NoError(t, err)
	}
	return s
}

func TestTheOrderOfFoldingDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reports := anyReports(t, 6)
		order := make([]int, len(reports))
		for i := range order {
			order[i] = i
		}
		want := known(t, reports, order)
		order = rapid.Permutation(order).Draw(t, "order")
		require.Equal(t, want, known(t, reports, order))
		twice := append(slices.Clone(order), order[0])
		require.Equal(t, want, known(t, reports, twice), "nor does a repeat")
		require.Equal(t, want.IsWithdrawn(), known(t, reports, order).IsWithdrawn())
	})
}

func TestFoldKeepsWhereEachFactComesFrom(t *testing.T) {
	s := known(t, []*event.Accepted{
		taken("initial", "r1", nine, onSite+`,"title":"A","facts":{"peopleAffected":5,"outage":[ {"scope" : "overall","duration":"PT1H"} ]}`),
		taken("progress", "r2", nine.Add(time.Minute), `"facts":{"peopleAffected":null}`),
	}, []int{0, 1})
	require.Equal(t, event.Field{Value: jsontext.Value(`"A"`), At: nine.UTC(), Record: 10}, s.Fields["title"])
	require.Equal(t, event.Field{Value: jsontext.Value(`null`), At: nine.Add(time.Minute).UTC(), Record: 11}, s.Fields["facts.peopleAffected"])
	require.JSONEq(t, `[{"scope":"overall","duration":"PT1H"}]`, string(s.Fields["facts.outage"].Value), "a list is replaced whole")
	require.NotContains(t, s.Fields, "containsNoStateSecrets")

	_, changed, err := fold(s, 12, taken("progress", "r3", nine.Add(time.Hour), `"title":"A","cause":"B","facts":{"outage":[{"scope":"overall","duration":"PT1H"}]}`))
	require.NoError(t, err)
	require.Equal(t, []string{"cause"}, changed, "the same again changes nothing")
}

// A report may write a time loosely; the merged facts have it strictly, so that every
// later reader can decode it.
func TestFold_WritesTimesStrictly(t *testing.T) {
	s := known(t, []*event.Accepted{
		taken("initial", "r1", nine, `"facilities":["dispatch"],"discoveredAt":"2026-03-02t00:59:00z","title":"2026-03-02t00:59:00z","facts":{"outage":[{"scope":"overall","since":"2016-12-31T23:59:60Z"}]}`),
	}, []int{0})
	require.JSONEq(t, `"2026-03-02T00:59:00Z"`, string(s.Fields["discoveredAt"].Value))
	require.JSONEq(t, `"2026-03-02t00:59:00z"`, string(s.Fields["title"].Value), "text is no time")
	require.JSONEq(t, `[{"scope":"overall","since":"2017-01-01T00:00:00Z"}]`, string(s.Fields["facts.outage"].Value))
}

func TestAWithdrawalStandsUntilALaterReport(t *testing.T) {
	reports := []*event.Accepted{
		taken("initial", "r1", nine, onSite),
		taken("withdrawal", "r2", nine.Add(10*time.Minute), `"reason":"duplicate","duplicateOf":"y"`),
		taken("progress", "r3", nine.Add(20*time.Minute), `"cause":"late, but written before"`),
		taken("progress", "r4", nine.Add(30*time.Minute), `"cause":"no"`),
	}
	before := nine.Add(5 * time.Minute)
	reports[2].SentAt = &before
	require.False(t, known(t, reports, []int{0}).IsWithdrawn())
	withdrawn := known(t, reports, []int{0, 1, 2})
	require.True(t, withdrawn.IsWithdrawn())
	require.JSONEq(t, `{"reason":"duplicate","duplicateOf":"y"}`, string(withdrawn.Withdrawn.Value))
	require.NotContains(t, withdrawn.Fields, "reason", "it speaks of the report, not of the incident")
	require.False(t, known(t, reports, []int{0, 1, 2, 3}).IsWithdrawn())

	// Without a reason, another text of the report serves as one.
	for _, field := range []string{"cause", "other"} {
		s := known(t, []*event.Accepted{taken("withdrawal", "r", nine, fmt.Sprintf(`%q:"a test"`, field))}, []int{0})
		require.JSONEq(t, `{"reason":"a test"}`, string(s.Withdrawn.Value))
	}
}
