package event

import "time"

// Elapsed is the body of incident.elapsed.<operator>.<incident>.<at>: a moment has come
// at which time alone may change what the law demands. It decides nothing; it makes the
// classifier grade again.
type Elapsed struct {
	Operator string    `json:"operator"`
	Incident string    `json:"incident"`
	Revision int       `json:"revision"`       // the one that foresaw the moment
	At       time.Time `json:"at"`             // the moment, not when it was noticed
	Grade    Grade     `json:"grade,omitzero"` // the gravest that the incident has or may rise to then
}

// Overdue is the body of incident.overdue.<as escalated>: nobody at the desk had
// acknowledged when the house's target passed. That breaks no law, and the record cites
// none.
type Overdue struct {
	Escalation    string    `json:"escalation"`
	Desk          string    `json:"desk"`
	Operator      string    `json:"operator"`
	Incident      string    `json:"incident"`
	Revision      int       `json:"revision"`
	ReportedAt    time.Time `json:"reportedAt"`
	AcknowledgeBy time.Time `json:"acknowledgeBy"`
	At            time.Time `json:"at"`             // when it was noticed
	Next          string    `json:"next,omitempty"` // the desk that is notified; empty where the register names none
	Grade         Grade     `json:"grade,omitzero"` // of the incident when the desk was told
}

// Away is the body of incident.away.<desk>.<since>: no screen of a desk has been
// connected for longer than half of the shortest clock that runs for it.
type Away struct {
	Desk          string    `json:"desk"`
	Since         time.Time `json:"since"`      // when the desk was last seen, or the earliest time that it could have been
	Escalation    string    `json:"escalation"` // the one with the shortest clock
	Operator      string    `json:"operator"`
	Incident      string    `json:"incident"`
	AcknowledgeBy time.Time `json:"acknowledgeBy"`
	At            time.Time `json:"at"`
	Next          string    `json:"next,omitempty"`
}

// Obligation is what the operator owes after its first report: items that it left out
// (补报), the final summary (处置总结报告), or what a desk has asked for (要求补报).
type Obligation struct {
	ID        string         `json:"id"` // unique in its incident
	Kind      ObligationKind `json:"kind"`
	Items     []string       `json:"items,omitempty"`     // paths of the report's data that are still missing
	Report    string         `json:"report,omitempty"`    // the kind of report owed: final
	OrReports []string       `json:"orReports,omitempty"` // other stages that are enough
	Listed    time.Time      `json:"listed"`              // when a revision first listed it or its due time; earlier reminder moments are skipped
	Since     *time.Time     `json:"since,omitempty"`     // when its time began to run; null while it does not
	DueAt     *time.Time     `json:"dueAt"`               // null: promptly, or its clock has not started
	// CalendarEnds is the last day of the calendar that counts DueAt, if DueAt is later.
	CalendarEnds string `json:"calendarEnds,omitempty"`
	// Remind lists the moments before DueAt at which the operator is reminded.
	Remind []time.Time `json:"remind,omitempty"`

	// The line of the law that demands it; empty for a desk's question.
	Statute    string     `json:"statute,omitempty"`
	Rule       string     `json:"rule,omitempty"`
	Within     string     `json:"within,omitempty"` // ISO 8601, from the end of handling and so on
	Clock      string     `json:"clock,omitempty"`
	Citation   string     `json:"citation,omitempty"`
	CitationZH string     `json:"citationZh,omitempty"` // not recorded, see Citations
	Quote      string     `json:"quote,omitempty"`
	Confidence Confidence `json:"confidence,omitempty"`

	// The desk that asks, and why.
	Desk    string `json:"desk,omitempty"`
	Officer string `json:"officer,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// ObligationKind is what fulfils an obligation.
type ObligationKind string

// The kinds of obligation.
const (
	OwesItems  ObligationKind = "items"  // left out of a first report
	OwesReport ObligationKind = "report" // a report of a kind, such as the final one
	OwesAnswer ObligationKind = "ask"    // the answer to a desk's question
)

// LateAt reports whether the obligation is past its due time at now.
func (o Obligation) LateAt(now time.Time) bool { return o.DueAt != nil && now.After(*o.DueAt) }

// PendingForward is a forward that awaits a person at the desk that owes it (register: forward:
// confirm). At Remind the desk is reminded; at Until it is sent without a person, marked
// as unverified.
type PendingForward struct {
	Desk   string    `json:"desk"` // owes the forward
	To     string    `json:"to"`
	Duties []Duty    `json:"duties"`
	Since  time.Time `json:"since"`
	Remind time.Time `json:"remind"`
	Until  time.Time `json:"until"`
}

// Reminder is the body of incident.reminded.<operator>.<incident>.<id>: somebody was told
// that something is still owed, and by when.
type Reminder struct {
	ID         string     `json:"id"`
	Operator   string     `json:"operator"`
	Incident   string     `json:"incident"`
	To         string     `json:"to"`                   // the operator, or the desk that owes a pending forward
	Obligation string     `json:"obligation,omitempty"` // of the operator
	Forward    string     `json:"forward,omitempty"`    // the recipient of a pending forward
	Items      []string   `json:"items,omitempty"`
	DueAt      time.Time  `json:"dueAt"`
	At         time.Time  `json:"at"`
	Passed     bool       `json:"passed,omitempty"` // the due time has come and it is still owed
	Citation   string     `json:"citation,omitempty"`
	Confidence Confidence `json:"confidence,omitempty"`
	Desk       string     `json:"desk,omitempty"` // the desk that asked
}

// Determination is a grade that a department has set (认定). It covers what was known when
// it was made; criteria that are met only afterwards are not in Over and count again.
type Determination struct {
	Grade   Grade     `json:"grade"`
	Over    []string  `json:"over,omitempty"` // the hits ("statute/criterion") when it was made
	Desk    string    `json:"desk"`
	Officer string    `json:"officer"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	Record  uint64    `json:"record"`
}

// Notice tells the next desk of another's silence, or a desk of a forward that awaits it:
// ids and times only.
type Notice struct {
	Kind          string     `json:"kind"` // overdue, away or reminder
	Desk          string     `json:"desk"` // the silent desk, or the one that owes a pending forward
	Escalation    string     `json:"escalation,omitempty"`
	Since         *time.Time `json:"since,omitempty"` // when reported, or last seen
	AcknowledgeBy *time.Time `json:"acknowledgeBy,omitempty"`
	Forward       string     `json:"forward,omitempty"` // the recipient of the pending forward
	Until         *time.Time `json:"until,omitempty"`   // when it is sent without a person
	Record        uint64     `json:"record"`            // the cause
}

// The kinds of Notice.
const (
	NoticeOverdue  = "overdue"
	NoticeAway     = "away"
	NoticeReminder = "reminder"
)

// Lateness is a duty that was already late when the report was received: counted from
// discovery, which is the operator's claim, to receipt. It states no liability, and it
// names no facility and no desk: the receipt must not show which facilities are CII.
type Lateness struct {
	Statute    string     `json:"statute"`
	Citation   string     `json:"citation"`
	CitationZH string     `json:"citationZh,omitempty"`
	Confidence Confidence `json:"confidence"`
	DueAt      time.Time  `json:"dueAt"`
	By         Duration   `json:"by"`
}
