package statute

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

var t0 = time.Date(2026, 3, 1, 8, 0, 0, 0, event.Beijing)

// everywhere returns the packs of this repository.
func everywhere(t testing.TB) *Set {
	t.Helper()
	s, err := Load(os.DirFS("../../schemas/statutes"))
	require.NoError(t, err)
	return s
}

// embedded returns those that a register in China loads.
func embedded(t testing.TB) *Set { return everywhere(t).For([]string{Home}) }

// facility returns a facility by its name in the tests.
func facility(name string) Facility {
	return map[string]Facility{
		"dispatch":      {ID: "dispatch", Region: "310000", Sector: "energy", CII: true},
		"office-portal": {ID: "office-portal", Region: "310000", Sector: "energy"},
		"station-3":     {ID: "station-3", Region: "650100", Sector: "water", CII: true},
		"records":       {ID: "records", Region: "320100", Sector: "public services"},
		"portal":        {ID: "portal", Region: "110000", Sector: "e-government"},
	}[name]
}

// caseOf builds a case at one facility from a report's JSON.
func caseOf(t testing.TB, name, report string) Case {
	t.Helper()
	r, err := event.ParseReport([]byte(report))
	require.NoError(t, err)
	c := Case{Facilities: []Facility{facility(name)}, Report: r}
	switch name {
	case "station-3":
		c.Operator.Level = LevelPrefecture
	case "portal":
		c.Operator.Central = true
	}
	return c
}

func withFacts(facts string) string { return `{"facts":{` + facts + `}}` }

// The thresholds of the annex, written down a second time and independently
// of the pack. Each is tried at the limit, one unit below it, as a bound on
// both sides of it, and without the fact.
func TestAnnexThresholds(t *testing.T) {
	s := embedded(t).InForce(t0)
	const eg, mj, rl, gen = event.EspeciallyGrave, event.Major, event.RelativelyLarge, event.General
	for _, row := range []struct {
		fact       string // with %s for the value
		site       string
		at, below  string
		want, less event.Grade
	}{
		{`"siteUnreachable":{"owner":"party-government","level":"provincial","duration":%}`, "records", `"PT24H"`, `"PT23H59M59S"`, eg, mj},
		{`"siteUnreachable":{"owner":"party-government","level":"prefecture","duration":%}`, "records", `"PT6H"`, `"PT5H59M59S"`, mj, rl},
		{`"siteUnreachable":{"owner":"enterprise","duration":%}`, "records", `"PT2H"`, `"PT1H59M59S"`, rl, gen},
		{`"siteUnreachable":{"owner":"news","level":"central","duration":%}`, "records", `"PT24H"`, `"PT23H59M59S"`, eg, mj},
		{`"siteUnreachable":{"owner":"news","level":"provincial","duration":%}`, "records", `"PT6H"`, `"PT5H59M59S"`, mj, rl},
		{`"siteUnreachable":{"class":"central","duration":%}`, "records", `"PT24H"`, `"PT23H59M59S"`, eg, mj},
		{`"siteUnreachable":{"class":"provincial","duration":%}`, "records", `"PT6H"`, `"PT5H59M59S"`, mj, rl},
		{`"siteUnreachable":{"class":"other","duration":%}`, "records", `"PT2H"`, `"PT1H59M59S"`, rl, gen},
		{`"defacement":{"owner":"platform","size":"super-large","views":%}`, "records", `1000000`, `999999`, eg, mj},
		{`"defacement":{"owner":"platform","size":"large","views":%}`, "records", `100000`, `99999`, mj, rl},
		{`"defacement":{"owner":"platform","size":"other","views":%}`, "records", `10000`, `9999`, rl, gen},
		{`"outage":[{"scope":"overall","duration":%}]`, "dispatch", `"PT6H"`, `"PT5H59M59S"`, eg, mj},
		{`"outage":[{"scope":"overall","duration":%}]`, "dispatch", `"PT1H"`, `"PT59M59S"`, mj, rl},
		{`"outage":[{"scope":"overall","duration":%}]`, "dispatch", `"PT10M"`, `"PT9M59S"`, rl, gen},
		{`"outage":[{"scope":"main-function","duration":%}]`, "dispatch", `"PT24H"`, `"PT23H59M59S"`, eg, mj},
		{`"outage":[{"scope":"main-function","duration":%}]`, "dispatch", `"PT3H"`, `"PT2H59M59S"`, mj, rl},
		{`"outage":[{"scope":"main-function","duration":%}]`, "dispatch", `"PT30M"`, `"PT29M59S"`, rl, gen},
		{`"populationShare":[{"level":"province","region":"31","share":%}]`, "records", `0.5`, `0.4999`, eg, gen},
		{`"populationShare":[{"level":"prefecture","region":"3201","share":%}]`, "records", `0.5`, `0.4999`, mj, rl},
		{`"populationShare":[{"level":"prefecture","region":"3201","share":%}]`, "records", `0.3`, `0.2999`, rl, gen},
		{`"peopleAffected":%`, "records", `10000000`, `9999999`, eg, mj},
		{`"peopleAffected":%`, "records", `1000000`, `999999`, mj, rl},
		{`"peopleAffected":%`, "records", `100000`, `99999`, rl, gen},
		{`"personalInformationPersons":%`, "records", `100000000`, `99999999`, eg, mj},
		{`"personalInformationPersons":%`, "records", `10000000`, `9999999`, mj, rl},
		{`"personalInformationPersons":%`, "records", `1000000`, `999999`, rl, gen},
		{`"directLoss":{"amount":%,"currency":"CNY"}`, "records", `100000000`, `99999999.99`, eg, mj},
		{`"directLoss":{"amount":%,"currency":"CNY"}`, "records", `20000000`, `19999999.99`, mj, rl},
		{`"directLoss":{"amount":%,"currency":"CNY"}`, "records", `5000000`, `4999999.99`, rl, gen},
		{`"defacement":{"owner":"news","level":"central","page":"home","duration":%}`, "records", `"PT6H"`, `"PT5H59M59S"`, eg, mj},
		{`"defacement":{"owner":"news","level":"central","page":"other","duration":%}`, "records", `"PT24H"`, `"PT23H59M59S"`, eg, mj},
		{`"defacement":{"owner":"party-government","level":"prefecture","page":"home","duration":%}`, "records", `"PT2H"`, `"PT1H59M59S"`, mj, rl},
		{`"defacement":{"owner":"party-government","level":"prefecture","page":"other","duration":%}`, "records", `"PT12H"`, `"PT11H59M59S"`, mj, rl},
		{`"defacement":{"owner":"enterprise","page":"home","duration":%}`, "records", `"PT30M"`, `"PT29M59S"`, rl, gen},
		{`"defacement":{"owner":"enterprise","page":"other","duration":%}`, "records", `"PT2H"`, `"PT1H59M59S"`, rl, gen},
		{`"defacement":{"owner":"party-government","level":"provincial","reposts":%}`, "records", `100000`, `99999`, eg, mj},
		{`"defacement":{"owner":"party-government","level":"prefecture","reposts":%}`, "records", `10000`, `9999`, mj, rl},
		{`"defacement":{"owner":"enterprise","reposts":%}`, "records", `1000`, `999`, rl, gen},
		{`"defacement":{"owner":"party-government","level":"provincial","views":%}`, "records", `1000000`, `999999`, eg, mj},
		{`"defacement":{"owner":"party-government","level":"prefecture","views":%}`, "records", `100000`, `99999`, mj, rl},
		{`"defacement":{"owner":"enterprise","views":%}`, "records", `10000`, `9999`, rl, gen},
	} {
		grade := func(value string) (g, couldBe event.Grade) {
			a := s.Assess(caseOf(t, row.site, withFacts(replace(row.fact, value))), t0)
			return under(a, "cn-csirm-2025").Computed, under(a, "cn-csirm-2025").CouldBe
		}
		name := replace(row.fact, row.at)
		g, _ := grade(row.at)
		assert.Equal(t, row.want, g, name)
		g, _ = grade(row.below)
		assert.Equal(t, row.less, g, "below: %s", name)
		g, _ = grade(`{"atLeast":` + row.at + `}`)
		assert.Equal(t, row.want, g, "at least: %s", name)
		g, could := grade(`{"atLeast":` + row.below + `}`)
		assert.Equal(t, row.less, g, "at least, below: %s", name)
		assert.GreaterOrEqual(t, could, row.want, name)
	}
}

// Whose site it is decides how grave a day without it is, and so does not knowing.
func TestSites(t *testing.T) {
	s := embedded(t)
	const eg, mj, rl = event.EspeciallyGrave, event.Major, event.RelativelyLarge
	for _, row := range []struct {
		site           string
		grade, couldBe event.Grade
	}{
		{`"owner":"party-government","level":"central"`, eg, eg},
		{`"owner":"party-government","level":"provincial"`, eg, eg},
		{`"owner":"party-government","level":"prefecture"`, mj, mj},
		{`"owner":"party-government","level":"other"`, rl, rl},
		{`"owner":"party-government"`, rl, eg},
		{`"owner":"news","level":"central"`, eg, eg},
		{`"owner":"news","level":"provincial"`, mj, mj},
		{`"owner":"news","level":"prefecture"`, rl, rl},
		{`"owner":"news"`, rl, eg},
		{`"owner":"enterprise","level":"central"`, rl, rl},
		{`"owner":"enterprise"`, rl, rl},
		{`"owner":"platform","size":"super-large"`, rl, rl},
		{`"class":"central"`, eg, eg},
		{`"class":"provincial"`, mj, eg},
		{`"class":"prefecture"`, rl, mj},
		{`"class":"other"`, rl, rl},
		{`"owner":"news","class":"provincial"`, mj, mj},
		{`"owner":"enterprise","class":"central"`, rl, rl},
	} {
		c := caseOf(t, "records", withFacts(`"siteUnreachable":{`+row.site+`,"duration":"PT24H"},`+denied))
		sg := under(s.Assess(c, t0), "cn-csirm-2025")
		assert.Equal(t, row.grade, sg.Computed, row.site)
		assert.Equal(t, row.couldBe, sg.CouldBe, row.site)
	}
}

// denied denies every fact but the site's.
const denied = `"outage":[],"defacement":{"owner":"enterprise","page":"home","duration":"PT0S","reposts":0,"views":0,"finding":"none"},
	"peopleAffected":0,"personalInformationPersons":0,"populationShare":[],"directLoss":{"amount":0,"currency":"CNY"},
	"systemLoss":"none","dataThreat":"none","otherThreat":"none"`

func replace(pattern, value string) string {
	for i := range pattern {
		if pattern[i] == '%' {
			return pattern[:i] + value + pattern[i+1:]
		}
	}
	return pattern
}

func TestAnnexJudgedFacts(t *testing.T) {
	s := embedded(t).InForce(t0)
	for word, want := range map[string]event.Grade{
		"especially-serious": event.EspeciallyGrave, "serious": event.Major,
		"relatively-serious": event.RelativelyLarge, "none": event.General,
	} {
		for _, fact := range []string{"systemLoss", "dataThreat", "otherThreat"} {
			a := s.Assess(caseOf(t, "records", withFacts(`"`+fact+`":"`+word+`"`)), t0)
			assert.Equal(t, want, a.Grade, "%s %s", fact, word)
		}
	}
	for word, want := range map[string]event.Grade{
		"especially-wide": event.EspeciallyGrave, "wide": event.Major, "relatively-wide": event.RelativelyLarge, "none": event.General,
	} {
		a := s.Assess(caseOf(t, "records", withFacts(`"defacement":{"owner":"party-government","level":"provincial","finding":"`+word+`"}`)), t0)
		assert.Equal(t, want, a.Grade, "finding %s", word)
	}
}

// Without its fact no criterion is decided, except what no case without CII
// can meet.
func TestMissingFactsAreUnknown(t *testing.T) {
	s := embedded(t).InForce(t0)
	pack, ok := s.Pack("cn-csirm-2025")
	require.True(t, ok)
	a := s.Assess(caseOf(t, "dispatch", `{}`), t0)
	open := make(map[string]bool)
	for _, u := range a.Unknown {
		if u.Statute == pack.ID {
			open[u.Criterion] = true
		}
	}
	assert.Len(t, open, len(pack.Criteria))
	assert.Equal(t, event.General, a.Grade)
	assert.Equal(t, event.EspeciallyGrave, a.CouldBe)
	assert.Empty(t, a.Hits)
	for _, u := range s.Assess(caseOf(t, "records", `{}`), t0).Unknown {
		assert.NotEqual(t, "facts.outage", u.Fact)
	}
}

func TestAssessmentAsJSONHasNoNullLists(t *testing.T) {
	raw, err := json.Marshal(embedded(t).Assess(Case{}, t0))
	require.NoError(t, err)
	assert.Contains(t, string(raw), `"hits":[]`)
	assert.Contains(t, string(raw), `"next":null`)
	assert.NotContains(t, string(raw), `"unknown":null`)
}

func TestPacksAreSound(t *testing.T) {
	assert.Empty(t, everywhere(t).Check())
}

func TestInForceByCalendarDate(t *testing.T) {
	s := embedded(t)
	ids := func(at time.Time) (out []string) {
		for _, p := range s.InForce(at).Packs() {
			out = append(out, p.ID)
		}
		return out
	}
	midnight := time.Date(2025, 11, 1, 0, 0, 0, 0, event.Beijing)
	assert.Equal(t, []string{"cn-cii-2021", "cn-cpl-2018", "cn-csirm-2025", "cn-csl-2017", "cn-netdata-2025", "cn-pipl-2021", "cn-xj-cii-2022", "cn-xj-netsec-2017"}, ids(midnight))
	assert.Equal(t, []string{"cn-cii-2021", "cn-cpl-2018", "cn-csl-2017", "cn-netdata-2025", "cn-pipl-2021", "cn-xj-cii-2022", "cn-xj-netsec-2017"}, ids(midnight.Add(-1)))
	assert.Empty(t, ids(time.Date(2017, 5, 31, 0, 0, 0, 0, event.Beijing)))
}
