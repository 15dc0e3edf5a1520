package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// generator makes records as a country's operators would: incidents overlap, most are
// small, some last long, and each is reported, graded, escalated to several desks,
// acknowledged or not, and revised. A record has 1.5 KB with its headers.
type generator struct {
	rand      *rand.Rand
	seq       uint64
	incidents int
	fast      []*plot
	slow      []*plot
	words     []string // Chinese, of two to four characters
	english   []string
	sheets    []sheet
	graded    sheet
	accepted  []byte
}

// plot is an incident and the progress of its story.
type plot struct {
	operator, incident, title string
	sector, region            int
	sheet                     int
	grade                     event.Grade
	revision, revisions       int
	steps                     []step // left of this revision
}

type step struct {
	kind string
	desk string
	at   time.Time // escalated
}

const (
	generatedOperators = 45
	generatedSectors   = 12
	generatedDesks     = 60
	generatedStatutes  = 10
	everyRecord        = 3 * time.Second // between two records
)

var generatedStart = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

func operatorName(i int) string { return fmt.Sprint("operator-", i) }
func sectorName(i int) string   { return fmt.Sprint("sector-", i) }
func deskName(i int) string     { return fmt.Sprint("desk-", i) }
func statuteName(i int) string  { return fmt.Sprint("statute-", i) }

// regionName is a prefecture in one of 31 provinces.
func regionName(i int) string { return fmt.Sprintf("%d%02d00", 11+i%31, 1+i/31%12) }

const generatedRegions = 31 * 12

func newGenerator(seed uint64) *generator {
	g := &generator{rand: rand.New(rand.NewPCG(seed, 1))}
	characters := []rune(strings.Repeat("网络系统故障攻击数据泄露中断服务电力调度变电站水厂支付清算医院平台门户篡改勒索病毒", 1))
	for c := rune('一'); len(characters) < 1200; c += 13 {
		characters = append(characters, c)
	}
	skewed := func(n int) int { f := g.rand.Float64(); return int(f * f * f * float64(n)) }
	for range 3000 {
		word := ""
		for range 2 + g.rand.IntN(3) {
			word += string(characters[skewed(len(characters))])
		}
		g.words = append(g.words, word)
	}
	for i := range 600 {
		g.english = append(g.english, fmt.Sprintf("%s%s", []string{"server", "outage", "data", "leak", "Phish", "DDoS", "grid", "Pump"}[i%8], strings.Repeat(string(rune('a'+i%26)), 1+i/26%4)))
	}
	for i := range 24 {
		g.sheets = append(g.sheets, escalatedSheet(i))
	}
	g.graded = gradedSheet()
	g.accepted = ledgertest.Must(event.NewRecord("incident.accepted.a.b.c", ledgertest.Nine, "", event.Accepted{Event: ledgertest.Filler(700)})).Data
	g.fast, g.slow = make([]*plot, 2000), make([]*plot, 20000)
	return g
}

// sheet is a body with placeholders.
type sheet struct {
	parts [][]byte
	holes []string // what comes after each part but the last
}

// newSheet splits the JSON of v at strings "@name@"; for a name in capitals the quotes
// are removed too.
func newSheet(v any, change func(map[string]any)) sheet {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		panic(err)
	}
	change(m)
	if raw, err = json.Marshal(m); err != nil {
		panic(err)
	}
	var s sheet
	for i, p := range bytes.Split(raw, []byte("@")) {
		if i%2 == 1 {
			s.holes = append(s.holes, string(p))
		} else {
			s.parts = append(s.parts, p)
		}
	}
	for i, h := range s.holes {
		if h == strings.ToUpper(h) {
			s.parts[i] = bytes.TrimSuffix(s.parts[i], []byte(`"`))
			s.parts[i+1] = bytes.TrimPrefix(s.parts[i+1], []byte(`"`))
		}
	}
	return s
}

func (s sheet) fill(value func(hole string) string) []byte {
	var out []byte
	for i, p := range s.parts {
		out = append(out, p...)
		if i < len(s.holes) {
			out = append(out, value(s.holes[i])...)
		}
	}
	return out
}

func escalatedSheet(i int) sheet {
	duty := ledgertest.Duty
	duty.Statute, duty.LateBy, duty.Quote = statuteName(i%generatedStatutes), nil, shortQuote
	other := ledgertest.Duty
	other.Statute = statuteName((i + 3) % generatedStatutes)
	e := event.Escalated{
		About: event.AboutIncident, Peak: event.Major, From: "operator", Act: event.ActReport, Duties: []event.Duty{duty, other},
		DueAt: ledgertest.In(time.Hour), Facilities: []event.Facility{{ID: "facility"}}, Report: ledgertest.Filler(900),
		Hits: []event.Hit{{Statute: duty.Statute, Quote: duty.Quote, Citation: "第四条", Confidence: event.ConfidenceText}},
	}
	if i%4 == 3 {
		e.Duties = nil
		e.Standing, e.Act = []event.Duty{duty}, event.ActUpdate
	}
	return newSheet(e, func(m map[string]any) {
		m["escalation"], m["desk"], m["operator"], m["incident"], m["revision"] = "@id@", "@desk@", "@operator@", "@incident@", "@REVISION@"
		m["grade"], m["reportedAt"], m["acknowledgeBy"], m["late"] = "@grade@", "@reported@", "@by@", "@LATE@"
		m["facilities"] = []any{map[string]any{"id": "facility", "region": "@region@", "sector": "@sector@"}}
		m["report"] = map[string]any{"title": "@title@", "impact": strings.Repeat("影响", 30), "measures": strings.Repeat("x", 100)}
	})
}

const shortQuote = "网络运营者应当及时报告。"

func gradedSheet() sheet {
	g := ledgertest.GradedBody("i", 1)
	for i := range g.Duties {
		g.Duties[i].Quote = shortQuote
		g.Escalations[i].Duties[0].Quote = shortQuote
	}
	for path, f := range g.State.Fields {
		f.Value = ledgertest.Filler(60)
		g.State.Fields[path] = f
	}
	return newSheet(jsontext.Value(ledgertest.Must(event.NewRecord("incident.graded.a.b.1", ledgertest.Nine, "", g)).Data), func(m map[string]any) {
		m["operator"], m["incident"], m["revision"], m["grade"] = "@operator@", "@incident@", "@REVISION@", "@grade@"
		m["state"].(map[string]any)["fields"].(map[string]any)["title"] = map[string]any{"value": "@title@", "at": ledgertest.Nine, "record": 1}
	})
}

// title returns some words; the frequent ones are in many titles.
func (g *generator) title() string {
	skewed := func(words []string) string {
		f := g.rand.Float64()
		return words[int(f*f*float64(len(words)))]
	}
	var b strings.Builder
	for range 3 + g.rand.IntN(4) {
		if g.rand.IntN(4) == 0 {
			b.WriteString(" " + skewed(g.english) + " ")
		} else {
			b.WriteString(skewed(g.words))
		}
	}
	return b.String()
}

func (g *generator) begin() *plot {
	g.incidents++
	o := int(g.rand.Float64() * g.rand.Float64() * generatedOperators)
	p := &plot{
		operator: operatorName(o), title: g.title(), sector: o % generatedSectors, region: g.rand.IntN(generatedRegions),
		incident: fmt.Sprintf("%s-%07d", generatedStart.Format("2006"), g.incidents), sheet: g.rand.IntN(len(g.sheets)), revisions: 1,
	}
	p.grade = []event.Grade{event.General, event.General, event.General, event.RelativelyLarge, event.RelativelyLarge, event.Major, event.EspeciallyGrave}[g.rand.IntN(7)]
	for g.rand.IntN(3) == 0 && p.revisions < 5 {
		p.revisions++
	}
	return p
}

// desks returns the desks told: that of the sector, and some others.
func (g *generator) desks(p *plot) []string {
	out := []string{deskName(p.sector)}
	for g.rand.IntN(3) > 0 && len(out) < 4 {
		d := deskName(generatedSectors + g.rand.IntN(generatedDesks-generatedSectors))
		if !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// records makes the next n.
func (g *generator) records(n int) []event.Stored {
	out := make([]event.Stored, 0, n)
	for len(out) < n {
		pool := g.fast
		if g.rand.IntN(20) == 0 {
			pool = g.slow
		}
		i := g.rand.IntN(len(pool))
		if pool[i] == nil {
			pool[i] = g.begin()
		}
		s, more := g.next(pool[i])
		if !more {
			pool[i] = nil
		}
		out = append(out, s)
	}
	return out
}

// next makes the next record of an incident, and reports whether more follow.
func (g *generator) next(p *plot) (event.Stored, bool) {
	g.seq++
	at := generatedStart.Add(time.Duration(g.seq) * everyRecord)
	stored := func(subject string, data []byte) event.Stored {
		return event.Stored{Record: event.Record{Subject: subject, Time: at, Salt: strconv.FormatUint(g.seq, 10), Data: data}, Sequence: g.seq, StoredAt: at}
	}
	tail := p.operator + "." + p.incident + "."
	if len(p.steps) == 0 {
		p.revision++
		p.steps = append(p.steps, step{kind: event.KindGraded})
		for _, d := range g.desks(p) {
			p.steps = append(p.steps, step{kind: event.KindEscalated, desk: d})
		}
		return stored("incident.accepted."+tail+"r"+strconv.Itoa(p.revision), g.accepted), true
	}
	s := p.steps[0]
	p.steps = p.steps[1:]
	id := s.desk + "." + tail + strconv.Itoa(p.revision)
	var out event.Stored
	switch s.kind {
	case event.KindGraded:
		out = stored("incident.graded."+tail+strconv.Itoa(p.revision), g.graded.fill(g.values(p, s, at, id)))
	case event.KindEscalated:
		out = stored("incident.escalated."+id, g.sheets[p.sheet].fill(g.values(p, s, at, id)))
		s.at = at
		if g.rand.IntN(10) == 0 {
			p.steps = append(p.steps, step{event.KindOverdue, s.desk, at})
		}
		if g.rand.IntN(20) > 0 {
			p.steps = append(p.steps, step{event.KindAcknowledged, s.desk, at})
		}
	case event.KindOverdue:
		out = stored("incident.overdue."+id, fmt.Appendf(nil, `{"escalation":%q,"at":%q}`, id, at.Format(time.RFC3339Nano)))
	default:
		out = stored("incident.acknowledged."+id, fmt.Appendf(nil, `{"escalation":%q,"officer":"duty-officer","at":%q}`, id, at.Format(time.RFC3339Nano)))
	}
	return out, len(p.steps) > 0 || p.revision < p.revisions
}

func (g *generator) values(p *plot, s step, at time.Time, id string) func(string) string {
	return func(hole string) string {
		switch hole {
		case "id":
			return id
		case "desk":
			return s.desk
		case "operator":
			return p.operator
		case "incident":
			return p.incident
		case "REVISION":
			return strconv.Itoa(p.revision)
		case "grade":
			return p.grade.String()
		case "reported":
			return at.Format(time.RFC3339Nano)
		case "by":
			return at.Add(time.Duration(1+g.seq%24) * time.Hour).Format(time.RFC3339Nano)
		case "LATE":
			return strconv.FormatBool(g.seq%9 == 0)
		case "region":
			return regionName(p.region)
		case "sector":
			return sectorName(p.sector)
		case "title":
			return p.title
		}
		panic(hole)
	}
}
