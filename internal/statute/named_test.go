package statute

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/fault"
)

// declaring is a pack with a fact of every kind and one criterion.
const declaring = `id: x
title: {zh: 甲, en: X}
source: S
citationsZh: {C: 引}
rank: {zh: 法, en: law}
effective: {from: 2020-01-01}
facts:
  - {name: clients, kind: number, title: {zh: 客户, en: clients}}
  - {name: clients-share, kind: share, title: {zh: 占比, en: share of clients}}
  - {name: downtime, kind: duration, title: {zh: 停机, en: downtime}}
  - {name: cost, kind: amount, title: {zh: 费用, en: cost}}
  - {name: spread, kind: word, words: [local, national, world], title: {zh: 范围, en: spread}}
  - {name: malicious, kind: yes-no, title: {zh: 恶意, en: malicious}}
  - {name: operator.entity, kind: word, words: [other, important, essential], title: {zh: 实体, en: entity}}
  - {name: operator.turnover, kind: amount, title: {zh: 营业额, en: turnover}}
criteria:
  - id: a
    grade: major
    when: {WHEN}
    citation: C
    quote: Q
    confidence: unverified
    fixtures:
      hit: {report: {HIT}ATTRIBUTES}
      below: {report: {BELOW}ATTRIBUTES}
      missing: {report: {MISSING}ATTRIBUTES}
`

// checked loads the pack with a condition and its cases, and returns what Check finds.
func checked(t *testing.T, attributes, when, hit, below, missing string) []Finding {
	t.Helper()
	if attributes != "" {
		attributes = ", attributes: {" + attributes + "}"
	}
	text := strings.NewReplacer("WHEN", when, "HIT", hit, "BELOW", below, "MISSING", missing, "ATTRIBUTES", attributes).Replace(declaring)
	s, err := Load(fstest.MapFS{"x.yaml": &fstest.MapFile{Data: []byte(text)}})
	require.NoError(t, err, when)
	return s.Check()
}

func says(facts string) string { return "facts: {named: {" + facts + "}}" }

func TestCondition_DeclaredFacts(t *testing.T) {
	for _, row := range []struct{ attributes, when, hit, below, missing string }{
		{"", "fact: facts.named.clients, above: 100", says("clients: 101"), says("clients: 100"), says("clients: {atLeast: 100}")},
		{"", "fact: facts.named.clients-share, atLeast: 0.1", says("clients-share: 0.1"), says("clients-share: 0.09"), says("clients: 5")},
		{"", "fact: facts.named.downtime, above: PT2H", says("downtime: PT2H1S"), says("downtime: PT2H"), says("downtime: {atLeast: PT2H}")},
		{"", "fact: facts.named.cost, above: 5, currency: EUR", says("cost: {amount: 6, currency: EUR}"), says("cost: {amount: 5, currency: EUR}"), says("cost: {amount: 6, currency: CNY}")},
		{"", "fact: facts.named.spread, atLeast: national", says("spread: world"), says("spread: local"), says("spread: null")},
		{"", "fact: facts.named.spread, is: [local, world]", says("spread: world"), says("spread: national"), ""},
		{"", "fact: facts.named.malicious, is: true", says("malicious: true"), says("malicious: false"), ""},
		{"", "fact: facts.named.malicious, is: false", says("malicious: false"), says("malicious: true"), ""},
		{"", "fact: kind, is: malware", "kind: malware", "kind: other", ""},
		{"", "fact: kind, is: [malware, network-attack]", "kind: network-attack", "kind: other", ""},
		{"entity: essential", "all: [{fact: operator.entity, is: [important, essential]}, {fact: facts.named.malicious, is: true}]", says("malicious: true"), says("malicious: false"), ""},
		{"entity: important", "all: [{fact: operator.entity, atLeast: important}, {fact: facts.named.malicious, is: true}]", says("malicious: true"), says("malicious: false"), ""},
		{"", "some: {atLeast: 2, of: [{fact: facts.named.clients, above: 100}, {fact: facts.named.malicious, is: true}, {fact: kind, is: malware}]}",
			"kind: malware, " + says("malicious: true"), "kind: other, " + says("malicious: false"), says("malicious: true")},
	} {
		require.Empty(t, checked(t, row.attributes, row.when, row.hit, row.below, row.missing), row.when)
	}
}

// Whichever of an amount and a share is lower is the limit; each is compared in its own
// currency, and what is not known leaves it open.
func TestCondition_TheLowerOfAnAmountAndAShare(t *testing.T) {
	const when = "fact: facts.directLoss, above: 500, currency: EUR, orShare: {of: operator.turnover, share: 0.05}"
	loss := func(amount, currency string) string {
		return "facts: {directLoss: {amount: " + amount + ", currency: " + currency + "}}"
	}
	for _, row := range []struct{ turnover, hit, below, missing string }{
		{"turnover: {amount: 2000, currency: EUR}", loss("101", "EUR"), loss("100", "EUR"), loss("{atLeast: 100}", "EUR")}, // 5 % is lower
		{"turnover: {amount: 99000, currency: EUR}", loss("501", "EUR"), loss("500", "EUR"), loss("101", "CNY")},           // the amount is
		{"turnover: {amount: 2000, currency: CNY}", loss("101", "CNY"), "about: threat", loss("100", "EUR")},               // no rate is known
		{"", loss("501", "EUR"), "about: threat", loss("500", "EUR")},                                                      // no turnover is known
		{"turnover: {amount: {atLeast: 2000}, currency: EUR}", loss("501", "EUR"), loss("100", "EUR"), loss("101", "EUR")}, // it may be more
	} {
		for _, f := range checked(t, row.turnover, when, row.hit, row.below, row.missing) {
			require.Contains(t, f.Message, "fixture below[0] is no case", "%s: %v", row.turnover, f)
		}
	}
	text := strings.NewReplacer("WHEN", when, "HIT", "", "BELOW", "", "MISSING", "", "ATTRIBUTES", "").Replace(declaring)
	p, err := Decode([]byte(text))
	require.NoError(t, err)
	require.Equal(t, "facts.directLoss > 500 EUR or 0.05 of operator.turnover, whichever is lower", p.Criteria[0].When.String())
	a := newSet([]*Pack{p}).Assess(caseOf(t, "records", withFacts(`"directLoss":{"amount":400,"currency":"EUR"}`)), t0)
	require.Equal(t, "operator.turnover", a.Unknown[0].Fact, "the register can tell, not the report")
}

// Incidents of the same operator count if they were discovered within the window before
// this one.
func TestCondition_EarlierIncidents(t *testing.T) {
	at := func(list string) string { return `discoveredAt: "2026-07-31T08:00:00+08:00", earlier: [` + list + "]" }
	before := func(day string) string { return `{incident: i` + day + `, discoveredAt: "` + day + `T08:00:00+08:00"}` }
	require.Empty(t, checked(t, "", "earlier: {within: P6M, atLeast: 2}",
		at(before("2026-01-31")+", "+before("2026-07-31")),
		at(before("2026-01-30")+", "+before("2026-07-30")+", "+before("2026-08-01")),
		`discoveredAt: "2026-07-31T08:00:00+08:00"`))
	require.Empty(t, checked(t, "", "earlier: {within: P6M, atLeast: 1}", at(before("2026-07-01")), at(""), "earlier: ["+before("2026-07-01")+"]"), "an empty list denies; without a discovery it is open which of those listed count")
	require.Empty(t, checked(t, "", "earlier: {within: P6M, atLeast: 2}", at(before("2026-02-01")+", "+before("2026-07-01")), "earlier: ["+before("2026-07-01")+"]", ""), "a list too short for the number denies without a discovery")
}

// What is wrong with a value says how to write it.
func TestSet_CheckReportSaysHowToWriteAValue(t *testing.T) {
	p, err := Decode([]byte(strings.NewReplacer("WHEN", "fact: kind, is: malware", "HIT", "", "BELOW", "", "MISSING", "", "ATTRIBUTES", "").Replace(declaring)))
	require.NoError(t, err)
	set := newSet([]*Pack{p})
	for name, row := range map[string]struct{ value, want string }{
		"clients":       {`"many"`, `must be a number such as 1200 or {atLeast: 1200}, got "many"`},
		"clients-share": {`1.5`, "must lie between 0 and 1, got 1.5"},
		"downtime":      {`7`, "must be a duration such as PT2H or {atLeast: PT2H}, got 7"},
		"cost":          {`{"amount": 5}`, "has no currency"},
		"spread":        {`"planet"`, `must be one of local, national, world, got "planet"`},
		"malicious":     {`"yes"`, `must be true or false, got "yes"`},
		"gone":          {`1`, "no statute pack in use declares this fact"},
	} {
		got := set.CheckReport(map[string]jsontext.Value{name: jsontext.Value(row.value)}, nil)
		require.Equal(t, []fault.Detail{{Path: "facts.named." + name, Message: row.want}}, got)
	}
}

func TestDecode_RefusesWhatDoesNotFitADeclaredFact(t *testing.T) {
	for when, part := range map[string]string{
		"fact: facts.named.gone, above: 1":                                                              `declares no fact "facts.named.gone"`,
		"fact: facts.named.clients, above: PT1H":                                                        "is no limit of a number",
		"fact: facts.named.clients, is: true":                                                           "is no limit of a number",
		"fact: facts.named.malicious, above: 1":                                                         "compared by is",
		"fact: facts.named.spread, is: galaxy":                                                          "is not one of local, national, world",
		"fact: facts.named.spread, above: galaxy":                                                       "is not one of",
		"fact: facts.named.cost, above: 5":                                                              "an amount needs a currency",
		"fact: facts.named.clients":                                                                     "needs one of atLeast, above and is",
		"fact: facts.named.clients, above: 1, where: {page: home}":                                      "has no where",
		"fact: kind, is: flood":                                                                         "malware",
		"fact: kind, atLeast: malware":                                                                  "a kind, or a list of kinds",
		"fact: facts.named.clients, above: 5, orShare: {of: operator.turnover, share: 0.1}":             "only an amount may be a share",
		"fact: facts.directLoss, above: 5, currency: EUR, orShare: {of: operator.entity, share: 0.1}":   "is no amount",
		"fact: facts.directLoss, above: 5, currency: EUR, orShare: {of: operator.turnover, share: 1.1}": "between 0 and 1",
		"earlier: {within: P6M}":                                                                        "atLeast",
		"earlier: {within: PT, atLeast: 1}":                                                             "ISO 8601",
	} {
		_, err := Decode([]byte(strings.NewReplacer("WHEN", when, "HIT", "", "BELOW", "", "MISSING", "", "ATTRIBUTES", "").Replace(declaring)))
		require.ErrorContains(t, err, part, when)
	}
}

func TestLoad_TwoPacksAgreeOnAFact(t *testing.T) {
	one := strings.NewReplacer("WHEN", "fact: facts.named.clients, above: 1", "HIT", "", "BELOW", "", "MISSING", "", "ATTRIBUTES", "").Replace(declaring)
	other := strings.Replace(strings.Replace(one, "id: x", "id: y", 1), "name: clients, kind: number", "name: clients, kind: share", 1)
	_, err := Load(fstest.MapFS{"x.yaml": &fstest.MapFile{Data: []byte(one)}, "y.yaml": &fstest.MapFile{Data: []byte(other)}})
	require.ErrorContains(t, err, `x declares "clients" with another kind`)
}

func TestCheckReport_RefusesWhatNoPackDeclares(t *testing.T) {
	p, err := Decode([]byte(strings.NewReplacer("WHEN", "judged: {from: major}", "HIT", "", "BELOW", "", "MISSING", "", "ATTRIBUTES", "").Replace(declaring)))
	require.NoError(t, err)
	s := newSet([]*Pack{p})
	values := func(list ...string) map[string]jsontext.Value {
		out := map[string]jsontext.Value{}
		for i := 0; i < len(list); i += 2 {
			out[list[i]] = jsontext.Value(list[i+1])
		}
		return out
	}
	require.Empty(t, s.CheckReport(values("clients", "5", "downtime", `{"atLeast":"PT1H"}`, "cost", `{"amount":1,"currency":"EUR"}`, "spread", `"world"`, "malicious", "null", "clients-share", "1"), nil))
	for _, row := range [][]string{
		{"client", "5"}, {"clients", `"5"`}, {"clients-share", "1.5"}, {"downtime", "5"}, {"cost", "5"}, {"cost", `{"amount":5}`}, {"spread", `"galaxy"`}, {"malicious", `"yes"`}, {"entity", `"other"`},
	} {
		faults := s.CheckReport(values(row...), nil)
		require.Len(t, faults, 1, row)
		require.Equal(t, "facts.named."+row[0], faults[0].Path)
	}
	require.Empty(t, s.CheckAttributes(values("entity", `"essential"`)))
	require.Equal(t, []fault.Detail{{Path: "attributes.clients", Message: "no statute pack in use declares this fact"}}, s.CheckAttributes(values("clients", "5")))
}
