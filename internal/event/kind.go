package event

import "strings"

// The kinds of records: the second token of a subject, except for rules, where it is the
// first.
const (
	KindAccepted     = "accepted"
	KindGraded       = "graded"
	KindEscalated    = "escalated"
	KindAcknowledged = "acknowledged"
	KindUnhandled    = "unhandled"
	KindRules        = "rules"
	KindElapsed      = "elapsed"
	KindOverdue      = "overdue"
	KindAway         = "away"
	KindReminded     = "reminded"

	// A desk's acts, besides the acknowledgement.
	KindAsked       = "asked"       // 要求补报
	KindDetermined  = "determined"  // 认定
	KindTransferred = "transferred" // 移送
	KindConfirmed   = "confirmed"   // a forward that awaited a person
	KindClosed      = "closed"

	KindRead    = "read"    // an identity was shown the content of a report
	KindRemoved = "removed" // records were removed, and by what right
)

// Kind describes one kind of record: how it is addressed, encoded, indexed and printed.
type Kind struct {
	Name string
	// Subjects are the forms of its subjects after "incident.NAME."; for rules, after
	// "rules.".
	Subjects []Form
	// Body returns an empty body.
	Body func() any
	// Cause means that the classifier folds it into the next revision.
	Cause bool
	// Act means that it is a desk's act, other than the acknowledgement; ActMembers are
	// the members of DeskAct that acts of this kind may have and others may not.
	Act        bool
	ActMembers []string
	// NoContent means that it cannot repeat what a report says: it has times, ids and
	// posts only.
	NoContent bool
	// Story is its number in the index of incidents' stories, never changed and never
	// used again; 0 means that it is in no story.
	Story int
	// Words name it in a story, in Chinese and in English.
	Words [2]string
	// Summary are the members of the body that a story prints, in this order. Kinds
	// that need more have a function in internal/cli/render/story.go.
	Summary []string
}

// Form says what each token of a subject is.
type Form []Slot

// Slot is what a token of a subject names.
type Slot int

// What the tokens of a subject name.
const (
	SlotDesk Slot = iota
	SlotOperator
	SlotIncident
	SlotService
	SlotLast // report, revision or another number or id of the record
)

var (
	formIncident = Form{SlotOperator, SlotIncident, SlotLast}
	formDesk     = Form{SlotDesk, SlotOperator, SlotIncident, SlotLast}
	formLast     = Form{SlotLast}
)

func body[T any]() any { return new(T) }

// Kinds is the table of the kinds of records. Every service, the index and the commands
// read it; add a kind at the end, with the next number of Story.
var Kinds = []Kind{
	{Name: KindAccepted, Subjects: []Form{formIncident}, Body: body[Accepted], Cause: true, Story: 1, Words: [2]string{"收到", "received"}},
	{Name: KindGraded, Subjects: []Form{formIncident}, Body: body[Graded], Story: 2, Words: [2]string{"定级", "graded"}},
	{Name: KindEscalated, Subjects: []Form{formDesk}, Body: body[Escalated], Story: 3, Words: [2]string{"报送", "told"}},
	{Name: KindAcknowledged, Subjects: []Form{formDesk}, Body: body[Acknowledgement], NoContent: true, Story: 4, Words: [2]string{"签收", "acknowledged"}},
	{Name: KindUnhandled, Subjects: []Form{{SlotService, SlotOperator, SlotIncident, SlotLast}}, Body: body[Unhandled], Story: 5, Words: [2]string{"待人工处理", "needs a person"}},
	{Name: KindElapsed, Subjects: []Form{formIncident}, Body: body[Elapsed], Cause: true, NoContent: true, Story: 6, Words: [2]string{"时间届至", "time has passed"}},
	{Name: KindOverdue, Subjects: []Form{formDesk}, Body: body[Overdue], NoContent: true, Story: 7, Words: [2]string{"逾期未签收", "overdue"},
		Summary: []string{"desk", "escalation", "acknowledgeBy", "next"}},
	{Name: KindReminded, Subjects: []Form{formIncident}, Body: body[Reminder], Story: 8, Words: [2]string{"提醒", "reminded"}},
	{Name: KindAsked, Subjects: []Form{formDesk}, Body: body[DeskAct], Cause: true, Act: true, ActMembers: []string{"items", "dueAt"},
		Story: 9, Words: [2]string{"要求补报", "asked for more"}, Summary: actSummary},
	{Name: KindDetermined, Subjects: []Form{formDesk}, Body: body[DeskAct], Cause: true, Act: true, ActMembers: []string{"grade"},
		Story: 10, Words: [2]string{"认定", "determined"}, Summary: actSummary},
	{Name: KindTransferred, Subjects: []Form{formDesk}, Body: body[DeskAct], Cause: true, Act: true, ActMembers: []string{"to"},
		Story: 11, Words: [2]string{"移送", "handed on"}, Summary: actSummary},
	{Name: KindConfirmed, Subjects: []Form{formDesk}, Body: body[DeskAct], Cause: true, Act: true, ActMembers: []string{"to"},
		Story: 12, Words: [2]string{"确认上报", "forward confirmed"}, Summary: actSummary},
	{Name: KindClosed, Subjects: []Form{formDesk}, Body: body[DeskAct], Act: true, Story: 13, Words: [2]string{"办结", "closed"}, Summary: actSummary},
	{Name: KindRemoved, Subjects: []Form{formLast}, Body: body[Removal], Story: 14, Words: [2]string{"移除", "removed"}},
	{Name: KindRead, Subjects: []Form{formIncident, formLast}, Body: body[Reading], NoContent: true, Story: 15, Words: [2]string{"阅览", "read"}},
	{Name: KindAway, Subjects: []Form{{SlotDesk, SlotLast}}, Body: body[Away], Words: [2]string{"无人值守", "away"},
		Summary: []string{"desk", "since", "escalation", "next"}},
	{Name: KindRules, Subjects: []Form{formLast}, Body: body[RulesBody], Words: [2]string{"规则", "rules"}, Summary: []string{"kind", "id", "sha256"}},
}

var actSummary = []string{"desk", "officer", "grade", "to", "items", "dueAt", "reason"}

// KindOf returns the kind of this name.
func KindOf(name string) (Kind, bool) {
	if k := kindOf(name); k != nil {
		return *k, true
	}
	return Kind{}, false
}

func kindOf(name string) *Kind {
	for i := range Kinds {
		if Kinds[i].Name == name {
			return &Kinds[i]
		}
	}
	return nil
}

// Filters returns the subjects of all records of the kinds for which want is true.
func Filters(want func(Kind) bool) (filters []string) {
	for _, k := range Kinds {
		if want(k) {
			filters = append(filters, "incident."+k.Name+".>")
		}
	}
	return filters
}

// Address is the parsed subject of a record.
type Address struct {
	Kind     string
	Desk     string // the desk, for records of a desk
	Operator string // token
	Incident string // token
	Last     string // report, revision or sequence, depending on the kind
}

// ParseSubject parses the subject of a record; an unknown one has an empty Kind.
func ParseSubject(subject string) Address {
	name, rest, more := strings.Cut(subject, ".")
	if name == "incident" {
		name, rest, more = strings.Cut(rest, ".")
		if name == KindRules {
			return Address{}
		}
	} else if name != KindRules {
		return Address{}
	}
	k := kindOf(name)
	if k == nil || !more {
		return Address{}
	}
	for _, form := range k.Subjects {
		if a, ok := form.parse(rest); ok {
			a.Kind = k.Name
			return a
		}
	}
	return Address{}
}

// parse reads tokens. It reports whether there are as many as in the form.
func (f Form) parse(tokens string) (a Address, ok bool) {
	for i, t := range f {
		end := strings.IndexByte(tokens, '.')
		if last := i == len(f)-1; last != (end < 0) {
			return Address{}, false
		} else if last {
			end = len(tokens)
		}
		switch t {
		case SlotDesk:
			a.Desk = tokens[:end]
		case SlotOperator:
			a.Operator = tokens[:end]
		case SlotIncident:
			a.Incident = tokens[:end]
		case SlotLast:
			a.Last = tokens[:end]
		}
		tokens = tokens[min(end+1, len(tokens)):]
	}
	return a, true
}
