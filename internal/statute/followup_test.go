package statute

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

func followUps(s *Set, c Case) (ids []string) {
	for _, o := range s.FollowUps(c, s.Assess(c, t0), t0) {
		ids = append(ids, o.Statute.ID+"/"+o.Rule.ID)
	}
	return ids
}

func TestFollowUpsOfTheMeasures(t *testing.T) {
	s := embedded(t).InForce(t0)
	both := []string{"cn-csirm-2025/supplement", "cn-csirm-2025/final-summary"}
	for _, row := range []struct {
		site, about, grade string
		want               []string
	}{
		{"dispatch", "incident", "general", nil},
		{"dispatch", "incident", "relatively-large", both},
		{"records", "incident", "especially-grave", both},
		{"portal", "incident", "major", both},
		{"station-3", "incident", "general", nil},
		{"station-3", "threat", "especially-grave", nil},
	} {
		c := caseOf(t, row.site, `{"about":"`+row.about+`","ownGrade":"`+row.grade+`"}`)
		assert.Equal(t, row.want, followUps(s, c), "%s %s %s", row.site, row.about, row.grade)
		c.Facilities = append(c.Facilities, facility("office-portal"))
		assert.Equal(t, row.want, followUps(s, c), "once, whatever the number of facilities")
	}
	// A grade that is only possible owes nothing.
	assert.Empty(t, followUps(s, caseOf(t, "dispatch", withFacts(`"outage":[{"scope":"overall","duration":{"atLeast":"PT9M"}}]`))))

	p, _ := s.Pack("cn-csirm-2025")
	final := p.FollowUps[1]
	assert.Equal(t, "P30D", final.Within.String())
	assert.Equal(t, ClockHandled, final.Clock)
	assert.Equal(t, []float64{0.5, 0.9}, final.Remind)
	assert.Equal(t, oneOrMore[string]{StageFinal}, final.Stages)
	supplement := p.FollowUps[0]
	assert.Nil(t, supplement.Within)
	assert.Equal(t, strings.Fields("place kind impact measures trend cause leads plan scene"), supplement.Items)
}

func TestFollowUpsAreTriggeredAsDutiesAre(t *testing.T) {
	p, err := Decode([]byte(minimal + `criteria:
  - {id: a, grade: major, when: {fact: facts.peopleAffected, atLeast: 10}}
followUps:
  - {id: region, for: {region: "65", when: {fact: crimeSuspected, is: true}}, items: [crimeReference]}
  - {id: energy, for: {about: [incident, threat], sector: [energy], cii: true}, items: [facts.directLoss], within: P1W, clock: reported}
  - {id: central, for: {central: true, grade: major}, report: final}
`))
	require.NoError(t, err)
	s := newSet([]*Pack{p})
	assert.Empty(t, followUps(s, caseOf(t, "records", `{"crimeSuspected":true}`)))
	assert.Empty(t, followUps(s, caseOf(t, "station-3", `{}`)), "not certain")
	assert.Equal(t, []string{"test-pack/region"}, followUps(s, caseOf(t, "station-3", `{"crimeSuspected":true}`)))
	assert.Equal(t, []string{"test-pack/energy"}, followUps(s, caseOf(t, "dispatch", `{"about":"threat"}`)))
	assert.Empty(t, followUps(s, caseOf(t, "office-portal", `{}`)))
	assert.Empty(t, followUps(s, caseOf(t, "portal", `{}`)))
	assert.Equal(t, []string{"test-pack/central"}, followUps(s, caseOf(t, "portal", withFacts(`"peopleAffected":10`))))
}

func TestDecodeReportsEveryFaultOfFollowUps(t *testing.T) {
	got := faultsOf(t, minimal+`duties:
  - {id: d, from: operator, to: protection, act: report, within: P1DT6H, clock: discovered}
followUps:
  - {id: a, items: [cause, weather, facts, facts.weather, reason], within: P1DT6H, clock: handled}
  - {id: a, items: [cause, cause], report: final, remind: [0.5]}
  - {id: c, within: P1D, remind: [0.9, 0.5, 1, .nan, x]}
  - {id: d, report: The end, clock: noon, when: {judged: {from: major}}, for: {colour: red}}
  - {id: e, items: [], clock: graded, confidence: sure}
  - {report: final, remind: [], within: P0D, clock: handled}
  - {id: f, report: status, onRequest: true, within: P1D, clock: handled, every: P7D}
  - {id: g, report: status, onRequest: false, within: P1D, clock: handled, every: P7D}
`)
	for path, part := range map[string]string{
		"$.duties[0].within":        "mixes days",
		"$.followUps[1].id":         `"a" is used twice`,
		"$.followUps[0].items[1]":   `is no item of a report: want paths such as cause or facts.directLoss, got "weather"`,
		"$.followUps[0].items[2]":   `got "facts"`,
		"$.followUps[0].items[3]":   "is no item of a report",
		"$.followUps[0].items[4]":   "is no item of a report",
		"$.followUps[0].within":     "mixes days",
		"$.followUps[1].items[1]":   "is given twice",
		"$.followUps[1].within":     "remind is a part of a time",
		"$.followUps[1]":            "one of items and report",
		"$.followUps[2].remind[1]":  "ascending",
		"$.followUps[2].remind[2]":  "below 1",
		"$.followUps[2].remind[3]":  "want a number",
		"$.followUps[2].remind[4]":  "want a number",
		"$.followUps[2].clock":      "within and clock go together",
		"$.followUps[2]":            "one of items and report",
		"$.followUps[3].report":     "is not an id",
		"$.followUps[3].clock":      "or stage/ID or latest/ID",
		"$.followUps[3].when":       "unknown key",
		"$.followUps[3].for.colour": "unknown key",
		"$.followUps[3].within":     "within and clock go together",
		"$.followUps[4].items":      "at least one",
		"$.followUps[4].within":     "within and clock go together",
		"$.followUps[4].confidence": `must be one of text, secondary, unverified, interpretation, got "sure"`,
		"$.followUps[5].remind":     "at least one",
		"$.followUps[5].within":     "no time at all",
		"$.followUps[5].id":         "is required",
		"$.followUps[6].within":     "the desk gives the time",
		"$.followUps[6].every":      "the desk asks again",
	} {
		assert.Contains(t, got[path], part, path)
	}
	assert.NotContains(t, got, "$.followUps[0].items[0]")
	assert.NotContains(t, got, "$.followUps[0]")
	assert.NotContains(t, got, "$.followUps[7].within", "it is not on request")
	assert.Contains(t, faultsOf(t, minimal+"followUps: [{id: a, within: P1D, clock: handled}]\n")["$.followUps[0]"], "one of items and report")
	assert.Contains(t, faultsOf(t, minimal+"followUps: [{id: a, items: [cause], report: final}]\n")["$.followUps[0]"], "one of items and report")
}

// The paths are those under which an incident keeps the facts of a report.
func TestReportPaths(t *testing.T) {
	for _, path := range []string{"cause", "ransom", "ownGrade", "facts.outage", "facts.otherThreat"} {
		assert.Contains(t, event.ReportPaths, path)
	}
	for _, path := range []string{"", "facts", "facts.", "imported", "Cause", "outage"} {
		assert.NotContains(t, event.ReportPaths, path)
	}
	assert.IsIncreasing(t, event.ReportPaths)
}

func TestCheckFollowUps(t *testing.T) {
	p, err := Decode([]byte(minimal + `citationsZh: {c: 引}
followUps:
  - {id: bare, items: [cause]}
  - {id: never, for: {grade: major}, report: final, citation: c, quote: 引, confidence: secondary}
`))
	require.NoError(t, err)
	var got []string
	for _, f := range newSet([]*Pack{p}).Check() {
		require.Equal(t, SeverityError, f.Severity)
		got = append(got, f.Path+": "+f.Message)
	}
	assert.Equal(t, []string{
		"followUps/bare: no citation", "followUps/bare: no quote", "followUps/bare: no confidence",
		"followUps/never: no criterion grades a " + string(event.AboutIncident) + ", so the follow-up never applies to one",
	}, got)
}

func BenchmarkFollowUps(b *testing.B) {
	s := embedded(b).InForce(t0)
	c := caseOf(b, "station-3", withFacts(`"outage":[{"scope":"overall","duration":"PT2H"}]`))
	a := s.Assess(c, t0)
	b.ReportAllocs()
	for b.Loop() {
		s.FollowUps(c, a, t0)
	}
}
