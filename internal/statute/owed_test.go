package statute

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-project/tocsin/internal/event"
)

func name(p Party) string {
	if p.Level == "" {
		return string(p.Role)
	}
	return string(p.Level) + " " + string(p.Role)
}

// The table of what the law demands of the example register, by the level of
// the recipient: which desk that is, is the register's business.
func TestDutiesOfTheExampleRegister(t *testing.T) {
	const (
		protection = "operator report protection"
		police     = "operator report province public-security"
		net        = "operator report province cyberspace"
		ownNet     = "operator report own cyberspace"
		office     = "operator report cyberspace-office"
		upNet      = "protection forward national cyberspace"
		upPolice   = "protection forward national public-security"
		crime      = "operator crime-notice province public-security"
	)
	s := embedded(t).InForce(t0)
	for _, row := range []struct {
		site, about, grade string
		want               []string
	}{
		{"dispatch", "incident", "general", nil},
		{"dispatch", "incident", "relatively-large", []string{protection, police}},
		{"dispatch", "incident", "major", []string{protection, police, upNet, upPolice}},
		{"dispatch", "incident", "especially-grave", []string{protection, police, upNet, upPolice}},
		{"dispatch", "threat", "relatively-large", nil},
		{"dispatch", "threat", "major", []string{protection, police}},
		{"dispatch", "threat", "especially-grave", []string{protection, police, upNet, upPolice}},
		{"office-portal", "incident", "relatively-large", []string{net}},
		{"station-3", "incident", "general", []string{net, protection, police}},
		{"station-3", "threat", "general", []string{net, protection, police}},
		{"station-3", "incident", "relatively-large", []string{net, protection, police, ownNet}},
		{"station-3", "incident", "major", []string{net, protection, police, ownNet, upNet, upPolice}},
		{"station-3", "incident", "especially-grave", []string{net, protection, police, ownNet, upNet, upPolice}},
		{"records", "incident", "general", nil},
		{"records", "incident", "relatively-large", []string{net}},
		{"records", "incident", "major", []string{net,
			"province cyberspace forward national cyberspace", "province cyberspace notify province public-security"}},
		{"records", "threat", "especially-grave", nil},
		{"portal", "incident", "general", nil},
		{"portal", "incident", "relatively-large", []string{office}},
		{"portal", "incident", "major", []string{office, "cyberspace-office forward national cyberspace"}},
	} {
		for _, crimeSuspected := range []bool{false, true} {
			report := fmt.Sprintf(`{"about":%q,"ownGrade":%q,"crimeSuspected":%t}`, row.about, row.grade, crimeSuspected)
			want := slices.Clone(row.want)
			if crimeSuspected {
				want = append(want, crime)
			}
			c := caseOf(t, row.site, report)
			got := make(map[string]bool)
			for _, o := range s.Owed(c, s.Assess(c, t0), t0) {
				got[fmt.Sprintf("%s %s %s", name(o.Rule.From), o.Rule.Act, name(o.Rule.To))] = true
				assert.Equal(t, row.site, o.Facility.ID)
			}
			var list []string
			for line := range got {
				list = append(list, line)
			}
			assert.ElementsMatch(t, want, list, "%s %s %s", row.site, row.about, row.grade)
		}
	}
}

func TestLimitsOfTheMeasures(t *testing.T) {
	p, _ := embedded(t).Pack("cn-csirm-2025")
	limits := make(map[string]string)
	for _, d := range p.Duties {
		limits[d.ID] = "promptly"
		if d.Within != nil {
			limits[d.ID] = d.Within.String() + " " + string(d.Clock)
		}
	}
	assert.Equal(t, map[string]string{
		"cii-operator-to-protection":               "PT1H discovered",
		"cii-operator-to-public-security":          "PT1H discovered",
		"protection-to-national-cyberspace":        "PT30M reported",
		"protection-to-national-public-security":   "PT30M reported",
		"central-organ-to-own-office":              "PT2H discovered",
		"own-office-to-national-cyberspace":        "PT1H reported",
		"national-cyberspace-to-departments":       "promptly",
		"other-operator-to-provincial-cyberspace":  "PT4H discovered",
		"provincial-to-national-cyberspace":        "PT1H reported",
		"provincial-cyberspace-to-public-security": "PT1H reported",
		"suspected-crime":                          "promptly",
		"sector-rules":                             "promptly",
	}, limits)
}

// A facility that is named beside CII owes what art. 4 ¶4 demands of others only for an
// incident of its own.
func TestOwed_BesideCII(t *testing.T) {
	s := embedded(t).InForce(t0)
	cii := []string{"dispatch cii-operator-to-protection", "dispatch cii-operator-to-public-security"}
	up := []string{"dispatch protection-to-national-cyberspace", "dispatch protection-to-national-public-security"}
	other := []string{"office-portal other-operator-to-provincial-cyberspace"}
	otherUp := []string{"office-portal provincial-to-national-cyberspace", "office-portal provincial-cyberspace-to-public-security"}
	for report, want := range map[string][]string{
		`{"ownGrade":"relatively-large"}`:                                       cii,
		withFacts(`"peopleAffected":100000`):                                    cii,
		withFacts(`"outage":[{"scope":"overall","duration":"PT10M"}]`):          cii,
		withFacts(`"siteUnreachable":{"owner":"enterprise","duration":"PT2H"}`): slices.Concat(cii, other),
		withFacts(`"siteUnreachable":{"owner":"enterprise","duration":"PT1H"},"outage":[{"facility":"dispatch","scope":"overall","duration":"PT10M"}]`): cii,
		withFacts(`"defacement":{"owner":"platform","size":"large","views":100000}`):                                                                    slices.Concat(cii, up, other, otherUp),
		withFacts(`"siteUnreachable":{"owner":"enterprise","duration":"PT2H"},"outage":[{"facility":"dispatch","scope":"overall","duration":"PT1H"}]`):  slices.Concat(cii, up, other),
	} {
		c := caseOf(t, "dispatch", report)
		c.Facilities = append(c.Facilities, facility("office-portal"))
		var got []string
		for _, o := range s.Owed(c, s.Assess(c, t0), t0) {
			if o.Statute.ID == "cn-csirm-2025" {
				got = append(got, o.Facility.ID+" "+o.Rule.ID)
			}
		}
		assert.Equal(t, want, got, report)
	}
	c := caseOf(t, "office-portal", `{"ownGrade":"major"}`)
	c.Facilities = append(c.Facilities, facility("records"))
	assert.Len(t, s.Owed(c, s.Assess(c, t0), t0), 6, "without CII beside them the judgement of the whole is theirs")
}

// A threat has no line in the Measures.
func TestOwed_ThreatsAreNotInTheMeasures(t *testing.T) {
	s := embedded(t)
	c := caseOf(t, "dispatch", `{"about":"threat","ownGrade":"major","crimeSuspected":true}`)
	var got []string
	for _, o := range s.Owed(c, s.Assess(c, t0), t0) {
		got = append(got, o.Statute.ID+" "+o.Rule.ID)
	}
	assert.Equal(t, []string{"cn-cii-2021 operator-to-protection", "cn-cii-2021 operator-to-public-security", "cn-cpl-2018 suspected-crime"}, got)
}

func TestCentralOrganWithCIIOwesBoth(t *testing.T) {
	s := embedded(t).InForce(t0)
	c := caseOf(t, "dispatch", `{"ownGrade":"relatively-large"}`)
	c.Operator.Central = true
	var got []string
	for _, o := range s.Owed(c, s.Assess(c, t0), t0) {
		got = append(got, o.Rule.ID)
	}
	assert.Equal(t, []string{"cii-operator-to-protection", "cii-operator-to-public-security", "central-organ-to-own-office"}, got)
}

// What only could be tells no higher desk.
func TestUnknownTriggersNothing(t *testing.T) {
	s := embedded(t).InForce(t0)
	c := caseOf(t, "dispatch", withFacts(`"outage":[{"scope":"overall","duration":{"atLeast":"PT9M"}}]`))
	a := s.Assess(c, t0)
	assert.Equal(t, event.EspeciallyGrave, a.CouldBe)
	assert.Empty(t, s.Owed(c, a, t0))
}

func TestPersonalInformationInTheRegionHasNoFloor(t *testing.T) {
	s := embedded(t).InForce(t0)
	ids := func(facts string) (out []string) {
		c := caseOf(t, "records", withFacts(facts))
		c.Facilities[0].Region = "650100"
		for _, o := range s.Owed(c, s.Assess(c, t0), t0) {
			out = append(out, o.Rule.ID)
		}
		return out
	}
	assert.Equal(t, []string{"personal-information-to-cyberspace"}, ids(`"personalInformationPersons":{"atLeast":1}`))
	assert.Empty(t, ids(`"personalInformationPersons":0`))
	assert.Empty(t, ids(`"personalInformationPersons":{"atLeast":0}`))
}

// Whatever is owed in some case was known beforehand as something that can be.
func TestCanFallOn(t *testing.T) {
	s := embedded(t).InForce(t0)
	can := func(id, site string, central bool) bool {
		p, _ := s.Pack("cn-csirm-2025")
		i := slices.IndexFunc(p.Duties, func(d DutyRule) bool { return d.ID == id })
		return p.Duties[i].CanFallOn(Operator{Central: central}, facility(site))
	}
	assert.True(t, can("cii-operator-to-protection", "dispatch", false))
	assert.False(t, can("cii-operator-to-protection", "records", false))
	assert.True(t, can("central-organ-to-own-office", "records", true))
	assert.False(t, can("other-operator-to-provincial-cyberspace", "records", true))
}
