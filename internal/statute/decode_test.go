package statute

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// minimal is a pack to which tests add lines.
const minimal = `id: test-pack
title: {zh: 试, en: Test}
source: nowhere
rank: {zh: 试, en: test}
effective: {from: 2025-01-01}
`

func faultsOf(t *testing.T, raw string) map[string]string {
	t.Helper()
	_, err := Decode([]byte(raw))
	require.Error(t, err)
	assert.Equal(t, fault.Reject, fault.KindOf(err))
	out := make(map[string]string)
	for _, d := range fault.DetailsOf(err) {
		out[d.Path] = d.Message
	}
	return out
}

func TestDecodeReportsEveryFault(t *testing.T) {
	got := faultsOf(t, `id: Test Pack
title: {zh: 试}
source: 7
rank: {zh: 试, en: test}
rank: {zh: 试, en: test}
effective: {from: 2025-01-01, until: 2024-01-01}
colour: red
criteria:
  - id: a
    grade: grave
    when: {all: [{fact: facts.weather, atLeast: 1}, {fact: facts.outage, where: {class: central}, atLeast: 6}]}
    fixtures: {hit: {report: {facts: {outages: []}}}}
  - id: a
    grade: major
    when: {fact: facts.directLoss, atLeast: 5}
duties:
  - id: d
    from: operator
    to: {role: cyberspace}
    act: shout
    clock: discovered
  - id: e
    from: departments
    to: operator
    act: report
    clock: discovered
    within: PT0S
`)
	for path, part := range map[string]string{
		"$.id":                                  "not an id",
		"$.title.en":                            "is required",
		"$.source":                              "want text",
		"$.rank":                                "used twice",
		"$.effective":                           "until must come after from",
		"$.colour":                              "unknown key",
		"$.criteria[1].id":                      `"a" is used twice`,
		"$.criteria[0].grade":                   "not a grade",
		"$.criteria[0].when.all[0].fact":        "unknown fact",
		"$.criteria[0].when.all[1].where.class": "unknown key",
		"$.criteria[0].when.all[1].atLeast":     "want text",
		"$.criteria[0].fixtures.hit.report":     "not a report",
		"$.criteria[1].when":                    "needs a currency",
		"$.duties[0].to.level":                  "need a level",
		"$.duties[0].act":                       "must be one of report, forward, notify, crime-notice, got \"shout\"",
		"$.duties[1].from":                      "departments and affected-persons have no desk",
		"$.duties[1].to":                        "an operator is told nothing",
		"$.duties[1].within":                    "no time at all",
	} {
		assert.Contains(t, got[path], part, path)
	}
}

func TestDecodeRefuses(t *testing.T) {
	criterion := func(when string) string {
		return minimal + "criteria:\n  - id: a\n    grade: major\n    when: " + when + "\n"
	}
	for what, raw := range map[string]string{
		"nothing":              ``,
		"two documents":        minimal + "---\n" + minimal,
		"a list":               `[1, 2]`,
		"an anchor":            strings.Replace(minimal, "{zh: 试, en: Test}", "&x {zh: 试, en: Test}", 1),
		"a tag":                strings.Replace(minimal, "nowhere", "!!str nowhere", 1),
		"a merge key":          minimal + "<<: {id: x}\n",
		"a number as a key":    minimal + "7: x\n",
		"too deep":             strings.Repeat("[", 100),
		"too long":             strings.Repeat("#", maxPackBytes+1),
		"two kinds at once":    criterion(`{all: [{judged: {from: major}}], any: [{judged: {from: major}}]}`),
		"no condition":         criterion(`{}`),
		"an empty list":        criterion(`{any: []}`),
		"three of two":         criterion(`{some: {atLeast: 3, of: [{judged: {from: major}}, {judged: {from: major}}]}}`),
		"no limit":             criterion(`{fact: facts.peopleAffected}`),
		"two limits":           criterion(`{fact: facts.peopleAffected, atLeast: 1, above: 1}`),
		"is, for a number":     criterion(`{fact: facts.peopleAffected, is: true}`),
		"at least, for a flag": criterion(`{fact: crimeSuspected, atLeast: 1}`),
		"a share above one":    criterion(`{fact: facts.populationShare, atLeast: 50}`),
		"a currency of people": criterion(`{fact: facts.peopleAffected, atLeast: 1, currency: CNY}`),
		"an unknown word":      criterion(`{fact: facts.dataThreat, atLeast: awful}`),
		"cii: false":           criterion(`{fact: facts.outage, where: {cii: false}, atLeast: PT1H}`),
		"a month":              criterion(`{fact: facts.outage, atLeast: P1M}`),
		"infinity":             criterion(`{fact: facts.peopleAffected, atLeast: .inf}`),
		"a region as a number": minimal + "criteria: [{id: a, grade: major, for: {region: 65}, when: {judged: {from: major}}}]\n",
	} {
		_, err := Decode([]byte(raw))
		assert.Error(t, err, what)
	}
}

func TestDecodeKeepsWhatItRead(t *testing.T) {
	p, err := Decode([]byte(minimal + `duties:
  - id: d
    for: {about: [incident, threat], region: "65", sector: [water], cii: true, central: false, grade: major}
    from: operator
    to: {role: cyberspace, level: own}
    act: report
    within: PT90M
    clock: discovered
    items: [title]
    citation: c
    quote: 引
    confidence: secondary
`))
	require.NoError(t, err)
	assert.Equal(t, "test-pack", p.ID)
	assert.Len(t, p.SHA256, 64)
	assert.True(t, p.Effective.From.Equal(time.Date(2024, 12, 31, 16, 0, 0, 0, time.UTC)))
	d := p.Duties[0]
	assert.Equal(t, "PT1H30M", d.Within.String())
	assert.Equal(t, Party{Role: RoleCyberspace, Level: LevelOwn}, d.To)
	assert.Equal(t, event.Major, d.For.Grade)
	assert.Equal(t, event.ConfidenceSecondary, d.Confidence)
}

func TestLoadNamesTheFileOfEachFault(t *testing.T) {
	_, err := Load(fstest.MapFS{
		"test-pack.yaml": {Data: []byte(minimal + "criteria: [{id: a, grade: major, when: {graded: {statute: elsewhere, from: major}}}]\n")},
		"other.yaml":     {Data: []byte("id: other\n")},
		"copy.yaml":      {Data: []byte(minimal)},
		"notes.txt":      {Data: []byte("not a pack")},
	})
	require.Error(t, err)
	for _, part := range []string{
		"other.yaml: $.source: is required", "other.yaml: $.effective: is required", `no pack "elsewhere" here`, "is also that of", "stands in a file test-pack.yaml",
	} {
		assert.ErrorContains(t, err, part)
	}
	_, err = Load(fstest.MapFS{})
	assert.Error(t, err)
}

func TestLoadRefusesAChainOfGrades(t *testing.T) {
	pack := func(id, statute string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(strings.Replace(minimal, "test-pack", id, 1) +
			"criteria: [{id: a, grade: major, when: {graded: {statute: " + statute + ", from: major}}}]\n")}
	}
	_, err := Load(fstest.MapFS{"a.yaml": pack("a", "b"), "b.yaml": pack("b", "a")})
	assert.ErrorContains(t, err, "one step is all that is allowed")
}

func TestSomeOf(t *testing.T) {
	p, err := Decode([]byte(minimal + `criteria:
  - id: two-of-three
    grade: major
    when:
      some:
        atLeast: 2
        of: [{fact: facts.peopleAffected, atLeast: 10}, {fact: facts.systemLoss, above: none}, {fact: crimeSuspected, is: true}]
`))
	require.NoError(t, err)
	s := newSet([]*Pack{p})
	for report, want := range map[string]Verdict{
		`{"facts":{"peopleAffected":10,"systemLoss":"serious"}}`:                               True,
		`{"facts":{"peopleAffected":10}}`:                                                      Unknown,
		`{"facts":{"peopleAffected":10,"systemLoss":"none"}}`:                                  Unknown,
		`{"facts":{"peopleAffected":10,"systemLoss":"none"},"crimeSuspected":false}`:           False,
		`{"facts":{"peopleAffected":9,"systemLoss":"none"}}`:                                   False,
		`{"facts":{"peopleAffected":{"atLeast":9},"systemLoss":"none"},"crimeSuspected":true}`: Unknown,
	} {
		v, _, _ := s.try(p, &p.Criteria[0], &Fixture{Case: caseOf(t, "records", report)})
		assert.Equal(t, want, v, report)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(minimal))
	c := caseOf(f, "station-3", withFacts(`"outage":[{"scope":"overall","since":"2026-03-01T07:00:00+08:00"}],"peopleAffected":5`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := Decode(raw)
		if err != nil {
			require.Equal(t, fault.Reject, fault.KindOf(err))
			require.NotEmpty(t, fault.DetailsOf(err))
			return
		}
		// A pack that decodes can be applied and read.
		again, err := Decode(p.Raw)
		require.NoError(t, err)
		require.Equal(t, p.SHA256, again.SHA256)
		s := newSet([]*Pack{p})
		a := s.Assess(c, t0)
		require.GreaterOrEqual(t, a.CouldBe, a.Grade)
		s.Owed(c, a, t0)
		for _, o := range s.FollowUps(c, a, t0) {
			require.NotEqual(t, o.Rule.Items == nil, len(o.Rule.Stages) == 0)
			require.Equal(t, o.Rule.Within == nil, o.Rule.Clock == "")
			if l := o.Rule.Within; l != nil {
				require.True(t, l.After(t0, p.Place(nil)).After(t0))
			}
		}
		c.Determined = &Determination{Grade: event.Major}
		require.GreaterOrEqual(t, s.Assess(c, t0).Grade, event.Major)
		c.Determined = nil
		s.Check()
		for i := range p.Criteria {
			require.NotEmpty(t, p.Criteria[i].When.String())
		}
	})
}
