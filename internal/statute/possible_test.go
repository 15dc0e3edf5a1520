package statute

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
)

// possibleOf lists the possible duties of a case as "statute/duty facility if grade [facts]".
func possibleOf(s *Set, c Case) (out []string) {
	for _, p := range s.Possible(c, s.Assess(c, t0), t0) {
		out = append(out, fmt.Sprintf("%s/%s %s %s %v", p.Statute.ID, p.Rule.ID, p.Facility.ID, p.Grade, p.Facts))
	}
	return out
}

func TestPossible(t *testing.T) {
	s := embedded(t)
	crime := []string{"cn-cpl-2018/suspected-crime dispatch ungraded [crimeSuspected]", "cn-csirm-2025/suspected-crime dispatch ungraded [crimeSuspected]"}
	c := caseOf(t, "dispatch", `{"facts":{"outage":[{"scope":"overall","duration":"PT20M"}]}}`)
	got := possibleOf(s, c)
	for _, want := range append(crime,
		"cn-cii-2021/operator-to-protection dispatch major []",
		"cn-cii-2021/protection-to-national-cyberspace dispatch especially-grave []",
		"cn-csirm-2025/protection-to-national-cyberspace dispatch major []",
	) {
		assert.Contains(t, got, want)
	}
	assert.NotContains(t, got, "cn-csirm-2025/cii-operator-to-protection dispatch relatively-large []", "it is owed for certain")

	all := `"siteUnreachable":{"owner":"enterprise","duration":"PT0S"},` + denied
	assert.Empty(t, possibleOf(s, caseOf(t, "dispatch", `{"crimeSuspected":false,"facts":{`+all+`}}`)), "nothing is open")
	assert.Equal(t, crime, possibleOf(s, caseOf(t, "dispatch", withFacts(all))), "only the crime is")

	beside := caseOf(t, "dispatch", withFacts(`"peopleAffected":1000000`))
	beside.Facilities = append(beside.Facilities, facility("office-portal"))
	assert.Contains(t, possibleOf(s, beside), "cn-csirm-2025/other-operator-to-provincial-cyberspace office-portal relatively-large []", "by an incident of its own")
	beside.Report.Facts.SiteUnreachable = &event.SiteUnreachable{Site: event.Site{Owner: "enterprise"}, Times: event.Times{Duration: &event.Span{}}}
	beside.Report.Facts.Defacement = &event.Defacement{Site: event.Site{Owner: "enterprise"}, Page: "home", Finding: "none",
		Reposts: &event.Number{}, Views: &event.Number{}, Times: event.Times{Duration: &event.Span{}}}
	assert.NotContains(t, fmt.Sprint(possibleOf(s, beside)), "other-operator-to-provincial-cyberspace", "it has none")
}

// A duty is owed, possible, or neither, and never two of them; and what becomes known can
// only bring about what was owed or possible before.
func TestPropertyPossible(t *testing.T) {
	s := embedded(t).InForce(t0)
	rapid.Check(t, func(t *rapid.T) {
		c := anyCase(t)
		a := s.Assess(c, t0)
		owed, possible := map[string]bool{}, map[string]bool{}
		for _, o := range s.Owed(c, a, t0) {
			owed[o.Statute.ID+"/"+o.Rule.ID+"/"+o.Facility.ID] = true
		}
		for _, p := range s.Possible(c, a, t0) {
			key := p.Statute.ID + "/" + p.Rule.ID + "/" + p.Facility.ID
			possible[key] = true
			require.False(t, owed[key], "%s is owed and possible", key)
			require.True(t, p.Grade != event.Ungraded || len(p.Facts) > 0, "%s depends on nothing", key)
		}
		for what, remove := range removals {
			less := c
			remove(&less.Report)
			b := s.Assess(less, t0)
			before := map[string]bool{}
			for _, o := range s.Owed(less, b, t0) {
				before[o.Statute.ID+"/"+o.Rule.ID+"/"+o.Facility.ID] = true
			}
			for _, p := range s.Possible(less, b, t0) {
				before[p.Statute.ID+"/"+p.Rule.ID+"/"+p.Facility.ID] = true
			}
			for key := range owed {
				require.True(t, before[key], "%s came as a surprise when %s became known", key, what)
			}
		}
	})
}
