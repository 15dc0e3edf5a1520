package event

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// Accepted is the body of incident.accepted: a report that intake accepted.
type Accepted struct {
	Operator   string     `json:"operator"`
	Incident   string     `json:"incident"`
	Report     string     `json:"report"` // the CloudEvent's id
	Source     string     `json:"source"`
	Type       string     `json:"type"`
	SentAt     *time.Time `json:"sentAt,omitempty"` // the CloudEvent's time, the sender's claim
	ReceivedAt time.Time  `json:"receivedAt"`       // intake's clock
	Digest     string     `json:"digest"`           // SHA-256 of the data in canonical form (RFC 8785)
	// Late lists the duties whose due time had passed when the report was received,
	// judged from this report alone and its own claim of discovery.
	Late []Lateness `json:"late,omitempty"`
	// Warnings are those of the receipt.
	Warnings []fault.Detail `json:"warnings,omitempty"`
	Event    jsontext.Value `json:"event"` // as sent, in structured form

	// Parsed is the report, where this process has just read it; nil when decoded from JSON.
	// It must not be changed.
	Parsed *Report `json:"-"`
}

// Data returns the report without parsing it again, in the process that accepted it. The
// caller must not change it.
func (a *Accepted) Data() (r Report, known bool) {
	if a.Parsed == nil {
		return Report{}, false
	}
	return *a.Parsed, true
}

// OwnTime returns the time that the report claims for itself, at most its receipt: a
// sender's clock that runs ahead must not win over later corrections. Facts are ordered
// by it.
func (a *Accepted) OwnTime() time.Time {
	if a.SentAt != nil && a.SentAt.Before(a.ReceivedAt) {
		return a.SentAt.UTC()
	}
	return a.ReceivedAt.UTC()
}

// Receipt answers a report (回执). Its JSON form is part of the contract.
type Receipt struct {
	Status     string         `json:"status"`
	Operator   string         `json:"operator"`
	Incident   string         `json:"incident"`
	Report     string         `json:"report"`
	Source     string         `json:"source,omitempty"` // of the report, like Type; absent where they could not be read
	Type       string         `json:"type,omitempty"`
	Record     uint64         `json:"record,omitempty"` // ledger sequence; absent when rejected
	Entry      *evidence.Hash `json:"entry,omitempty"`  // hash of the record's entry in the log, in base64
	Digest     string         `json:"digest,omitempty"`
	ReceivedAt *time.Time     `json:"receivedAt,omitempty"`
	Errors     []fault.Detail `json:"errors,omitempty"`
	// Warnings are not faults: the report is accepted, but perhaps not as the sender
	// meant it.
	Warnings []fault.Detail `json:"warnings,omitempty"`
	// Late lists the duties whose due time had already passed when the report was
	// received.
	Late []Lateness `json:"late,omitempty"`
	Outlook
	// Exercise marks the receipt of a drill's report.
	Exercise bool `json:"exercise,omitempty"`
	// Durability is "unverified" where nothing confirms that the stream syncs every
	// write; absent otherwise.
	Durability string `json:"durability,omitempty"`
	// Signed proves that intake issued the receipt, where there are identities.
	Signed *evidence.SignedReceipt `json:"signed,omitempty"`
}

// Claim returns the part of the receipt that is signed.
func (r *Receipt) Claim() evidence.Receipt {
	return evidence.Receipt{
		Status: r.Status, Operator: r.Operator, Incident: r.Incident, Report: r.Report, Source: r.Source, Type: r.Type, Digest: r.Digest,
		ReceivedAt: r.ReceivedAt, Record: r.Record, Entry: r.Entry, Exercise: r.Exercise, Durability: r.Durability,
	}.Attested()
}

// The statuses of a receipt.
const (
	StatusAccepted  = "accepted"
	StatusDuplicate = "duplicate" // the same report again: the receipt of the first
	StatusConflict  = "conflict"  // another report under the same id
	StatusRejected  = "rejected"
)

// Rejected is the body of rejected.<operator>.<digest>: a refused report with every
// fault, kept for six calendar months.
type Rejected struct {
	Operator   string         `json:"operator"`
	ReceivedAt time.Time      `json:"receivedAt"`
	Transport  string         `json:"door"` // nats or http
	Errors     []fault.Detail `json:"errors"`
	Size       int            `json:"size"`    // bytes as received
	Header     []string       `json:"header"`  // "name: value", sorted
	Payload    []byte         `json:"payload"` // base64; truncated to what a record can hold
	Truncated  bool           `json:"truncated,omitempty"`
}

// RejectedSummary counts the refused reports of an operator beyond its rate within an
// hour (in older records: a second). Their payloads are not kept.
type RejectedSummary struct {
	Operator string         `json:"operator"`
	From     time.Time      `json:"from"`
	Until    time.Time      `json:"until"`
	Count    int            `json:"count"`
	Bytes    int64          `json:"bytes,omitempty"`   // of their payloads
	Reasons  map[string]int `json:"reasons,omitempty"` // path of the first fault → number of reports with it
	Digests  []string       `json:"digests"`           // SHA-256 of header and payload of the first of them
}

// Field is one fact of an incident and its origin.
type Field struct {
	Value  jsontext.Value `json:"value"` // null: the report says that it is unknown
	At     time.Time      `json:"at"`    // the report's own time, at most its receipt
	Record uint64         `json:"record"`
}

// After reports whether f is the later of two values of one fact: by the reports' own
// time, then by ledger order.
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
	// Reported and Withdrawn order the last report that upholds the incident and the last
	// one that withdraws it.
	Reported  Field `json:"reported,omitzero"`
	Withdrawn Field `json:"withdrawn,omitzero"` // Value: {"reason", "duplicateOf"}
	// Archived is true when some report is an import, and Live when some other is not: an
	// import cannot stop the clocks of a live incident.
	Archived bool `json:"archived,omitempty"`
	Live     bool `json:"live,omitempty"`
	// Final is the last final report.
	Final Field `json:"final,omitzero"`
	// Stages are the reports that said which stages they are, by stage.
	Stages map[string]Stage `json:"stages,omitempty"`
	// Determined is the department's grade in force.
	Determined *Determination `json:"determined,omitempty"`
	// Asked lists what desks have asked the operator for, answered or not.
	Asked []Asked `json:"asked,omitempty"`
	// Confirmed are the forwards that a person has confirmed.
	Confirmed []Confirmation `json:"confirmed,omitempty"`
	// Transferred are the desks to which the incident was handed on.
	Transferred []Transfer `json:"transferred,omitempty"`
}

// Stage is when a stage of reporting was received, first and last.
type Stage struct {
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// Asked is one question of a desk to the operator.
type Asked struct {
	Record  uint64     `json:"record"`
	Desk    string     `json:"desk"`
	Officer string     `json:"officer"`
	Reason  string     `json:"reason,omitempty"`
	Items   []string   `json:"items"`
	At      time.Time  `json:"at"`
	DueAt   *time.Time `json:"dueAt,omitempty"`
}

// Confirmation is a forward that a person at the desk that owes it has confirmed.
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

// IsImported reports whether everything known of the incident comes from an archive, so
// that no clock starts.
func (s State) IsImported() bool { return s.Archived && !s.Live }

// IsWithdrawn reports whether the latest report withdraws the incident.
func (s State) IsWithdrawn() bool {
	return s.Withdrawn.Record != 0 && s.Withdrawn.After(s.Reported)
}

// Knows reports whether the fact at a path is known.
func (s State) Knows(path string) bool {
	f, said := s.Fields[path]
	return said && string(f.Value) != "null"
}

// Data renders the known facts as the data of one report, limited to the paths for which
// keep returns true. Unknown facts are left out.
func (s State) Data(keep func(path string) bool) jsontext.Value {
	out := append(make([]byte, 0, 1024), '{')
	open := 0 // how many of groups are open
	for _, path := range slices.Sorted(maps.Keys(s.Fields)) {
		value := s.Fields[path].Value
		if string(value) == "null" || !keep(path) {
			continue
		}
		name, within := path, 0
		for within < len(groups) && strings.HasPrefix(name, groups[within]+".") {
			name, within = name[len(groups[within])+1:], within+1
		}
		for ; open > within; open-- {
			out = append(out, '}')
		}
		if out[len(out)-1] != '{' {
			out = append(out, ',')
		}
		for ; open < within; open++ {
			out = append(append(append(out, '"'), groups[open]...), `":{`...)
		}
		out, _ = jsontext.AppendQuote(out, name) // the error is about text that is not UTF-8, which it replaces
		out = append(append(out, ':'), value...)
	}
	for ; open > 0; open-- {
		out = append(out, '}')
	}
	return append(out, '}')
}

// groups are the members of a report that group facts, each inside the one before.
var groups = []string{"facts", "named"}

// Cause is the record that made a revision.
type Cause struct {
	Record uint64     `json:"record"`
	Type   string     `json:"type"`             // the CloudEvents type of the report, or of the record
	Report string     `json:"report,omitempty"` // of a report, its id
	At     time.Time  `json:"at"`
	SentAt *time.Time `json:"sentAt,omitempty"` // of a report, the sender's claim
	// Outdated lists the paths that the report dated before the known value and that were
	// therefore not taken over.
	Outdated []string `json:"outdated,omitempty"`
	// Desk and Officer are the post behind a desk's act.
	Desk    string `json:"desk,omitempty"`
	Officer string `json:"officer,omitempty"`
	// Changed lists the paths of the facts that it set.
	Changed []string `json:"changed"`
}

// Rules are the hashes of the packs and the register that the decisions were made with.
type Rules struct {
	Packs    map[string]string `json:"packs"` // id → SHA-256
	Register string            `json:"register"`
	// Calendars are those by which the packs count working days, as Packs has them; nil
	// where no pack does.
	Calendars map[string]string `json:"calendars,omitempty"`
}

// Change describes how the grade moved, and why.
type Change struct {
	From   Grade  `json:"from"` // Ungraded on the first revision
	To     Grade  `json:"to"`
	Kind   string `json:"kind"` // first, raised, lowered, unchanged, withdrawn, reinstated
	Reason string `json:"reason,omitempty"`
	// Lost and Gained are the criteria ("statute/criterion") that are no longer hits, and
	// those that are hits for the first time.
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

// ToldDesk is a desk that has been told of an incident, and under which duties.
type ToldDesk struct {
	Desk   string   `json:"desk"`
	Since  int      `json:"since"`  // the revision that told it first
	Duties []string `json:"duties"` // statute/duty/obligor/facility
	// Items are those that the desk's duties disclose; nil: all. A desk keeps receiving
	// every item that it received once.
	Items []string `json:"items,omitempty"`
	// By is the desk that transferred the incident; empty where the law demands the
	// telling.
	By string `json:"by,omitempty"`
}

// Facility is a facility as records show it. They leave out whether it is CII, which is
// confidential (law.md §1).
type Facility struct {
	ID     string `json:"id"`
	Region string `json:"region"` // GB/T 2260
	Sector string `json:"sector"`
}

// Graded is the body of incident.graded: one revision of an incident with every decision
// that follows from it. No later service decides again.
type Graded struct {
	Operator string `json:"operator"`
	Incident string `json:"incident"`
	Revision int    `json:"revision"`
	// Look is when time alone next changes a decision: the grade under some statute, or a
	// forward that is sent without a person. Null: never.
	RegradeAt       *time.Time       `json:"look,omitempty"`
	PendingForwards []PendingForward `json:"held,omitempty"` // forwards among the duties that await a person
	Owed            []Obligation     `json:"owed,omitempty"` // what the operator still owes
	Escalations     []Escalation     `json:"escalations"`
	Through         uint64           `json:"through"`         // the last cause folded
	Aside           []uint64         `json:"aside,omitempty"` // causes before Through that could not be folded
	Cause           Cause            `json:"cause"`
	At              time.Time        `json:"at"` // the moment for which it was graded: the cause's receipt, never before an earlier revision's
	About           About            `json:"about"`
	Assessment
	Law        []Instrument   `json:"law,omitempty"` // which instruments apply, and why
	Peak       Grade          `json:"peak"`
	Change     Change         `json:"change"`
	Withdrawal *Withdrawal    `json:"withdrawal,omitempty"`
	Facilities []Facility     `json:"facilities"`
	Duties     []Duty         `json:"duties"`             // every duty that the law imposes now
	Possible   []PossibleDuty `json:"possible,omitempty"` // duties that facts not known would add
	Told       []ToldDesk     `json:"told"`               // including what this revision tells
	Rules      Rules          `json:"rules"`
	State      State          `json:"state"`
}

// Reading is the body of incident.read: an identity's first access on a day to the
// content of reports (cn-cii-2021 art. 30, 46).
type Reading struct {
	Reader   string    `json:"who"`                // ROLE/ID
	Operator string    `json:"operator,omitempty"` // as in subjects; with Incident, unless it is a range
	Incident string    `json:"incident,omitempty"`
	Record   uint64    `json:"record,omitempty"` // the one shown; 0: the whole story
	Last     uint64    `json:"last,omitempty"`   // last of a range of stored records, which begins with Record
	At       time.Time `json:"at"`
}

// Withdrawal says why an incident was withdrawn.
type Withdrawal struct {
	Reason      string `json:"reason"`
	DuplicateOf string `json:"duplicateOf,omitempty"`
}

// Escalation is the decision to tell one desk of one revision. Its due times are in its
// duties.
type Escalation struct {
	Desk     string `json:"desk"`
	From     string `json:"from"`
	Act      Act    `json:"act"`
	Duties   []Duty `json:"duties"`             // newly owed
	Standing []Duty `json:"standing,omitempty"` // owed before and still
	// Items are those that the desk may read; nil: all.
	Items []string `json:"items,omitempty"`
	// PendingForwards are the forwards that this desk owes and that await a person there.
	PendingForwards []PendingForward `json:"held,omitempty"`
	// Transfer names the desk that transferred the incident, where that is why this desk
	// is told.
	Transfer *Transfer `json:"transfer,omitempty"`
	// AcknowledgeWithin is the house's target for the desk, counted from reporting; nil
	// means the earliest due time.
	AcknowledgeWithin *Duration `json:"acknowledgeWithin,omitempty"`
	// AcknowledgeDefault is the house's target where there is no due time or it has
	// passed; nil where no clock starts, as for an import.
	AcknowledgeDefault *Duration `json:"acknowledgeDefault"`
	// Designated is true when the department has named this channel; only then does
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

// Escalated is the body of incident.escalated: everything that a desk needs, so that it
// need not query for more.
type Escalated struct {
	ID              string           `json:"escalation"`
	Desk            string           `json:"desk"`
	Operator        string           `json:"operator"`
	Incident        string           `json:"incident"`
	Revision        int              `json:"revision"` // 0: a notice, or a record that could not be handled
	About           About            `json:"about"`
	Grade           Grade            `json:"grade"`
	CouldBe         Grade            `json:"couldBe"`
	Peak            Grade            `json:"peak"`
	Own             *OwnGrade        `json:"own,omitempty"`
	Next            *Next            `json:"next"`
	Change          Change           `json:"change"`
	Withdrawal      *Withdrawal      `json:"withdrawal,omitempty"`
	From            string           `json:"from"`
	Act             Act              `json:"act"`
	Duties          []Duty           `json:"duties"`
	Standing        []Duty           `json:"standing,omitempty"`
	DueAt           *time.Time       `json:"dueAt"`
	ReportedAt      time.Time        `json:"reportedAt"`
	Late            bool             `json:"late"`
	AcknowledgeBy   *time.Time       `json:"acknowledgeBy"` // null: an import or a notice, which start no clock
	Exercise        bool             `json:"exercise"`
	Imported        bool             `json:"imported,omitempty"` // from an archive: no clock starts
	Designated      bool             `json:"designated"`         // the department has named this channel
	Facilities      []Facility       `json:"facilities"`
	Hits            []Hit            `json:"hits"`
	CouldBeIf       []Missing        `json:"couldBeIf,omitempty"`
	Possible        []PossibleDuty   `json:"possible,omitempty"` // duties that facts not known would add
	Report          jsontext.Value   `json:"report,omitempty"`   // merged facts, as far as the desk may read them
	Owed            []Obligation     `json:"owed,omitempty"`     // what the operator still owes
	PendingForwards []PendingForward `json:"held,omitempty"`     // forwards that await a person at this desk
	Determined      *Determination   `json:"determined,omitempty"`
	Transfer        *Transfer        `json:"transfer,omitempty"`  // which desk transferred it
	Notice          *Notice          `json:"notice,omitempty"`    // of another desk's silence: ids and times only
	Unhandled       *Unhandled       `json:"unhandled,omitempty"` // why a person must review it
	Cause           Cause            `json:"cause"`
	Rules           Rules            `json:"rules"`
}

// Acknowledgement is the message that a desk sends (签收), and the body of
// incident.acknowledged once At is stamped.
type Acknowledgement struct {
	Escalation string    `json:"escalation"`
	Officer    string    `json:"officer"` // a post, never a person's name
	At         time.Time `json:"at,omitzero"`
	// AcknowledgeBy is the house's target, from the escalation; null where no clock runs.
	AcknowledgeBy *time.Time `json:"acknowledgeBy,omitempty"`
	// Signed proves that the desk acknowledged it, where there are identities.
	Signed *evidence.SignedAct `json:"signed,omitempty"`
}

// Unhandled is the body of incident.unhandled: a record that a service could not handle,
// shown to the first recipient's desk.
type Unhandled struct {
	Service  string    `json:"service"`
	Record   uint64    `json:"record"`
	Timer    bool      `json:"timer,omitempty"` // Record is in the stream of timers, not in the ledger
	Subject  string    `json:"subject"`
	Error    string    `json:"error"`
	Attempts int       `json:"attempts"`
	At       time.Time `json:"at"`
	Operator string    `json:"operator"` // its token where the id is unknown
	Incident string    `json:"incident"` // its token where the id is unknown
	Desk     string    `json:"desk"`
	// AcknowledgeWithin is the house's target for a person to review it.
	AcknowledgeWithin Duration `json:"acknowledgeWithin"`
}

// RulesBody is the body of rules.<sha256>: a complete pack, calendar or register.
type RulesBody struct {
	Kind   string `json:"kind"` // statute, calendar or register
	ID     string `json:"id"`
	SHA256 string `json:"sha256"` // of Text
	Text   string `json:"text"`   // the YAML, byte for byte
}
