package api

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// WatchRequest asks a desk's endpoint for a durable consumer.
type WatchRequest struct {
	Client string `json:"client"` // the name of the screen
	From   uint64 `json:"from"`   // ledger sequence at which a new consumer begins
}

// WatchAnswer names the consumer.
type WatchAnswer struct {
	Stream   string `json:"stream,omitempty"`
	Consumer string `json:"consumer,omitempty"`
	// API is the prefix under which the JetStream API is reached; empty: the engine's
	// own, $JS.API.
	API string `json:"api,omitempty"`
	// Citations are those of the packs in force, for the rows of the screen.
	Citations event.Citations `json:"citations,omitempty"`
	Errors    []fault.Detail  `json:"errors,omitempty"`
}

// OutcomeRequest asks for the outcome of an escalation.
type OutcomeRequest struct {
	Escalation string `json:"escalation"`
}

// OutcomeAnswer is the outcome of an escalation at one moment. An acknowledgement that is
// in time by its stamp is late all the same when an overdue record was stored before it.
type OutcomeAnswer struct {
	Acknowledged *event.Acknowledgement `json:"acknowledged,omitempty"` // the one that counts
	Overdue      *event.Overdue         `json:"overdue,omitempty"`
	Errors       []fault.Detail         `json:"errors,omitempty"`
}

// EscalationRow is one escalation as queries and watches show it. Its JSON form is part
// of the contract.
type EscalationRow struct {
	Escalation     string            `json:"escalation"`
	Desk           string            `json:"desk"`
	Incident       string            `json:"incident"`
	Operator       string            `json:"operator"`
	Revision       int               `json:"revision"`
	About          event.About       `json:"about,omitempty"`
	Title          string            `json:"title,omitempty"`
	Grade          event.Grade       `json:"grade"`
	Peak           event.Grade       `json:"peak"`
	Change         string            `json:"change"`
	Reason         string            `json:"reason,omitempty"` // of the change
	Lost           []string          `json:"lost,omitempty"`   // criteria that no longer hit
	Gained         []string          `json:"gained,omitempty"`
	Withdrawal     *event.Withdrawal `json:"withdrawal,omitempty"`
	Duties         []event.Duty      `json:"duties"`
	From           string            `json:"from"`
	Act            event.Act         `json:"act"`
	DueAt          *time.Time        `json:"dueAt"`
	ReceivedAt     event.Stamp       `json:"receivedAt,omitzero"` // when the report or act behind it arrived; tells whether the operator or a department was late
	ReportedAt     time.Time         `json:"reportedAt"`
	Late           bool              `json:"late"`
	Standing       []event.Duty      `json:"standing,omitempty"` // told before, and late by a discovery time that was corrected since
	AcknowledgeBy  *time.Time        `json:"acknowledgeBy"`      // null: an import, which starts no clock
	AcknowledgedAt *time.Time        `json:"acknowledgedAt"`
	AcknowledgedBy string            `json:"acknowledgedBy,omitempty"`
	OverdueAt      *time.Time        `json:"overdueAt,omitempty"` // when the overdue record was made
	Next           *event.Next       `json:"next,omitempty"`      // when time alone will raise the grade
	Notice         *event.Notice     `json:"notice,omitempty"`
	State          string            `json:"state"`
	OwnAct         bool              `json:"ownAct,omitempty"` // of the desk that it tells: nothing to acknowledge
	Exercise       bool              `json:"exercise"`
	Imported       bool              `json:"imported,omitempty"` // from an archive: no clock starts
	Designated     bool              `json:"designated"`
	Record         uint64            `json:"record"`
}

// The states of an escalation.
const (
	StateOpen             = "open"
	StateAcknowledged     = "acknowledged" // or the desk's own act, which needs no acknowledgement
	StateOverdue          = "overdue"      // the house's target has passed without an acknowledgement
	StateAcknowledgedLate = "acknowledged-late"
)

// RowOf renders an escalation with its first acknowledgement and its overdue record, if
// any, as of now.
func RowOf(e *event.Escalated, record uint64, ack *event.Acknowledgement, overdue *event.Overdue, now time.Time) EscalationRow {
	row := EscalationRow{
		Escalation: e.ID, Desk: e.Desk, Incident: e.Incident, Operator: e.Operator, Revision: e.Revision,
		About: e.About, Title: titleOf(e), Grade: e.Grade, Peak: e.Peak, Change: e.Change.Kind,
		Reason: e.Change.Reason, Lost: e.Change.Lost, Gained: e.Change.Gained, Withdrawal: e.Withdrawal,
		Duties: e.Duties, From: e.From, Act: e.Act, DueAt: e.DueAt, ReportedAt: e.ReportedAt, Late: e.Late,
		AcknowledgeBy: e.AcknowledgeBy, Next: e.Next, Notice: e.Notice, Exercise: e.Exercise, Imported: e.Imported, Designated: e.Designated, Record: record,
		ReceivedAt: event.Stamp(e.Cause.At), Standing: lateOf(e.Standing), OwnAct: e.IsOwnAct(),
	}
	if ack != nil {
		row.AcknowledgedAt, row.AcknowledgedBy = &ack.At, ack.Officer
	}
	if overdue != nil {
		row.OverdueAt = &overdue.At
	}
	row.State = row.StateAt(now)
	return row
}

// StateAt returns the state of the escalation at now. One with an overdue record was not
// acknowledged in time, whatever the stamp of an acknowledgement that was stored after
// it.
func (r EscalationRow) StateAt(now time.Time) string {
	late := func(t time.Time) bool {
		return r.OverdueAt != nil || r.AcknowledgeBy != nil && t.After(*r.AcknowledgeBy)
	}
	switch {
	case r.AcknowledgedAt == nil && late(now):
		return StateOverdue
	case r.AcknowledgedAt == nil && r.OwnAct:
		return StateAcknowledged
	case r.AcknowledgedAt == nil:
		return StateOpen
	case late(*r.AcknowledgedAt):
		return StateAcknowledgedLate
	}
	return StateAcknowledged
}

// lateOf returns the duties that record how late they were.
func lateOf(duties []event.Duty) (late []event.Duty) {
	for _, d := range duties {
		if d.LateBy != nil {
			late = append(late, d)
		}
	}
	return late
}

func titleOf(e *event.Escalated) string {
	var r struct {
		Title string `json:"title"`
	}
	_ = json.Unmarshal(e.Report, &r, event.JSON) // a report without a title has none
	return r.Title
}

// Query asks for escalations. Zero fields do not restrict.
type Query struct {
	Grade          string     `json:"grade,omitempty"`
	Operator       string     `json:"operator,omitempty"`
	Desk           string     `json:"desk,omitempty"`
	Region         string     `json:"region,omitempty"` // GB/T 2260; a province covers its prefectures
	Sector         string     `json:"sector,omitempty"`
	Statute        string     `json:"statute,omitempty"`
	Text           string     `json:"text,omitempty"`  // words of the title, Chinese or Latin; all must occur
	Since          *time.Time `json:"since,omitempty"` // reportedAt, included
	Until          *time.Time `json:"until,omitempty"` // reportedAt, excluded
	Overdue        bool       `json:"overdue,omitempty"`
	Unacknowledged bool       `json:"unacknowledged,omitempty"`
	Limit          int        `json:"limit,omitempty"`  // rows of this page at most
	Cursor         string     `json:"cursor,omitempty"` // of the page before
}

// QueryAnswer is one page, in ledger order.
type QueryAnswer struct {
	Rows []EscalationRow `json:"rows"`
	// Next is the cursor of the next page; empty on the last one. Cursors never expire.
	Next string `json:"next,omitempty"`
	// Through is the ledger sequence that the answer covers.
	Through uint64         `json:"through"`
	Errors  []fault.Detail `json:"errors,omitempty"`
}

// IncidentQuery asks for incidents in their current state. Zero fields do not restrict.
type IncidentQuery struct {
	Operator string `json:"operator,omitempty"`
	Incident string `json:"incident,omitempty"`
	Desk     string `json:"desk,omitempty"` // a desk that was told of it
	Grade    string `json:"grade,omitempty"`
	Text     string `json:"text,omitempty"` // words of the title, as in Query
	Owed     bool   `json:"owed,omitempty"` // something is owed
	Open     bool   `json:"open,omitempty"` // neither withdrawn nor closed by the desk since it was last told
	Limit    int    `json:"limit,omitempty"`
	Cursor   string `json:"cursor,omitempty"`
}

// IncidentRow is an incident in its last revision.
type IncidentRow struct {
	Operator        string                 `json:"operator"`
	Incident        string                 `json:"incident"`
	Revision        int                    `json:"revision"`
	Title           string                 `json:"title,omitempty"`
	About           event.About            `json:"about,omitempty"`
	Grade           event.Grade            `json:"grade"`
	CouldBe         event.Grade            `json:"couldBe"`
	Peak            event.Grade            `json:"peak"`
	Next            *event.Next            `json:"next"`
	Withdrawn       bool                   `json:"withdrawn,omitempty"`
	Imported        bool                   `json:"imported,omitempty"`
	GradedAt        time.Time              `json:"gradedAt"`
	Desks           []string               `json:"desks"` // told so far
	Owed            []event.Obligation     `json:"owed"`
	PendingForwards []event.PendingForward `json:"held,omitempty"`
	ClosedBy        []Closing              `json:"closedBy,omitempty"` // desks that have closed it since they were last told
	Exercise        bool                   `json:"exercise"`
	Record          uint64                 `json:"record"` // of the revision
}

// Closing is a desk's statement that it has finished with an incident.
type Closing struct {
	Desk    string    `json:"desk"`
	Officer string    `json:"officer"`
	Reason  string    `json:"reason,omitempty"`
	At      time.Time `json:"at"`
}

// IncidentAnswer is one page of incidents, the least recently changed first.
type IncidentAnswer struct {
	Rows    []IncidentRow  `json:"rows"`
	Next    string         `json:"next,omitempty"`
	Through uint64         `json:"through"`
	Now     time.Time      `json:"now"` // by the server's clock, which may run faster in a drill
	Errors  []fault.Detail `json:"errors,omitempty"`
}

// Screen is one connection of a desk.
type Screen struct {
	Desk      string     `json:"desk"`
	Client    string     `json:"client,omitempty"` // empty: the desk has never had a screen
	SeenAt    *time.Time `json:"seenAt"`           // null: never
	Connected bool       `json:"here"`             // it is waiting for new escalations now
	Next      string     `json:"next,omitempty"`   // the desk that is notified of silence
}

// DesksAnswer lists every desk of the register with its screens.
type DesksAnswer struct {
	Screens []Screen  `json:"screens"`
	Now     time.Time `json:"now"`
}

// ShowRequest asks for the story of an incident.
type ShowRequest struct {
	Operator string `json:"operator"`
	Incident string `json:"incident"`
	After    uint64 `json:"after,omitempty"` // ledger sequence of the previous entry
}

// StoryEntry is one record of an incident's story.
type StoryEntry struct {
	Record  uint64         `json:"record"`
	Type    string         `json:"type"` // accepted, graded, escalated, acknowledged, unhandled
	At      time.Time      `json:"at"`
	Subject string         `json:"subject"`
	Body    jsontext.Value `json:"body"` // an escalation has the lateness with which it was stored
}

// ShowAnswer is one page of a story, in ledger order.
type ShowAnswer struct {
	Entries []StoryEntry   `json:"entries"`
	More    bool           `json:"more,omitempty"`
	Through uint64         `json:"through"`
	Errors  []fault.Detail `json:"errors,omitempty"`
}
