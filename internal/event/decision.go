package event

import (
	"slices"
	"time"
)

// Confidence is how sure the text of a pack's line is. It is shown wherever the line's
// figure is shown.
type Confidence string

// The degrees of confidence.
const (
	ConfidenceText           Confidence = "text"           // read in the text or a verbatim quotation
	ConfidenceSecondary      Confidence = "secondary"      // stated by a secondary source
	ConfidenceUnverified     Confidence = "unverified"     // from memory or a draft, not confirmed
	ConfidenceInterpretation Confidence = "interpretation" // our reading where the text is silent
)

// confidences are the degrees, the strongest first.
var confidences = []Confidence{ConfidenceText, ConfidenceSecondary, ConfidenceInterpretation, ConfidenceUnverified}

// Weakest returns the weakest of several confidences; none is as strong as the text.
func Weakest(list ...Confidence) Confidence {
	rank := 0
	for _, c := range list {
		rank = max(rank, slices.Index(confidences, c))
	}
	return confidences[rank]
}

// Surest returns the weakest of the n strongest confidences, of all where there are fewer.
func Surest(list []Confidence, n int) Confidence {
	rank := func(c Confidence) int { return slices.Index(confidences, c) }
	if n == 1 && len(list) > 0 {
		return Weakest(slices.MinFunc(list, func(a, b Confidence) int { return rank(a) - rank(b) }))
	}
	sorted := slices.SortedFunc(slices.Values(list), func(a, b Confidence) int { return rank(a) - rank(b) })
	return Weakest(sorted[:min(n, len(sorted))]...)
}

// Hit is a criterion that the known facts meet.
type Hit struct {
	Statute    string     `json:"statute"`
	Criterion  string     `json:"criterion"`
	Grade      Grade      `json:"grade"`
	Citation   string     `json:"citation"`             // instrument and article
	CitationZH string     `json:"citationZh,omitempty"` // the same in Chinese; not recorded, see Citations
	Quote      string     `json:"quote"`                // the clause in Chinese, which governs
	Confidence Confidence `json:"confidence"`           // the weakest of what it rests on
	// Kinds lists the kinds of incident, named by the clause without a number, that the
	// facts show.
	Kinds []IncidentKind `json:"kinds,omitempty"`
}

// IncidentKind is a kind of incident that a clause names.
type IncidentKind struct {
	ID    string `json:"id"`
	Quote string `json:"quote"` // its words in the clause
}

// Unknown is a fact whose absence leaves a graver criterion open, one entry for each
// criterion.
type Unknown struct {
	Fact      string `json:"fact"` // path within the report's data: facts.directLoss
	Statute   string `json:"statute"`
	Criterion string `json:"criterion"`
	Grade     Grade  `json:"grade"`
}

// Next is when time alone raises the grade.
type Next struct {
	At         time.Time  `json:"at"`
	Grade      Grade      `json:"grade"`
	Confidence Confidence `json:"confidence,omitempty"` // the weakest of what the rise rests on
}

// StatuteGrade is the grade under one statute.
type StatuteGrade struct {
	Statute  string `json:"statute"`
	Grade    Grade  `json:"grade"`    // the greater of Computed and the operator's own; or the department's determination
	Computed Grade  `json:"computed"` // 初判
	CouldBe  Grade  `json:"couldBe"`
}

// OwnGrade is the operator's own grade beside the computed one, where they differ.
type OwnGrade struct {
	Grade    Grade `json:"grade"`    // 研判
	Computed Grade `json:"computed"` // 初判
	Raised   bool  `json:"raised"`   // the own grade is graver and is used
}

// Assessment is what the law makes of the known facts at one moment.
type Assessment struct {
	Grade    Grade          `json:"grade"`
	CouldBe  Grade          `json:"couldBe"` // the gravest grade that unknown facts allow
	Statutes []StatuteGrade `json:"statutes"`
	Own      *OwnGrade      `json:"own,omitempty"`
	Hits     []Hit          `json:"hits"`
	// CouldBeIf lists the facts that are missing for a graver grade, the gravest grade
	// first, each fact once.
	CouldBeIf []Missing `json:"couldBeIf,omitempty"`
	Next      *Next     `json:"next"`
	// Unknown is the same for each criterion, which follows from the facts and the packs.
	// It is not recorded: it made up four fifths of a record.
	Unknown []Unknown `json:"-"`
}

// Missing are facts that could raise the grade to this one.
type Missing struct {
	Grade Grade    `json:"grade"`
	Facts []string `json:"facts"` // paths within the report's data: facts.directLoss
}

// CouldBeIf groups the unknown facts by the gravest grade that each leaves open, the
// gravest first.
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

// The acts that a desk is told under.
const (
	ActReport      Act = "report"       // 报告
	ActForward     Act = "forward"      // 上报
	ActNotify      Act = "notify"       // 通报
	ActCrimeNotice Act = "crime-notice" // notice of a suspected crime; not the operator's own 报案
	ActUpdate      Act = "update"       // to a desk that was told before; no duty is new
	ActReview      Act = "review"       // a person must review it: the record could not be handled
	ActTransfer    Act = "transfer"     // 移送: another desk transfers the incident
	ActNotice      Act = "notice"       // of another desk's silence, or of a forward that this desk owes: ids and times only
)

// Duty is one line of the law as it applies to one obligor and one desk.
type Duty struct {
	Statute    string     `json:"statute"`
	Duty       string     `json:"duty"`
	From       string     `json:"from"` // the obligor: an operator or a desk
	Desk       string     `json:"desk"` // the recipient
	Act        Act        `json:"act"`
	Facilities []string   `json:"facilities"`
	DueAt      *time.Time `json:"dueAt"` // null: "promptly", or a report that starts no clock
	// StrictDueAt is the limit counted from discovery, where a later regrade first made
	// the incident reportable and DueAt counts from that regrade.
	StrictDueAt *time.Time `json:"strictDueAt,omitempty"`
	// CalendarEnds is the last day of the calendar by which DueAt counts working days, if
	// DueAt is later: a holiday announced since may move it (2026-12-31).
	CalendarEnds string `json:"calendarEnds,omitempty"`
	// LateBy is how long after DueAt the escalation that carries the duty was on disk for
	// the desk (迟报); nil where it was in time. On a standing duty it means that a
	// corrected discovery time has shown it to have been late.
	LateBy *Duration `json:"lateBy,omitempty"`
	// ToldAt is the moment of the revision that decided to fulfil the duty; nil before,
	// and in the escalation that fulfils it.
	ToldAt     *time.Time `json:"toldAt,omitempty"`
	Items      []string   `json:"items,omitempty"`      // items of the report that the duty discloses; nil: all
	Citation   string     `json:"citation"`             // instrument and article
	CitationZH string     `json:"citationZh,omitempty"` // the same in Chinese; not recorded, see Citations
	Quote      string     `json:"quote"`                // the clause in Chinese, which governs
	Confidence Confidence `json:"confidence"`           // the weakest of what the duty rests on
	// OnBehalf is the authority on which the router acts where the obligor is a
	// department (自动转报, 未经核实).
	OnBehalf *OnBehalf `json:"onBehalf,omitempty"`
}

// OnBehalf is the authority for a forward that the system makes for a department.
type OnBehalf struct {
	ActedBy   string `json:"actedBy"`
	Authority string `json:"authority"`         // the document that authorises it
	Verified  bool   `json:"verified"`          // false: nobody at the department has reviewed it
	Officer   string `json:"officer,omitempty"` // the post that confirmed it, if any
}

// PossibleDuty is who would have to be told under which article, if facts that are not
// known were so.
type PossibleDuty struct {
	Statute string   `json:"statute"`
	From    string   `json:"from,omitempty"`
	Desks   []string `json:"desks,omitempty"` // on a receipt none: it names parties only by their roles
	To      []string `json:"to,omitempty"`    // the roles, on a receipt
	Act     Act      `json:"act"`
	// Grade is the grade from which it would be owed; absent where that is reached.
	Grade Grade `json:"grade,omitzero"`
	// Facts are those that would decide. Records leave out those of the grade, which
	// their CouldBeIf lists: see WithFacts.
	Facts      []string   `json:"facts,omitempty"`
	Citation   string     `json:"citation"`
	CitationZH string     `json:"citationZh,omitempty"` // not recorded, see Citations
	Confidence Confidence `json:"confidence"`
}

// WithFacts returns possible duties with all the facts that would decide each.
func WithFacts(possible []PossibleDuty, couldBeIf []Missing) []PossibleDuty {
	out := slices.Clone(possible)
	for i := range out {
		p := &out[i]
		p.Facts = slices.Clone(p.Facts)
		for _, m := range couldBeIf {
			if p.Grade != Ungraded && m.Grade >= p.Grade {
				p.Facts = append(p.Facts, m.Facts...)
			}
		}
	}
	return out
}
