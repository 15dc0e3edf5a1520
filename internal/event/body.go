package event

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// Accepted is the body of incident.accepted: a report that was taken.
type Accepted struct {
	Operator   string     `json:"operator"`
	Incident   string     `json:"incident"`
	Report     string     `json:"report"` // the CloudEvent's id
	Source     string     `json:"source"`
	Type       string     `json:"type"`
	SentAt     *time.Time `json:"sentAt,omitempty"` // the CloudEvent's time, the sender's claim
	ReceivedAt time.Time  `json:"receivedAt"`       // intake's clock
	Digest     string     `json:"digest"`           // SHA-256 of the data in canonical form (RFC 8785)
	// Late are the duties that had passed when the report came, by itself and by
	// its own claim of discovery.
	Late []Lateness `json:"late,omitempty"`
	// Warnings are what the receipt warned of.
	Warnings []fault.Detail  `json:"warnings,omitempty"`
	Event    json.RawMessage `json:"event"` // as sent, in structured form

	data *Report // what it says, where it was just read; nil of one that comes from JSON
}

// Accepted is what is kept of the event once an operator's report of it is taken.
func (e *Event) Accepted(operator string, at time.Time) *Accepted {
	a := &Accepted{
		Operator: operator, Incident: e.Subject, Report: e.ID, Source: e.Source, Type: e.Type,
		ReceivedAt: at, Digest: e.Digest, Event: e.Raw, data: &e.Report,
	}
	if !e.Time.IsZero() {
		sent := e.Time // by itself: revisions keep it, and need not keep the event
		a.SentAt = &sent
	}
	return a
}

// Data is what the report says, where it need not be read for that: in the process
// that took it. It is not to be changed.
func (a *Accepted) Data() (r Report, known bool) {
	if a.data == nil {
		return Report{}, false
	}
	return *a.data, true
}

// OwnTime is when the report says it was made, at most its receipt: a sender's
// clock that runs ahead must not outlive corrections. Facts are ordered by it.
func (a *Accepted) OwnTime() time.Time {
	if a.SentAt != nil && a.SentAt.Before(a.ReceivedAt) {
		return a.SentAt.UTC()
	}
	return a.ReceivedAt.UTC()
}

// Receipt answers a report (回执). Its JSON form is the contract's.
type Receipt struct {
	Status     string         `json:"status"`
	Operator   string         `json:"operator"`
	Incident   string         `json:"incident"`
	Report     string         `json:"report"`
	Source     string         `json:"source,omitempty"` // of the report, as its type: absent where they could not be read
	Type       string         `json:"type,omitempty"`
	Record     uint64         `json:"record,omitempty"` // ledger sequence; absent when rejected
	Entry      *evidence.Hash `json:"entry,omitempty"`  // hash of the record's entry in the log, in base64
	Digest     string         `json:"digest,omitempty"`
	ReceivedAt *time.Time     `json:"receivedAt,omitempty"`
	Errors     []fault.Detail `json:"errors,omitempty"`
	// Warnings are no faults: the report is taken, but perhaps not as meant.
	Warnings []fault.Detail `json:"warnings,omitempty"`
	// Late are the duties that had passed already when the report came.
	Late []Lateness `json:"late,omitempty"`
	// Exercise marks the receipt of a drill's report.
	Exercise bool `json:"exercise,omitempty"`
	// Durability is "unverified" where nobody could show that the stream syncs
	// every write; absent otherwise.
	Durability string `json:"durability,omitempty"`
	// Signed is by what it can be known that the receipt is intake's, where there are
	// identities.
	Signed *evidence.SignedReceipt `json:"signed,omitempty"`
}

// Claim is what of the receipt is signed.
func (r *Receipt) Claim() evidence.Receipt {
	return evidence.Receipt{
		Status: r.Status, Operator: r.Operator, Incident: r.Incident, Report: r.Report, Source: r.Source, Type: r.Type, Digest: r.Digest,
		ReceivedAt: r.ReceivedAt, Record: r.Record, Entry: r.Entry, Exercise: r.Exercise, Durability: r.Durability,
	}.Said()
}

// The states of a receipt.
const (
	StatusAccepted  = "accepted"
	StatusDuplicate = "duplicate" // the same report again: the receipt of the first
	StatusConflict  = "conflict"  // another report under the same id
	StatusRejected  = "rejected"
)

// Rejected is the body of rejected.<operator>.<digest>: a report refused, with
// every fault, kept six calendar months.
type Rejected struct {
	Operator   string         `json:"operator"`
	ReceivedAt time.Time      `json:"receivedAt"`
	Door       string         `json:"door"` // nats or http
	Errors     []fault.Detail `json:"errors"`
	Size       int            `json:"size"`    // bytes as received
	Header     []string       `json:"header"`  // "name: value", sorted
	Payload    []byte         `json:"payload"` // base64; at most what a record can hold
	Truncated  bool           `json:"truncated,omitempty"`
}

// RejectedSummary stands for the reports of an operator that were refused beyond its
// rate within an hour (in older records: a second): they are counted, and their
// payloads are not kept.
type RejectedSummary struct {
	Operator string         `json:"operator"`
	From     time.Time      `json:"from"`
	Until    time.Time      `json:"until"`
	Count    int            `json:"count"`
	Bytes    int64          `json:"bytes,omitempty"`   // of their payloads
	Reasons  map[string]int `json:"reasons,omitempty"` // paths of their first faults, with how many had it
	Digests  []string       `json:"digests"`           // SHA-256 of header and payload of the first of them
}

// Field is one fact of an incident and where it comes from.
type Field struct {
	Value  json.RawMessage `json:"value"` // null: known to be unknown
	At     time.Time       `json:"at"`    // the report's own time, at most its receipt
	Record uint64          `json:"record"`
}

// After reports whether f is the later of two statements of one fact: by the
// reports' own time, then by ledger order.
func (f Field) After(g Field) bool {
	if !f.At.Equal(g.At) {
		return f.At.After(g.At)
	}
	return f.Record > g.Record
}

// State is what is known of an incident: its facts by path ("title",
// "facts.outage"), each with its origin.
type State struct {
	Fields map[string]Field `json:"fields"`
	// Reported and Withdrawn order the last report that upholds the incident
	// against the last that withdraws it.
	Reported  Field `json:"reported,omitzero"`
	Withdrawn Field `json:"withdrawn,omitzero"` // Value: {"reason", "duplicateOf"}
	// Archived says that some report is an import, and Live that some other is
	// not: an import cannot stop the clocks of a live incident.
	Archived bool `json:"archived,omitempty"`
	Live     bool `json:"live,omitempty"`
	// Final is the last final report.
	Final Field `json:"final,omitzero"`
	// Determined is the department's grade that stands.
	Determined *Determination `json:"determined,omitempty"`
	// Asked is what desks have asked the operator for, answered or not.
	Asked []Asked `json:"asked,omitempty"`
	// Confirmed are the forwards that a person has confirmed.
	Confirmed []Confirmation `json:"confirmed,omitempty"`
	// Transferred are the desks to which the incident was handed on.
	Transferred []Transfer `json:"transferred,omitempty"`
}

// Asked is what a desk has asked for, by the record of it.
type Asked struct {
	Record  uint64     `json:"record"`
	Desk    string     `json:"desk"`
	Officer string     `json:"officer"`
	Reason  string     `json:"reason,omitempty"`
	Items   []string   `json:"items"`
	At      time.Time  `json:"at"`
	DueAt   *time.Time `json:"dueAt,omitempty"`
}

// Confirmation is a forward that a person at the desk that owes it has
// confirmed.
type Confirmation struct {
	Record  uint64 `json:"record"`
	Desk    string `json:"desk"`
	To      string `json:"to,omitempty"` // empty: every forward of the desk
	Officer string `json:"officer"`
}

// Transfer is an incident handed on from one desk to another (移送).
type Transfer struct {
	Record  uint64 `json:"record"`
	From    string `json:"from"`
	To      string `json:"to"`
	Officer string `json:"officer"`
	Reason  string `json:"reason,omitempty"`
}

// IsImported reports whether all that is known of the incident comes from an
// archive, so that no clock starts.
func (s State) IsImported() bool { return s.Archived && !s.Live }

// IsWithdrawn reports whether the last word on the incident withdraws it.
func (s State) IsWithdrawn() bool {
	return s.Withdrawn.Record != 0 && s.Withdrawn.After(s.Reported)
}

// Knows reports whether a fact is known, by its path.
func (s State) Knows(path string) bool {
	f, said := s.Fields[path]
	return said && string(f.Value) != "null"
}

// Data renders what is known as the data of one report, as far as keep says of
// each path. Facts that are not known are left out.
func (s State) Data(keep func(path string) bool) json.RawMessage {
	out := append(make([]byte, 0, 1024), '{')
	inFacts := false
	for _, path := range s.paths() {
		value := s.Fields[path].Value
		if string(value) == "null" || !keep(path) {
			continue
		}
		name, isFact := strings.CutPrefix(path, "facts.")
		if inFacts && !isFact {
			out = append(out, '}')
		}
		if out[len(out)-1] != '{' {
			out = append(out, ',')
		}
		if isFact && !inFacts {
			out = append(out, `"facts":{`...)
		}
		inFacts = isFact
		out = append(append(appendQuoted(out, name), ':'), value...)
	}
	if inFacts {
		out = append(out, '}')
	}
	return append(out, '}')
}

// Cause is the record that made a revision.
type Cause struct {
	Record uint64     `json:"record"`
	Type   string     `json:"type"`             // the CloudEvents type of the report, or of the record
	Report string     `json:"report,omitempty"` // of a report, its id
	At     time.Time  `json:"at"`
	SentAt *time.Time `json:"sentAt,omitempty"` // of a report, the sender's claim
	// Outdated are the paths of what it says that is dated before what is known,
	// and was not taken over.
	Outdated []string `json:"outdated,omitempty"`
	// Desk and Officer are the post behind a desk's act.
	Desk    string `json:"desk,omitempty"`
	Officer string `json:"officer,omitempty"`
	// Changed are the paths of the facts that it set.
	Changed []string `json:"changed"`
}

// Rules are the hashes of the packs and the register that decided.
type Rules struct {
	Packs    map[string]string `json:"packs"` // id → SHA-256
	Register string            `json:"register"`
}

// Change says how the grade moved, and why.
type Change struct {
	From   Grade  `json:"from"` // Ungraded on the first revision
	To     Grade  `json:"to"`
	Kind   string `json:"kind"` // first, raised, lowered, unchanged, withdrawn, reinstated
	Reason string `json:"reason,omitempty"`
	// Lost and Gained are the criteria ("statute/criterion") that no longer hit
	// and that hit for the first time.
	Lost   []string `json:"lost,omitempty"`
	Gained []string `json:"gained,omitempty"`
}

// The kinds of Change.
const (
	ChangeFirst      = "first"
	ChangeRaised     = "raised"
	ChangeLowered    = "lowered"
	ChangeUnchanged  = "unchanged"
	ChangeWithdrawn  = "withdrawn"
	ChangeReinstated = "reinstated"
)

// Told is a desk that has been told of an incident, and under which duties.
type Told struct {
	Desk   string   `json:"desk"`
	Since  int      `json:"since"`  // the revision that told it first
	Duties []string `json:"duties"` // statute/duty/obligor/facility
	// Items are those that the desk's duties disclose; nil: all. What it was
	// told once, it is told on.
	Items []string `json:"items,omitempty"`
	// By is the desk that handed the incident on; empty for what the law demands.
	By string `json:"by,omitempty"`
}

// Facility is what a record says of a facility. Whether it is CII is
// confidential and not in it (law.md §1).
type Facility struct {
	ID     string `json:"id"`
	Region string `json:"region"` // GB/T 2260
	Sector string `json:"sector"`
}

// Graded is the body of incident.graded: one revision of an incident with
// every decision that follows from it. Nothing later decides again.
type Graded struct {
	Operator string `json:"operator"`
	Incident string `json:"incident"`
	Revision int    `json:"revision"`
	// Look is when time alone next changes a decision: the grade under some
	// statute, or a forward that goes without a person. Null: it does not.
	Look        *time.Time   `json:"look,omitempty"`
	Held        []Held       `json:"held,omitempty"`  // of the duties, the forwards that await a person
	Owed        []Obligation `json:"owed,omitempty"`  // what the operator still owes
	Escalations []Escalation `json:"escalations"`     // OutcomeOf reads up to here
	Through     uint64       `json:"through"`         // the last cause folded
	Aside       []uint64     `json:"aside,omitempty"` // causes before Through that could not be folded
	Cause       Cause        `json:"cause"`
	At          time.Time    `json:"at"` // the moment that was graded: the cause's receipt, never before an earlier revision's
	About       About        `json:"about"`
	Assessment
	Peak       Grade       `json:"peak"`
	Change     Change      `json:"change"`
	Withdrawal *Withdrawal `json:"withdrawal,omitempty"`
	Facilities []Facility  `json:"facilities"`
	Duties     []Duty      `json:"duties"` // all that the law demands now
	Told       []Told      `json:"told"`   // with this revision carried out
	Rules      Rules       `json:"rules"`
	State      State       `json:"state"`
}

// Reading is the body of incident.read: who was first shown on a day what reports say
// (cn-cii-2021 art. 30, 46).
type Reading struct {
	Who      string    `json:"who"`                // ROLE/ID
	Operator string    `json:"operator,omitempty"` // as in subjects; with Incident, unless it is a range
	Incident string    `json:"incident,omitempty"`
	Record   uint64    `json:"record,omitempty"` // the one that was shown; 0: the whole story
	Last     uint64    `json:"last,omitempty"`   // of a range of records as they stand, which begins with Record
	At       time.Time `json:"at"`
}

// Withdrawal says why an incident was withdrawn.
type Withdrawal struct {
	Reason      string `json:"reason"`
	DuplicateOf string `json:"duplicateOf,omitempty"`
}

// Escalation is the decision to tell one desk of one revision. Its due times
// are on its duties.
type Escalation struct {
	Desk     string `json:"desk"`
	From     string `json:"from"`
	Act      Act    `json:"act"`
	Duties   []Duty `json:"duties"`             // newly owed
	Standing []Duty `json:"standing,omitempty"` // owed before and still
	// Items are those that the desk may read; nil: all.
	Items []string `json:"items,omitempty"`
	// Held are the forwards that this desk owes and that await a person there.
	Held []Held `json:"held,omitempty"`
	// Transfer says who handed the incident on, where that is why it is told.
	Transfer *Transfer `json:"transfer,omitempty"`
	// AcknowledgeWithin is the house's target for the desk, from reporting; nil
	// takes the earliest due time.
	AcknowledgeWithin *Duration `json:"acknowledgeWithin,omitempty"`
	// AcknowledgeDefault is the house's target where there is no due time or it
	// has passed; nil where no clock starts, as for an import.
	AcknowledgeDefault *Duration `json:"acknowledgeDefault"`
	// Designated says that the department has named this channel; only then does
	// reporting here discharge a duty (law.md §2).
	Designated bool `json:"designated"`
}

// DueAt returns the earliest due time of the duties newly owed, or nil.
func (e Escalation) DueAt() *time.Time {
	var due *time.Time
	for i := range e.Duties {
		if at := e.Duties[i].DueAt; at != nil && (due == nil || at.Before(*due)) {
			due = at
		}
	}
	return due
}

// Escalated is the body of incident.escalated: all that a desk needs, so that
// it need not ask back.
type Escalated struct {
	ID            string          `json:"escalation"`
	Desk          string          `json:"desk"`
	Operator      string          `json:"operator"`
	Incident      string          `json:"incident"`
	Revision      int             `json:"revision"` // 0: not a revision but a notice, or a record that nobody could handle
	About         About           `json:"about"`
	Grade         Grade           `json:"grade"`
	CouldBe       Grade           `json:"couldBe"`
	Peak          Grade           `json:"peak"`
	Own           *OwnGrade       `json:"own,omitempty"`
	Next          *Next           `json:"next"`
	Change        Change          `json:"change"`
	Withdrawal    *Withdrawal     `json:"withdrawal,omitempty"`
	From          string          `json:"from"`
	Act           Act             `json:"act"`
	Duties        []Duty          `json:"duties"`
	Standing      []Duty          `json:"standing,omitempty"`
	DueAt         *time.Time      `json:"dueAt"`
	ReportedAt    time.Time       `json:"reportedAt"`
	Late          bool            `json:"late"`
	AcknowledgeBy *time.Time      `json:"acknowledgeBy"` // null: an import or a notice, which start no clock
	Exercise      bool            `json:"exercise"`
	Imported      bool            `json:"imported,omitempty"` // from an archive: no clock starts
	Designated    bool            `json:"designated"`         // the department has named this channel
	Facilities    []Facility      `json:"facilities"`
	Hits          []Hit           `json:"hits"`
	CouldBeIf     []Missing       `json:"couldBeIf,omitempty"`
	Report        json.RawMessage `json:"report,omitempty"` // merged facts, as far as the desk may read them
	Owed          []Obligation    `json:"owed,omitempty"`   // what the operator still owes
	Held          []Held          `json:"held,omitempty"`   // forwards that await a person at this desk
	Determined    *Determination  `json:"determined,omitempty"`
	Transfer      *Transfer       `json:"transfer,omitempty"`  // who handed it on
	Notice        *Notice         `json:"notice,omitempty"`    // of silence: ids and times, nothing else
	Unhandled     *Unhandled      `json:"unhandled,omitempty"` // why a person must look
	Cause         Cause           `json:"cause"`
	Rules         Rules           `json:"rules"`
}

// Acknowledgement is what a desk sends (签收), and the body of
// incident.acknowledged once At is stamped.
type Acknowledgement struct {
	Escalation string    `json:"escalation"`
	Officer    string    `json:"officer"` // a post, never a person's name
	At         time.Time `json:"at,omitzero"`
	// AcknowledgeBy is the house's target, from the escalation; null where no
	// clock runs.
	AcknowledgeBy *time.Time `json:"acknowledgeBy,omitempty"`
	// Signed is by what it can be known that the desk did it, where there are
	// identities.
	Signed *evidence.SignedAct `json:"signed,omitempty"`
}

// AcknowledgementAnswer answers an acknowledgement: the first one stands.
type AcknowledgementAnswer struct {
	Status         string         `json:"status"` // accepted, duplicate, conflict or rejected
	Escalation     string         `json:"escalation"`
	Desk           string         `json:"desk,omitempty"`
	AcknowledgedAt *time.Time     `json:"acknowledgedAt,omitempty"`
	AcknowledgedBy string         `json:"acknowledgedBy,omitempty"`
	Record         uint64         `json:"record,omitempty"`
	Errors         []fault.Detail `json:"errors,omitempty"`
	// Warnings are no faults: the acknowledgement is taken.
	Warnings []fault.Detail `json:"warnings,omitempty"`
}

// Unhandled is the body of incident.unhandled: a record that a service could
// not handle, put before the first recipient's desk.
type Unhandled struct {
	Service  string    `json:"service"`
	Record   uint64    `json:"record"`
	Timer    bool      `json:"timer,omitempty"` // Record is of the timers' stream, not of the ledger
	Subject  string    `json:"subject"`
	Error    string    `json:"error"`
	Attempts int       `json:"attempts"`
	At       time.Time `json:"at"`
	Operator string    `json:"operator"` // its token where the id is not known
	Incident string    `json:"incident"` // its token where the id is not known
	Desk     string    `json:"desk"`
	// AcknowledgeWithin is the house's target for a person to look.
	AcknowledgeWithin Duration `json:"acknowledgeWithin"`
}

// RulesBody is the body of rules.<sha256>: a pack or a register, whole.
type RulesBody struct {
	Kind   string `json:"kind"` // statute or register
	ID     string `json:"id"`
	SHA256 string `json:"sha256"` // of Text
	Text   string `json:"text"`   // the YAML, byte for byte
}
