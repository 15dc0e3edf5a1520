package statute

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

func TestConfidence_OfHitsThroughAnotherPack(t *testing.T) {
	s := embedded(t)
	for facts, want := range map[string]event.Confidence{
		`"outage":[{"scope":"overall","duration":"PT1H"}]`:                                             event.ConfidenceInterpretation, // a secondary figure, read into the decree
		`"outage":[{"scope":"main-function","duration":"PT3H"}]`:                                       event.ConfidenceUnverified,
		`"outage":[{"scope":"main-function","duration":"PT3H"},{"scope":"overall","duration":"PT1H"}]`: event.ConfidenceInterpretation,
	} {
		found := false
		for _, h := range s.Assess(caseOf(t, "dispatch", withFacts(facts)), t0).Hits {
			if h.Statute == "cn-cii-2021" && h.Criterion == "major-incident" {
				found = true
				assert.Equal(t, want, h.Confidence, facts)
			}
		}
		assert.True(t, found, facts)
	}
}

// A duty is as sure as its line and the surest criterion that makes it owed; a person's
// judgement needs no figure.
func TestConfidence_OfDuties(t *testing.T) {
	s := embedded(t)
	for report, want := range map[string]event.Confidence{
		withFacts(`"outage":[{"scope":"overall","duration":"PT1H"}]`):                                      event.ConfidenceSecondary,
		withFacts(`"outage":[{"scope":"main-function","duration":"PT3H"}]`):                                event.ConfidenceUnverified,
		withFacts(`"outage":[{"scope":"main-function","duration":"PT3H"}],"peopleAffected":1000000`):       event.ConfidenceSecondary,
		withFacts(`"outage":[{"scope":"main-function","duration":"PT24H"}]`):                               event.ConfidenceSecondary,
		`{"ownGrade":"major","facts":{"outage":[{"scope":"main-function","duration":"PT3H"}]}}`:            event.ConfidenceSecondary,
		`{"ownGrade":"relatively-large","facts":{"outage":[{"scope":"main-function","duration":"PT3H"}]}}`: event.ConfidenceUnverified,
	} {
		c := caseOf(t, "dispatch", report)
		found := false
		for _, o := range s.Owed(c, s.Assess(c, t0), t0) {
			if o.Rule.ID == "protection-to-national-cyberspace" && o.Statute.ID == "cn-csirm-2025" {
				found = true
				assert.Equal(t, want, o.Confidence, report)
			}
		}
		assert.True(t, found, report)
	}
}

func TestConfidence_OfTheNextRise(t *testing.T) {
	s := embedded(t)
	for scope, want := range map[string]event.Confidence{"overall": event.ConfidenceSecondary, "main-function": event.ConfidenceUnverified} {
		since := map[string]string{"overall": "07:30", "main-function": "07:00"}[scope] // relatively large; next is major
		a := s.Assess(caseOf(t, "dispatch", withFacts(`"outage":[{"scope":"`+scope+`","since":"2026-03-01T`+since+`:00+08:00"}]`)), t0)
		require.NotNil(t, a.Next)
		assert.Equal(t, event.Major, a.Next.Grade)
		assert.Equal(t, want, a.Next.Confidence, scope)
	}
}
