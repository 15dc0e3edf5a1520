package statute

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

// lawAt returns why each pack applies to a case, by id.
func lawAt(s *Set, c Case, now time.Time) map[string]event.Basis {
	out := map[string]event.Basis{}
	for _, i := range s.Law(c, now) {
		out[i.Statute] = i.Basis
	}
	return out
}

// discovered returns a case at a site with a discovery and, where it is not empty, an
// outage of the facility with the given times.
func discovered(t *testing.T, site string, at time.Time, outage string) Case {
	facts := ""
	if outage != "" {
		facts = `,"facts":{"outage":[{"scope":"overall",` + outage + `}]}`
	}
	return caseOf(t, site, fmt.Sprintf(`{"discoveredAt":%q%s}`, at.Format(time.RFC3339Nano), facts))
}

// Both sides of the first moment of every pack, long after it: the discovery decides, or
// that the incident lasted until that moment.
func TestLaw_AtTheFirstMomentOfEveryPack(t *testing.T) {
	s := embedded(t)
	for _, p := range s.Packs() {
		from, later := p.Effective.From, p.Effective.From.AddDate(1, 0, 0)
		stamp := func(d time.Duration) string { return fmt.Sprintf("%q", from.Add(d).Format(time.RFC3339Nano)) }
		for _, row := range []struct {
			found  time.Duration // from the first moment on
			outage string
			want   event.Basis
		}{
			{-1, "", event.BasisNotYet},
			{0, "", event.BasisDiscovered},
			{-1, `"duration":"PT6H"`, event.BasisNotYet},
			{-time.Hour, `"since":` + stamp(-2*time.Hour) + `,"until":` + stamp(-1), event.BasisNotYet},
			{-time.Hour, `"since":` + stamp(-2*time.Hour) + `,"until":` + stamp(0), event.BasisNotYet},
			{-time.Hour, `"since":` + stamp(-2*time.Hour) + `,"until":` + stamp(1), event.BasisContinuing},
			{-time.Hour, `"since":` + stamp(-2*time.Hour), event.BasisContinuing},
			{0, `"since":` + stamp(-2*time.Hour), event.BasisDiscovered},
		} {
			c := discovered(t, "dispatch", from.Add(row.found), row.outage)
			assert.Equal(t, row.want, p.basis(&c, later), "%s: found %s, %s", p.ID, row.found, row.outage)
			assert.Equal(t, event.BasisNotYet, p.basis(&c, from.Add(-1)), "before it is in force")
		}
	}
}

func TestLaw_AtTheLastMomentOfAPack(t *testing.T) {
	p, err := Decode([]byte("id: old\ntitle: {zh: 旧, en: old}\nsource: s\nrank: {zh: 法, en: law}\neffective: {from: 2020-01-01, until: 2024-01-01}\n"))
	require.NoError(t, err)
	until := p.Effective.Until
	for found, want := range map[time.Duration]event.Basis{-1: event.BasisDiscovered, 0: event.BasisNoLonger} {
		c := discovered(t, "dispatch", until.Add(found), "")
		assert.Equal(t, want, p.basis(&c, until.AddDate(1, 0, 0)), "what was found while it was in force stays under it")
	}
}

func TestLaw_DiscoveryThatIsNotKnownOrAhead(t *testing.T) {
	s := embedded(t)
	ahead := discovered(t, "records", t0.AddDate(1, 0, 0), "")
	assert.Equal(t, map[string]event.Basis{"cn-cii-2021": event.BasisDiscovered, "cn-cpl-2018": event.BasisDiscovered, "cn-csirm-2025": event.BasisDiscovered}, lawAt(s, ahead, t0))
	unknown := caseOf(t, "records", `{}`)
	assert.Equal(t, map[string]event.Basis{"cn-cii-2021": event.BasisUndated, "cn-cpl-2018": event.BasisUndated, "cn-csirm-2025": event.BasisUndated}, lawAt(s, unknown, t0))
}

// The list is the same whether or not the facility is CII, which is confidential.
func TestLaw_DoesNotShowCII(t *testing.T) {
	s := embedded(t)
	c := discovered(t, "dispatch", t0, "")
	open := c
	open.Facilities = []Facility{facility("dispatch")}
	open.Facilities[0].CII = false
	assert.Equal(t, lawAt(s, c, t0), lawAt(s, open, t0))
	assert.Len(t, lawAt(s, discovered(t, "station-3", t0, ""), t0), 5)
}

// A criterion of a pack that does not apply is not met, and its duties are not owed.
func TestAssess_OnlyByLawThatApplies(t *testing.T) {
	s := embedded(t)
	before := time.Date(2024, 6, 1, 9, 0, 0, 0, event.Beijing)
	c := discovered(t, "records", before, "")
	c.Report.Facts.PeopleAffected = &event.Number{Value: 2e6}
	a := s.Assess(c, t0)
	assert.Equal(t, event.General, a.Grade)
	assert.Empty(t, a.Hits)
	assert.Empty(t, a.Statutes)
	assert.Empty(t, s.Owed(c, a, t0))
	assert.Empty(t, s.FollowUps(c, a, t0))
	c.Report.DiscoveredAt = &t0
	assert.Equal(t, event.Major, s.Assess(c, t0).Grade)
}

// An outage that lasts into the first day of a law is graded by it from then on.
func TestNextRise_WhenALawComesIntoForce(t *testing.T) {
	s := embedded(t)
	p, _ := s.Pack("cn-csirm-2025")
	from := p.Effective.From
	c := discovered(t, "dispatch", from.Add(-2*time.Hour), fmt.Sprintf(`"since":%q`, from.Add(-2*time.Hour).Format(time.RFC3339)))
	now := from.Add(-time.Minute)
	a := s.Assess(c, now)
	assert.Equal(t, event.General, a.Grade)
	require.NotNil(t, a.Next)
	assert.True(t, a.Next.At.Equal(from))
	assert.Equal(t, event.Major, a.Next.Grade)
	assert.True(t, s.NextRise(c, now).Equal(from))
	assert.Equal(t, event.Major, s.Assess(c, from).Grade)
	ended := discovered(t, "dispatch", from.Add(-2*time.Hour), fmt.Sprintf(`"since":%q,"until":%q`, from.Add(-2*time.Hour).Format(time.RFC3339), from.Format(time.RFC3339)))
	assert.Nil(t, s.NextRise(ended, now))
}
