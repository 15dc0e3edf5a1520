package statute

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unsound is a pack that loads, and for each of whose lines Check has a finding.
const unsound = `criteria:
  - id: bare
    grade: major
    when: {fact: facts.peopleAffected, atLeast: 100}
  - id: wrong
    grade: especially-grave
    for: {cii: true}
    when: {fact: facts.peopleAffected, atLeast: 100}
    citation: c
    quote: 引
    confidence: text
    fixtures:
      hit: {facility: {cii: true}, report: {facts: {peopleAffected: 99}}}
      below: {facility: {cii: true}, report: {facts: {peopleAffected: 100}}}
      missing: {report: {facts: {}}}
  - id: far-below
    grade: general
    when: {fact: facts.siteUnreachable, where: {site: {level: central}}, atLeast: PT1H}
  - id: far-above
    grade: major
    when: {fact: facts.siteUnreachable, where: {site: {level: [central, other]}}, atLeast: PT2H}
duties:
  - id: clock
    from: operator
    to: protection
    act: report
    clock: reported
  - id: threat
    for: {about: [threat], grade: major}
    from: protection
    to: {role: cyberspace, level: national}
    act: forward
    clock: reported
    citation: c
    quote: 引
    confidence: text
  - id: circle
    from: protection
    to: protection
    act: forward
    clock: reported
`

func TestCheckFinds(t *testing.T) {
	p, err := Decode([]byte(minimal + unsound))
	require.NoError(t, err)
	var lines []string
	for _, f := range newSet([]*Pack{p}).Check() {
		lines = append(lines, f.Path+" "+string(f.Severity)+": "+f.Message)
	}
	all := strings.Join(lines, "\n")
	for _, want := range []string{
		"criteria/bare error: no citation",
		"criteria/bare error: no quote",
		"criteria/bare error: no confidence",
		"criteria/bare error: no fixture for hit",
		"criteria/wrong error: fixture hit[0] gives false",
		"criteria/wrong error: fixture below[0] gives true",
		"criteria/wrong error: fixture missing[0] is no case",
		"criteria/wrong error: overlap",
		"criteria/far-above warning: gap: far-below leaves out sites",
		"criteria/far-above warning: gap: facts.siteUnreachable of [incident] has no limit for relatively-large",
		"duties/clock error: clock reported with from operator",
		"duties/threat error: no criterion grades a threat",
		"duties/circle error: protection would tell itself",
	} {
		assert.Contains(t, all, want)
	}
}
