package grading

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/statute"
	"github.com/tocsin-project/tocsin/schemas"
)

// story folds the causes of one incident, from ledger sequence 10 on.
type story struct {
	t    require.TestingT
	rb   Rulebook
	last *event.Graded
	seq  uint64
}

func tell(t require.TestingT, rb Rulebook) *story { return &story{t: t, rb: rb, seq: 9} }

// cause returns a report, a moment or a desk's act as a cause.
func cause(record uint64, body any) Cause {
	switch b := body.(type) {
	case *event.Accepted:
		return ReportCause(record, b)
	case *event.Elapsed:
		return MomentCause(record, b)
	case *event.DeskAct:
		return ActCause(record, b)
	}
	panic(fmt.Sprintf("a %T makes no revision", body))
}

// fold folds one cause; nil if it makes no revision.
func (s *story) fold(body any) *event.Graded {
	s.seq++
	g, err := s.rb.Revise(s.last, cause(s.seq, body), nil)
	require.NoError(s.t, err)
	if g != nil {
		s.last = g
	}
	return g
}

func (s *story) elapsed(at time.Time) *event.Graded {
	return s.fold(&event.Elapsed{Operator: s.last.Operator, Incident: s.last.Incident, Revision: s.last.Revision, At: at})
}

// elapse folds the foreseen moment.
func (s *story) elapse() *event.Graded {
	require.NotNil(s.t, s.last.RegradeAt)
	return s.elapsed(*s.last.RegradeAt)
}

// on returns a time of the day of nine; from 24:00 on, of the following days.
func on(hhmm string) time.Time {
	var h, m, sec int
	if n, _ := fmt.Sscanf(hhmm, "%d:%d:%d", &h, &m, &sec); n < 2 {
		panic(hhmm)
	}
	return time.Date(2026, 3, 2, h, m, sec, 0, nine.Location())
}

func hhmm(at *time.Time) string {
	if at == nil {
		return "never"
	}
	return at.In(nine.Location()).Format("15:04:05")
}

// reached lists "desk act" of a revision.
func reached(g *event.Graded) []string {
	out := []string{}
	for _, e := range g.Escalations {
		out = append(out, e.Desk+" "+string(e.Act))
	}
	slices.Sort(out)
	return out
}

// dues returns the times of all duties, by duty and facility.
func dues(g *event.Graded) map[string][2]string {
	out := map[string][2]string{}
	for _, d := range g.Duties {
		for _, f := range d.Facilities {
			out[d.Statute+"/"+d.Duty+"/"+f] = [2]string{hhmm(d.DueAt), hhmm(d.StrictDueAt)}
		}
	}
	return out
}

// withPack returns the rulebook with text of one embedded pack replaced; replace
// alternates old and new.
func withPack(t testing.TB, rb Rulebook, id string, replace ...string) Rulebook {
	t.Helper()
	files := fstest.MapFS{}
	for _, name := range []string{"cn-cii-2021", "cn-csirm-2025", "cn-xj-cii-2022", "cn-xj-netsec-2017"} {
		raw, err := fs.ReadFile(schemas.Statutes, name+".yaml")
		require.NoError(t, err)
		text := string(raw)
		for i := 0; name == id && i < len(replace); i += 2 {
			require.Contains(t, text, replace[i])
			text = strings.Replace(text, replace[i], replace[i+1], 1)
		}
		files[name+".yaml"] = &fstest.MapFile{Data: []byte(text)}
	}
	packs, err := statute.Load(files)
	require.NoError(t, err)
	rb.Statutes = packs
	return rb
}

// script draws the events of one incident: reports, and desks' acts.
type script struct {
	t      *rapid.T
	frozen bool // no report mentions an outage, or removes the facility that has it
	now    time.Time
	i      int
}

var (
	passes  = []time.Duration{0, time.Second, time.Minute, 4 * time.Minute, 25 * time.Minute, time.Hour, 5 * time.Hour, 20 * time.Hour}
	outages = []string{`[]`, `null`, `[{"scope":"overall","duration":"PT20M"}]`,
		`[{"scope":"overall","since":"2026-03-02T09:00:00+08:00"}]`, `[{"scope":"overall","since":"2026-03-02T08:45:00+08:00"}]`,
		`[{"scope":"main-function","since":"2026-03-02T08:58:00+08:00"}]`,
		`[{"scope":"overall","facility":"dispatch","since":"2026-03-02T09:00:00+08:00"},{"scope":"main-function","since":"2026-03-02T08:40:00+08:00"}]`,
		`[{"scope":"overall","since":"2026-03-02T09:00:00+08:00","until":"2026-03-02T09:09:00+08:00"}]`,
		`[{"scope":"overall","since":"2026-03-02T09:00:00+08:00","until":"2026-03-02T10:30:00+08:00"}]`}
	growing = []string{outages[3], outages[4], outages[5], outages[6]}
	told    = map[string][]string{
		"title": {"", "", `"A"`, `null`}, "cause": {"", "", `"C"`, `null`}, "impact": {"", "", `"I"`, `null`},
		"ownGrade": {"", "", "", "", `"relatively-large"`, `"major"`, `null`}, "about": {"", "", "", "", "", "", `"incident"`, `"threat"`},
		"facilities":   {"", "", "", "", `["dispatch"]`, `["office-portal"]`, `["dispatch","office-portal"]`},
		"discoveredAt": {"", "", `"2026-03-02T08:59:00+08:00"`, `"2026-03-02T09:04:00+08:00"`, `"2026-03-02T10:40:00+08:00"`, `null`},
		"handledAt":    {"", "", "", `"2026-03-02T10:00:00+08:00"`, `"2026-03-02T12:00:00+08:00"`, `"2026-04-01T12:00:00+08:00"`, `null`},
		"imported":     {"", "", "", "", "", "", "", "", "", `true`},
	}
	deskOf = []string{"protection-energy", "sh-public-security", "national-cyberspace", "sh-cyberspace"}
)

func (s *script) label(what string) string { return fmt.Sprint(what, " ", s.i) }

func (s *script) pick(what string, from []string) string {
	return rapid.SampledFrom(from).Draw(s.t, s.label(what))
}

// cause draws the next cause, at or after the last.
func (s *script) cause() any {
	s.i++
	s.now = s.now.Add(rapid.SampledFrom(passes).Draw(s.t, s.label("passes")))
	if s.i > 1 && rapid.IntRange(0, 3).Draw(s.t, s.label("act?")) == 0 {
		return s.act()
	}
	return s.report()
}

func (s *script) report() *event.Accepted {
	members := []string{`"other":"x"`}
	for _, path := range slices.Sorted(mapKeys(told)) {
		v := s.pick(path, told[path])
		if s.frozen && v == `["office-portal"]` {
			v = ""
		}
		if v != "" && !(s.i == 1 && (path == "facilities" || path == "imported" || path == "about")) {
			members = append(members, fmt.Sprintf("%q:%s", path, v))
		}
	}
	var facts []string
	kind := "progress"
	switch {
	case s.i == 1:
		kind = "initial"
		members = append(members, `"facilities":["dispatch"]`)
		facts = append(facts, `"outage":`+s.pick("outage", growing))
	case !s.frozen && rapid.Bool().Draw(s.t, s.label("outage?")):
		facts = append(facts, `"outage":`+s.pick("outage", outages))
	}
	if v := s.pick("people", []string{"", "", "", "5", "1000000", "null"}); v != "" && s.i > 1 {
		facts = append(facts, `"peopleAffected":`+v)
	}
	if s.i > 1 {
		kind = s.pick("kind", []string{"progress", "progress", "progress", "progress", "final", "withdrawal"})
	}
	if kind == "withdrawal" {
		members = append(members, `"reason":"false-alarm"`)
	}
	if len(facts) > 0 {
		members = append(members, `"facts":{`+strings.Join(facts, ",")+"}")
	}
	return taken(kind, fmt.Sprint("r", s.i), s.now, strings.Join(members, ","))
}

func (s *script) act() *event.DeskAct {
	a := &event.DeskAct{
		Kind: s.pick("act", []string{event.KindAsked, event.KindDetermined, event.KindTransferred, event.KindConfirmed}), ID: fmt.Sprint("a", s.i),
		Desk: s.pick("desk", deskOf), Operator: "grid-east", Incident: "x", Officer: "duty", Reason: fmt.Sprint("why ", s.i), At: s.now,
	}
	switch a.Kind {
	case event.KindAsked:
		a.Items = []string{"cause", "impact"}[:rapid.IntRange(1, 2).Draw(s.t, s.label("items"))]
		if rapid.Bool().Draw(s.t, s.label("due")) {
			due := s.now.Add(time.Hour)
			a.DueAt = &due
		}
	case event.KindDetermined:
		a.Grade = rapid.SampledFrom(event.Grades).Draw(s.t, s.label("grade"))
	case event.KindTransferred:
		a.To = s.pick("to", deskOf)
	case event.KindConfirmed:
		a.Desk, a.To = "protection-energy", s.pick("to", []string{"", "national-cyberspace", "national-public-security"})
	}
	return a
}
