package statute

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/statute/calendar"
	"github.com/tocsin-project/tocsin/internal/statute/sourcetext"
)

// Pack is one instrument of the law.
type Pack struct {
	ID     string `json:"id"`
	Title  Text   `json:"title"`
	Source string `json:"source"` // number of the instrument and the body that issued it
	// SourceFile is the path of its text, from the folder of the pack; empty where the
	// text does not come with it.
	SourceFile string `json:"sourceFile"`
	// CitationsZH has each citation of its lines in Chinese.
	CitationsZH event.Citations `json:"citationsZh"`
	Rank        Text            `json:"rank"` // its place in the hierarchy of norms
	Effective   Effective       `json:"effective"`
	// Jurisdiction is where it is law: the facilities of the same jurisdiction come under
	// it. Days are counted in Zone, without the days off of Calendar, unless the facility
	// has a zone or a calendar of its own.
	Jurisdiction string        `json:"jurisdiction"`
	Zone         string        `json:"zone"`     // IANA; empty: +08:00
	Calendar     string        `json:"calendar"` // the id of a calendar; empty: every day counts
	Note         Text          `json:"note"`
	Facts        []NamedFact   `json:"facts"`
	Criteria     []Criterion   `json:"criteria"`
	Duties       []DutyRule    `json:"duties"`
	FollowUps    []FollowUp    `json:"followUps"`
	Consequences []Consequence `json:"consequences"` // shown, never decided
	Retention    *Retention    `json:"retention"`    // nil: the pack does not define how long records are kept

	SHA256 string `json:"-"` // of Raw, in hex
	Raw    []byte `json:"-"` // as read; must not be changed

	text      sourcetext.Text // of SourceFile; nil: not read
	zone      *time.Location
	calendars map[string]*calendar.Calendar // of the set
}

// Text is a text in Chinese, which governs, and in English.
type Text struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// Effective is when an instrument is in force: from From until just before
// Until; a zero Until has no end. A calendar date is midnight at +08:00.
type Effective struct{ From, Until time.Time }

// Contains reports whether the instrument is in force at the time.
func (e Effective) Contains(at time.Time) bool {
	return !at.Before(e.From) && (e.Until.IsZero() || at.Before(e.Until))
}

// Criterion is a line that sets a grade.
type Criterion struct {
	ID         string           `json:"id"`
	Grade      event.Grade      `json:"grade"`
	For        Scope            `json:"for"` // the cases that it applies to; Grade is not used
	When       Condition        `json:"-"`
	Citation   string           `json:"citation"`
	Quote      string           `json:"quote"` // the clause in Chinese
	Confidence event.Confidence `json:"confidence"`
	Note       Text             `json:"note"`
	Kinds      []Kind           `json:"kinds"` // that the clause names; a hit lists those that the facts show
	Fixtures   Fixtures         `json:"fixtures"`

	judged bool // a person's judgement is part of the condition
	graded bool // the grade under another pack is part of the condition
}

// Kind is a kind of incident that a clause names without a number: it explains a hit, and
// never makes one.
type Kind struct {
	ID    string    `json:"id"`
	When  Condition `json:"-"`
	Quote string    `json:"quote"` // its words in the clause
}

// DutyRule is a line that defines who tells whom.
type DutyRule struct {
	ID         string           `json:"id"`
	For        Scope            `json:"-"`
	When       Condition        `json:"-"` // nil: whenever the scope covers the case
	From       Party            `json:"from"`
	To         Party            `json:"to"`
	Act        event.Act        `json:"act"`
	Within     *calendar.Limit  `json:"within"` // nil: promptly, without a number
	Clock      Clock            `json:"clock"`
	OrEarlier  []Term           `json:"orEarlier"` // other limits, of which the first to end counts
	Terms      []Term           `json:"-"`         // all of these limits; nil: promptly
	Items      []string         `json:"items"`     // items of the report that it discloses; nil: all
	Manual     bool             `json:"manual"`    // a person chooses the recipients: shown, never routed
	Citation   string           `json:"citation"`
	Quote      string           `json:"quote"` // the clause in Chinese
	Confidence event.Confidence `json:"confidence"`
	Note       Text             `json:"note"`
}

// Consequence is what the text says of failing a duty. It is for people who ask: nothing
// is decided by it.
type Consequence struct {
	ID         string           `json:"id"`
	Of         []string         `json:"of"` // the duties and follow-ups that it is about; nil: all of the pack
	Text       Text             `json:"text"`
	Citation   string           `json:"citation"`
	Quote      string           `json:"quote"`
	Confidence event.Confidence `json:"confidence"`
	Note       Text             `json:"note"`
}

// Scope is the set of cases that a line applies to. Zero fields do not restrict.
type Scope struct {
	About   []event.About `json:"about"`
	Grade   event.Grade   `json:"grade"`  // from this grade on, under the pack of the line
	Region  string        `json:"region"` // prefix of a GB/T 2260 code
	Sector  []string      `json:"sector"`
	Except  []string      `json:"exceptSector"`
	CII     *bool         `json:"cii"`     // of the facility
	Central *bool         `json:"central"` // of the operator: a central organ or its affiliated unit
	// OwnIncident limits a duty for a facility beside CII to what the facts say of that
	// facility itself.
	OwnIncident bool `json:"ownIncident"`

	jurisdiction string // of the pack
}

func (s *Scope) coversCase(c *Case) bool {
	about := c.Report.About
	if about == "" {
		about = event.AboutIncident
	}
	return slices.Contains(s.About, about) && (s.Central == nil || *s.Central == c.Operator.Central)
}

func (s *Scope) coversFacility(f *Facility) bool {
	return s.coversPlace(f) && (s.CII == nil || *s.CII == f.CII)
}

func (s *Scope) coversPlace(f *Facility) bool {
	return cmp.Or(f.Jurisdiction, Home) == s.jurisdiction &&
		strings.HasPrefix(f.Region, s.Region) &&
		(s.Sector == nil || slices.Contains(s.Sector, f.Sector)) && !slices.Contains(s.Except, f.Sector)
}

// coversAny reports whether the line applies to the case for any of its facilities.
func (s *Scope) coversAny(c *Case) bool {
	if !s.coversCase(c) {
		return false
	}
	if len(c.Facilities) == 0 {
		return s.Region == "" && s.Sector == nil && s.Except == nil && s.CII == nil
	}
	for i := range c.Facilities {
		if s.coversFacility(&c.Facilities[i]) {
			return true
		}
	}
	return false
}

// Clock is the event from which a limit counts.
type Clock string

// The events that limits count from.
const (
	ClockDiscovered Clock = "discovered" // discovered or learned of (发现或获知)
	ClockReported   Clock = "reported"   // reported to the obligor who must pass it on
	ClockGraded     Clock = "graded"     // graded so that the duty applies
	ClockHandled    Clock = "handled"    // handling has ended
	ClockClassified Clock = "classified" // classified by the operator; graded, if it does not say when
	ClockRansomPaid Clock = "ransom-paid"
	ClockOralNotice Clock = "oral-notice" // an authority was told orally
)

// Party is one end of a duty. The register resolves it to a desk.
type Party struct {
	Role  Role  `json:"role"`
	Level Level `json:"level"` // empty for roles that exist once for a facility or operator
	// Of is RoleOperator where the department is that of the operator's place (属地);
	// empty: that of the facility's.
	Of Role `json:"of"`
}

// String names the party by its level and role.
func (p Party) String() string { return strings.TrimSpace(string(p.Level) + " " + string(p.Role)) }

// Role is what a party is to the case.
type Role string

// The roles of parties.
const (
	RoleOperator         Role = "operator"          // only as the one who tells
	RoleProtection       Role = "protection"        // 保护工作部门 of the facility
	RolePublicSecurity   Role = "public-security"   // 公安机关
	RoleCyberspace       Role = "cyberspace"        // 网信部门
	RoleCyberspaceOffice Role = "cyberspace-office" // a central organ's own 网信工作机构
	RoleDepartments      Role = "departments"       // those concerned; only where a person chooses
)

// Level is the administrative level of a department.
type Level string

// The levels of departments, the highest first.
const (
	LevelNational   Level = "national"
	LevelProvince   Level = "province"
	LevelPrefecture Level = "prefecture"
	LevelCounty     Level = "county"
	LevelOwn        Level = "own" // the operator's own level
)

// Case is the input of grading.
type Case struct {
	Operator   Operator
	Facilities []Facility
	Report     event.Report // the merged facts of all reports
	// Determined is the grade that a department has set (认定); nil: none has.
	Determined *Determination
	alone      bool // only what is of the facility itself counts: see ownOf
}

// ownOf returns the incident of one facility as far as the facts say that it is its own:
// its outages, and sites. What is said of the whole belongs to the CII that it covers.
func (c *Case) ownOf(f Facility) Case {
	own := Case{Operator: c.Operator, Facilities: []Facility{f}, Report: c.Report, alone: true}
	own.Report.OwnGrade = event.Ungraded
	own.Report.Facts.Outage = slices.DeleteFunc(slices.Clone(c.Report.Facts.Outage), func(o event.Outage) bool { return o.Facility != f.ID })
	return own
}

// Determination is a department's own grade. It overrides the operator's own grade and
// any computed one, even a graver one, until a criterion is met that it did not judge.
type Determination struct {
	Grade event.Grade
	Over  []string // the hits ("statute/criterion") when it was made
}

// Operator is what the law needs to know of the operator.
type Operator struct {
	Level   Level // empty when it has none
	Central bool  // a central organ or its affiliated unit
	// Attributes are what the register says of the facts "operator.…" that packs declare.
	Attributes map[string]jsontext.Value
}

// Facility is what the law needs to know of a facility.
type Facility struct {
	ID     string `json:"id"`
	Region string `json:"region"` // GB/T 2260
	Sector string `json:"sector"`
	CII    bool   `json:"cii"`
	// Jurisdiction is where it is; empty: Home.
	Jurisdiction string         `json:"jurisdiction"`
	Zone         *time.Location `json:"-"`        // nil: that of the pack
	Calendar     string         `json:"calendar"` // empty: that of the pack
}

// Fixtures are cases with the verdict that a criterion must give for them.
type Fixtures struct {
	Hit     oneOrMore[Fixture] `json:"hit"`     // the criterion is met
	Below   oneOrMore[Fixture] `json:"below"`   // just short of it: not met
	Missing oneOrMore[Fixture] `json:"missing"` // a fact is missing: unknown
}

// Fixture is one such case.
type Fixture struct {
	Case Case
	At   time.Time // zero: when the pack comes into force

	report json.RawMessage // as written, until it is decoded into Case
}
