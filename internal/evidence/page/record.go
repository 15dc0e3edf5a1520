package page

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// incident is one incident and the desks that were told of it.
type incident struct {
	Operator, Incident, Title string
	Told                      []*told
}

// told is one escalation, from its record, and its outcome.
type told struct {
	Escalation string `json:"escalation"`
	Desk       string `json:"desk"`
	Operator   string `json:"operator"`
	Incident   string `json:"incident"`
	Revision   int    `json:"revision"`
	Grade      string `json:"grade"`
	Change     struct {
		Kind string `json:"kind"`
	} `json:"change"`
	From          string          `json:"from"`
	Act           string          `json:"act"`
	Duties        []duty          `json:"duties"`
	Standing      []duty          `json:"standing"`
	DueAt         *time.Time      `json:"dueAt"`
	ReportedAt    time.Time       `json:"reportedAt"`
	AcknowledgeBy *time.Time      `json:"acknowledgeBy"`
	Imported      bool            `json:"imported"`
	Report        json.RawMessage `json:"report"`
	Notice        *struct {
		Kind       string `json:"kind"`
		Desk       string `json:"desk"`
		Escalation string `json:"escalation"`
	} `json:"notice"`
	Cause struct {
		At time.Time `json:"at"`
	} `json:"cause"`

	Record                   uint64     `json:"-"`
	AcknowledgedAt           *time.Time `json:"-"`
	AcknowledgedBy           string     `json:"-"`
	OverdueAt                *time.Time `json:"-"`
	AckRecord, OverdueRecord uint64     `json:"-"`
	StoredAt                 *time.Time `json:"-"` // when that was after a due time that ReportedAt keeps: the server's word
	Before                   bool       `json:"-"` // told before the range, which contains only the outcome
}

// store gives the escalation the lateness with which it was stored.
func (t *told) store(at time.Time) {
	t.StoredAt = &at
	for i, d := range t.Duties {
		if d.DueAt != nil && at.After(*d.DueAt) {
			by := at.Sub(*d.DueAt)
			text := fmt.Sprintf("P%dDT%dH%dM%d.%03dS", by/(24*time.Hour), by/time.Hour%24, by/time.Minute%60, by/time.Second%60, by/time.Millisecond%1000)
			t.Duties[i].LateBy = &text
		}
	}
}

// isOwnAct reports whether a desk was told only of its own act.
func (t *told) isOwnAct() bool {
	return t.Act == "update" && t.From == t.Desk && t.AcknowledgeBy == nil
}

type duty struct {
	DueAt       *time.Time `json:"dueAt"`
	StrictDueAt *time.Time `json:"strictDueAt"`
	LateBy      *string    `json:"lateBy"` // ISO 8601
	Citation    string     `json:"citation"`
	Confidence  string     `json:"confidence"`
	OnBehalf    *struct {
		Authority string `json:"authority"`
		Verified  bool   `json:"verified"`
		Officer   string `json:"officer"`
	} `json:"onBehalf"`
}

type acknowledgement struct {
	Officer string    `json:"officer"`
	At      time.Time `json:"at"`
}

type removal struct {
	First    uint64          `json:"first"`
	Entries  []evidence.Hash `json:"entries"`
	Order    string          `json:"order"`
	Export   string          `json:"export"`
	Officer  string          `json:"officer"`
	Reason   string          `json:"reason"`
	At       time.Time       `json:"at"`
	Operator string          `json:"operator"`
	Incident string          `json:"incident"`
	Type     string          `json:"type"`
	Record   uint64          `json:"-"`
}

type rules struct {
	Kind   string `json:"kind"`
	ID     string `json:"id"`
	SHA256 string `json:"sha256"`
	Record uint64 `json:"-"`
}

// Folder returns the path of the text of a pack or register in the export.
func (r rules) Folder() string { return "rules/" + strings.ToLower(r.SHA256) + ".yaml" }
