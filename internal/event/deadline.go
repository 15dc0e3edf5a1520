package event

import "time"

// Elapsed is the body of incident.elapsed.<operator>.<incident>.<at>: a moment
// has come at which time alone may change what the law demands. It decides
// nothing; it makes the classifier look again.
type Elapsed struct {
	Operator string    `json:"operator"`
	Incident string    `json:"incident"`
	Revision int       `json:"revision"`       // the one that foresaw the moment
	At       time.Time `json:"at"`             // the moment, not when it was noticed
	Grade    Grade     `json:"grade,omitzero"` // that the incident has or may rise to then
}

// Overdue is the body of incident.overdue.<as escalated>: nobody at the desk
// had acknowledged when the house's target passed. It is no breach of the law
// and cites none.
type Overdue struct {
	Escalation    string    `json:"escalation"`
	Desk          string    `json:"desk"`
	Operator      string    `json:"operator"`
	Incident      string    `json:"incident"`
	Revision      int       `json:"revision"`
	ReportedAt    time.Time `json:"reportedAt"`
	AcknowledgeBy time.Time `json:"acknowledgeBy"`
	At            time.Time `json:"at"`             // when it was noticed
	Next          string    `json:"next,omitempty"` // the desk that is told; empty where the register names none
	Grade         Grade     `json:"grade,omitzero"` // of the incident when the desk was told
}

// Away is the body of incident.away.<desk>.<since>: no screen of a desk has
// been there for longer than half of the shortest clock that runs towards it.
type Away struct {
	Desk          string    `json:"desk"`
	Since         time.Time `json:"since"`      // when the desk was last seen, or since when it could have been
	Escalation    string    `json:"escalation"` // the one whose clock is the shortest
	Operator      string    `json:"operator"`
	Incident      string    `json:"incident"`
	AcknowledgeBy time.Time `json:"acknowledgeBy"`
	At            time.Time `json:"at"`
	Next          string    `json:"next,omitempty"`
}

// Obligation is what the operator owes after its first report: items that it
// left out (补报), the final summary (处置总结报告), or what a desk has asked
// for (要求补报).
type Obligation struct {
	ID     string         `json:"id"` // unique in its incident
	Kind   ObligationKind `json:"kind"`
	Items  []string       `json:"items,omitempty"`  // paths of the report's data that are still missing
	Report string         `json:"report,omitempty"` // the kind of report that is owed: final
	Listed time.Time      `json:"listed"`           // when a revision listed it first, or its due time first; a moment before reminds nobody
	Since  *time.Time     `json:"since,omitempty"`  // when its time began to run; null while it does not
	DueAt  *time.Time     `json:"dueAt"`            // null: promptly, or its clock has not started
	// Remind are the moments before DueAt at which the operator is reminded.
	Remind []time.Time `json:"remind,omitempty"`

	// The line of the law that demands it; empty for what a desk asks.
	Statute    string     `json:"statute,omitempty"`
	Rule       string     `json:"rule,omitempty"`
	Within     string     `json:"within,omitempty"` // ISO 8601, from the end of handling and so on
	Clock      string     `json:"clock,omitempty"`
	Citation   string     `json:"citation,omitempty"`
	Quote      string     `json:"quote,omitempty"`
	Confidence Confidence `json:"confidence,omitempty"`

	// The desk that asks, and why.
	Desk    string `json:"desk,omitempty"`
	Officer string `json:"officer,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// ObligationKind says what meets an obligation.
type ObligationKind string

// The kinds of obligation.
const (
	OwesItems  ObligationKind = "items"  // left out of a first report
	OwesReport ObligationKind = "report" // a report of a kind, such as the final one
	OwesAnswer ObligationKind = "ask"    // what a desk has asked for
)

// LateAt reports whether the obligation is past its due time at now.
func (o Obligation) LateAt(now time.Time) bool { return o.DueAt != nil && now.After(*o.DueAt) }

// Held is a forward that awaits a person at the desk that owes it (register:
// forward: confirm). At Remind the desk is reminded; at Until it is made
// without a person, as unverified.
type Held struct {
	Desk   string    `json:"desk"` // who owes the forward
	To     string    `json:"to"`
	Duties []Duty    `json:"duties"`
	Since  time.Time `json:"since"`
	Remind time.Time `json:"remind"`
	Until  time.Time `json:"until"`
}

// Reminder is the body of incident.reminded.<operator>.<incident>.<id>: someone
// was told that something is still owed, and by when.
type Reminder struct {
	ID         string     `json:"id"`
	Operator   string     `json:"operator"`
	Incident   string     `json:"incident"`
	To         string     `json:"to"`                   // the operator, or a desk that holds a forward
	Obligation string     `json:"obligation,omitempty"` // of the operator
	Forward    string     `json:"forward,omitempty"`    // the desk that a held forward is for
	Items      []string   `json:"items,omitempty"`
	DueAt      time.Time  `json:"dueAt"`
	At         time.Time  `json:"at"`
	Passed     bool       `json:"passed,omitempty"` // the due time has come and it is still owed
	Citation   string     `json:"citation,omitempty"`
	Confidence Confidence `json:"confidence,omitempty"`
	Desk       string     `json:"desk,omitempty"` // that asked
}

// Determination is a grade that a department has set (认定). It stands for what
// was known when it was made; criteria that are met only afterwards are not in
// Over and count again.
type Determination struct {
	Grade   Grade     `json:"grade"`
	Over    []string  `json:"over,omitempty"` // "statute/criterion" met when it was made
	Desk    string    `json:"desk"`
	Officer string    `json:"officer"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	Record  uint64    `json:"record"`
}

// Notice tells the next desk of silence, or a desk of what it holds: ids and
// times only.
type Notice struct {
	Kind          string     `json:"kind"` // overdue, away or reminder
	Desk          string     `json:"desk"` // that is silent, or that holds a forward
	Escalation    string     `json:"escalation,omitempty"`
	Since         *time.Time `json:"since,omitempty"` // reported, or last seen
	AcknowledgeBy *time.Time `json:"acknowledgeBy,omitempty"`
	Forward       string     `json:"forward,omitempty"` // to whom the held forward goes
	Until         *time.Time `json:"until,omitempty"`   // when it goes without a person
	Record        uint64     `json:"record"`            // that it follows from
}

// The kinds of Notice.
const (
	NoticeOverdue  = "overdue"
	NoticeAway     = "away"
	NoticeReminder = "reminder"
)

// Lateness says that a duty was late already when the report came: from
// discovery, which is the operator's claim, to receipt. It says nothing about
// liability, and it names no facility and no desk: the receipt must not show
// which facilities are CII.
type Lateness struct {
	Statute    string     `json:"statute"`
	Citation   string     `json:"citation"`
	Confidence Confidence `json:"confidence"`
	DueAt      time.Time  `json:"dueAt"`
	By         Duration   `json:"by"`
}
