package statute

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

func TestOutageThatLastsRisesByItself(t *testing.T) {
	s := embedded(t).InForce(t0)
	c := caseOf(t, "dispatch", withFacts(`"outage":[{"scope":"overall","since":"2026-03-01T08:00:00+08:00"}]`))
	a := s.Assess(c, t0)
	assert.Equal(t, event.General, a.Grade)
	for _, step := range []struct {
		after time.Duration
		grade event.Grade
	}{{10 * time.Minute, event.RelativelyLarge}, {time.Hour, event.Major}, {6 * time.Hour, event.EspeciallyGrave}} {
		require.NotNil(t, a.Next)
		assert.Equal(t, step.grade, a.Next.Grade)
		assert.True(t, a.Next.At.Equal(t0.Add(step.after)), a.Next.At)
		a = s.Assess(c, a.Next.At)
		assert.Equal(t, step.grade, a.Grade)
	}
	assert.Nil(t, a.Next)
}

// After a person has set a higher grade, Next skips the moments of lower ones.
func TestNextSkipsWhatTheOwnGradeAlreadySays(t *testing.T) {
	s := embedded(t).InForce(t0)
	c := caseOf(t, "dispatch", `{"ownGrade":"major","facts":{"outage":[{"scope":"overall","since":"2026-03-01T08:00:00+08:00"}]}}`)
	a := s.Assess(c, t0)
	require.NotNil(t, a.Next)
	assert.True(t, a.Next.At.Equal(t0.Add(6*time.Hour)))
}

func TestOwnGradeRaisesAndNeverLowers(t *testing.T) {
	s := embedded(t).InForce(t0)
	outage := `"facts":{"outage":[{"scope":"overall","duration":"PT1H"}]}`
	for own, want := range map[string]event.Grade{
		"general": event.Major, "relatively-large": event.Major, "major": event.Major, "especially-grave": event.EspeciallyGrave,
	} {
		a := s.Assess(caseOf(t, "dispatch", `{"ownGrade":"`+own+`",`+outage+`}`), t0)
		assert.Equal(t, want, a.Grade, own)
		assert.Equal(t, event.Major, under(a, "cn-csirm-2025").Computed, own)
		assert.Equal(t, event.Major, under(a, "cn-cii-2021").Computed, "judgement is no computation: %s", own)
		if own == "major" {
			assert.Nil(t, a.Own)
			continue
		}
		require.NotNil(t, a.Own, own)
		assert.Equal(t, own == "especially-grave", a.Own.Raised)
		assert.Equal(t, event.Major, a.Own.Computed)
	}
}

func TestAnotherCurrencyIsUnknown(t *testing.T) {
	s := embedded(t).InForce(t0)
	a := s.Assess(caseOf(t, "records", withFacts(`"directLoss":{"amount":900000000,"currency":"USD"}`)), t0)
	assert.Equal(t, event.General, a.Grade)
	assert.Contains(t, a.Unknown, event.Unknown{
		Fact: "facts.directLoss", Statute: "cn-csirm-2025", Criterion: "direct-loss-especially-grave", Grade: event.EspeciallyGrave})
}

// Decree 745 art. 18 ¶2 names kinds without numbers: read by the letter, every
// interruption would be especially grave at minute 0. A hit of that grade
// lists its kinds, and a kind alone is no hit.
func TestAssess_KindsWithoutNumbers(t *testing.T) {
	s := embedded(t).InForce(t0)
	for kind, facts := range map[string]string{
		"outage":               `"outage":[{"scope":"overall","duration":"PT1M"}]`,
		"data-leak":            `"dataThreat":"relatively-serious"`,
		"personal-information": `"personalInformationPersons":{"atLeast":1}`,
		"economic-loss":        `"directLoss":{"amount":1,"currency":"USD"}`,
		"unlawful-information": `"defacement":{"owner":"enterprise","views":1}`,
	} {
		for site, statute := range map[string]string{"dispatch": "cn-cii-2021", "station-3": "cn-xj-cii-2022"} {
			a := s.Assess(caseOf(t, site, withFacts(facts)), t0)
			assert.Less(t, a.Grade, event.EspeciallyGrave, kind)
			assert.Equal(t, event.EspeciallyGrave, under(a, statute).CouldBe, kind)
			open := event.Unknown{Fact: "ownGrade", Statute: statute, Criterion: "especially-grave-incident", Grade: event.EspeciallyGrave}
			assert.Contains(t, a.Unknown, open, kind)
			for _, h := range s.Assess(caseOf(t, site, `{"ownGrade":"especially-grave","facts":{`+facts+`}}`), t0).Hits {
				if h.Statute == statute && h.Grade == event.EspeciallyGrave {
					require.Len(t, h.Kinds, 1, kind)
					assert.Equal(t, kind, h.Kinds[0].ID)
					assert.NotEmpty(t, h.Kinds[0].Quote)
				}
			}
		}
	}
}

// With every fact denied nothing is left to judge: the answer is general, not "could be".
func TestAssess_EveryFactDenied(t *testing.T) {
	s := embedded(t)
	all := `"siteUnreachable":{"owner":"enterprise","duration":"PT0S"},` + denied
	for _, site := range []string{"dispatch", "station-3", "records", "portal"} {
		a := s.Assess(caseOf(t, site, withFacts(all)), t0)
		assert.Equal(t, event.General, a.CouldBe, site)
		assert.Empty(t, a.Unknown, site)
		assert.Empty(t, a.CouldBeIf, site)
		judged := s.Assess(caseOf(t, site, `{"ownGrade":"major","facts":{`+all+`}}`), t0)
		assert.Equal(t, event.Major, judged.Grade, "a judgement that is given counts all the same")
		assert.Equal(t, event.Major, judged.CouldBe)
	}
	open := s.Assess(caseOf(t, "dispatch", withFacts(`"siteUnreachable":null,`+denied)), t0)
	assert.Equal(t, event.EspeciallyGrave, open.CouldBe, "one fact is open")
	threat := s.Assess(caseOf(t, "dispatch", `{"about":"threat"}`), t0)
	assert.Equal(t, event.EspeciallyGrave, threat.CouldBe, "a threat has no facts that could be denied")
	low := s.Assess(caseOf(t, "dispatch", `{"about":"threat","ownGrade":"general"}`), t0)
	assert.Equal(t, event.General, low.CouldBe, "the operator has judged")
}

func TestStatutesAppearWhereTheySpeak(t *testing.T) {
	s := embedded(t).InForce(t0)
	for _, row := range []struct {
		site, about string
		want        []string
	}{
		{"dispatch", "incident", []string{"cn-cii-2021", "cn-csirm-2025"}},
		{"dispatch", "threat", []string{"cn-cii-2021"}},
		{"records", "incident", []string{"cn-csirm-2025"}},
		{"records", "threat", nil},
		{"station-3", "incident", []string{"cn-cii-2021", "cn-csirm-2025", "cn-xj-cii-2022", "cn-xj-netsec-2017"}},
		{"station-3", "threat", []string{"cn-cii-2021", "cn-xj-cii-2022"}},
	} {
		a := s.Assess(caseOf(t, row.site, `{"about":"`+row.about+`","ownGrade":"major"}`), t0)
		var got []string
		for _, sg := range a.Statutes {
			got = append(got, sg.Statute)
		}
		assert.Equal(t, row.want, got, "%s %s", row.site, row.about)
		assert.Equal(t, event.Major, a.Grade)
	}
}

func TestOutageListSemantics(t *testing.T) {
	s := embedded(t).InForce(t0)
	two := Case{Facilities: []Facility{facility("dispatch"), facility("office-portal")}}
	verdict := func(c Case, facts string) Verdict {
		r, err := event.ParseReport([]byte(withFacts(facts)))
		require.NoError(t, err)
		c.Report = r
		p, _ := s.Pack("cn-csirm-2025")
		for i := range p.Criteria {
			if p.Criteria[i].ID == "cii-overall-outage-major" {
				v, _, covered := s.try(p, &p.Criteria[i], &Fixture{Case: c, At: t0})
				require.True(t, covered)
				return v
			}
		}
		panic("no such criterion")
	}
	assert.Equal(t, Unknown, verdict(two, ``))
	assert.Equal(t, False, verdict(two, `"outage":[]`))
	assert.Equal(t, Unknown, verdict(two, `"outage":[{"scope":"main-function","duration":"PT9H"}]`), "says nothing about overall outages")
	assert.Equal(t, Unknown, verdict(two, `"outage":[{"facility":"office-portal","scope":"overall","duration":"PT9H"}]`), "not CII")
	assert.Equal(t, True, verdict(two, `"outage":[{"scope":"overall","duration":"PT9H"}]`), "every facility")
	assert.Equal(t, True, verdict(two, `"outage":[{"scope":"overall","duration":"PT1M"},{"facility":"dispatch","scope":"overall","duration":"PT9H"}]`))
	assert.Equal(t, Unknown, verdict(two, `"outage":[{"scope":"overall","duration":"PT1M"},{"scope":"overall"}]`))
	none := Case{Facilities: []Facility{facility("office-portal")}}
	assert.Equal(t, False, verdict(none, ``), "no CII in the case")
}

func TestHitsAreGravestFirst(t *testing.T) {
	s := embedded(t).InForce(t0)
	a := s.Assess(caseOf(t, "station-3", withFacts(`"outage":[{"scope":"overall","duration":"PT7H"}],"peopleAffected":100000`)), t0)
	require.NotEmpty(t, a.Hits)
	assert.True(t, slices.IsSortedFunc(a.Hits, func(a, b event.Hit) int {
		return cmp.Or(cmp.Compare(b.Grade, a.Grade), cmp.Compare(a.Statute, b.Statute))
	}), "%+v", a.Hits)
	assert.Empty(t, a.Unknown)
	assert.Nil(t, a.Next)
}

func BenchmarkAssess(b *testing.B) {
	s := embedded(b).InForce(t0)
	for name, report := range map[string]string{
		"typical": withFacts(`"outage":[{"scope":"overall","duration":"PT2H"}],"peopleAffected":{"atLeast":5000},"directLoss":{"amount":100000,"currency":"CNY"}`),
		"growing": withFacts(`"outage":[{"scope":"overall","since":"2026-03-01T07:00:00+08:00"},{"scope":"main-function","since":"2026-03-01T06:00:00+08:00"}]`),
		"empty":   `{}`,
	} {
		c := caseOf(b, "station-3", report)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Assess(c, t0)
			}
		})
	}
}

func BenchmarkOwed(b *testing.B) {
	s := embedded(b).InForce(t0)
	c := caseOf(b, "station-3", withFacts(`"outage":[{"scope":"overall","duration":"PT2H"}]`))
	a := s.Assess(c, t0)
	b.ReportAllocs()
	for b.Loop() {
		s.Owed(c, a, t0)
	}
}
