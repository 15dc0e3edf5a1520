package event

import (
	"slices"
	"time"
)

// Confidence says how sure a line of a pack is. It is shown wherever the
// line's figure is shown.
type Confidence string

const (
	ConfidenceText           Confidence = "text"           // read in the text or a verbatim quotation
	ConfidenceSecondary      Confidence = "secondary"      // stated by a secondary source
	ConfidenceUnverified     Confidence = "unverified"     // from memory or a draft, not confirmed
	ConfidenceInterpretation Confidence = "interpretation" // our reading where the text is silent
)

// Hit is a criterion that the known facts meet.
type Hit struct {
	Statute    string     `json:"statute"`
	Criterion  string     `json:"criterion"`
	Grade      Grade      `json:"grade"`
	Citation   string     `json:"citation"` // instrument and article
	Quote      string     `json:"quote"`    // the clause in Chinese, which governs
	Confidence Confidence `json:"confidence"`
}

// Unknown is a fact whose absence leaves a graver criterion open, criterion by
// criterion.
type Unknown struct {
	Fact      string `json:"fact"` // path within the report's data: facts.directLoss
	Statute   string `json:"statute"`
	Criterion string `json:"criterion"`
	Grade     Grade  `json:"grade"`
}

// Next is when the grade rises by the mere passing of time.
type Next struct {
	At    time.Time `json:"at"`
	Grade Grade     `json:"grade"`
}

// StatuteGrade is the grade under one statute.
type StatuteGrade struct {
	Statute  string `json:"statute"`
	Grade    Grade  `json:"grade"`    // the greater of Computed and the operator's own; or as a department determined
	Computed Grade  `json:"computed"` // 初判
	CouldBe  Grade  `json:"couldBe"`
}

// OwnGrade is the operator's own grade beside ours, where they differ.
type OwnGrade struct {
	Grade    Grade `json:"grade"`    // 研判
	Computed Grade `json:"computed"` // 初判
	Raised   bool  `json:"raised"`   // the own grade is graver and stands
}

// Assessment is what the law says of known facts at one moment.
type Assessment struct {
	Grade    Grade          `json:"grade"`
	CouldBe  Grade          `json:"couldBe"` // the gravest grade that unknown facts allow
	Statutes []StatuteGrade `json:"statutes"`
	Own      *OwnGrade      `json:"own,omitempty"`
	Hits     []Hit          `json:"hits"`
	// CouldBeIf are the facts that are missing for a graver grade, the gravest
	// grade first; each stands once.
	CouldBeIf []Missing `json:"couldBeIf,omitempty"`
	Next      *Next     `json:"next"`
	// Unknown says the same criterion by criterion, which follows from the facts
	// and the packs. No record holds it: it was four fifths of one.
	Unknown []Unknown `json:"-"`
}

// Missing are facts that could raise the grade to this one.
type Missing struct {
	Grade Grade    `json:"grade"`
	Facts []string `json:"facts"` // paths within the report's data: facts.directLoss
}

// CouldBeIf groups what is unknown, the gravest first, by the gravest grade that
// each fact leaves open.
func CouldBeIf(unknown []Unknown) (out []Missing) {
	listed := func(fact string) bool {
		return slices.ContainsFunc(out, func(m Missing) bool { return slices.Contains(m.Facts, fact) })
	}
	for _, u := range unknown {
		switch last := len(out) - 1; {
		case listed(u.Fact):
		case last >= 0 && out[last].Grade == u.Grade:
			out[last].Facts = append(out[last].Facts, u.Fact)
		default:
			out = append(out, Missing{u.Grade, []string{u.Fact}})
		}
	}
	return out
}

// Act is what a duty demands (报送).
type Act string

const (
	ActReport      Act = "report"       // 报告
	ActForward     Act = "forward"      // 上报
	ActNotify      Act = "notify"       // 通报
	ActCrimeNotice Act = "crime-notice" // notice of a suspected crime; not the operator's own 报案
	ActUpdate      Act = "update"       // to a desk told before; no duty is new
	ActReview      Act = "review"       // a person must look: the record could not be handled
	ActTransfer    Act = "transfer"     // 移送: another desk hands the incident on
	ActNotice      Act = "notice"       // of another desk's silence, or of what this one holds: ids and times only
)

// Duty is one line of the law as it falls on one obligor towards one desk.
type Duty struct {
	Statute    string     `json:"statute"`
	Duty       string     `json:"duty"`
	From       string     `json:"from"` // the obligor: an operator or a desk
	Desk       string     `json:"desk"` // the recipient
	Act        Act        `json:"act"`
	Facilities []string   `json:"facilities"`
	DueAt      *time.Time `json:"dueAt"` // null: "promptly", or a report that starts no clock
	// StrictDueAt is the limit counted from discovery, where a later regrade
	// first made the incident reportable and DueAt counts from that.
	StrictDueAt *time.Time `json:"strictDueAt,omitempty"`
	// LateBy is how long after DueAt the escalation that carries the duty was
	// durable for the desk (迟报); nil where it was in time. Of a duty that
	// stands it says that a corrected claim has shown it to have been late.
	LateBy *Duration `json:"lateBy,omitempty"`
	// ToldAt is the moment of the revision that decided to carry it out; nil
	// before, and on what carries it out.
	ToldAt     *time.Time `json:"toldAt,omitempty"`
	Items      []string   `json:"items,omitempty"` // items of the report that the duty discloses; nil: all
	Citation   string     `json:"citation"`        // instrument and article
	Quote      string     `json:"quote"`           // the clause in Chinese, which governs
	Confidence Confidence `json:"confidence"`
	// OnBehalf says on whose authority the router acts where the obligor is a
	// department (自动转报, 未经核实).
	OnBehalf *OnBehalf `json:"onBehalf,omitempty"`
}

// OnBehalf is the authority for a forward that a machine makes for a
// department.
type OnBehalf struct {
	ActedBy   string `json:"actedBy"`
	Authority string `json:"authority"`         // the document that authorises it
	Verified  bool   `json:"verified"`          // false: nobody at the department has looked
	Officer   string `json:"officer,omitempty"` // the post that confirmed it, where one did
}
