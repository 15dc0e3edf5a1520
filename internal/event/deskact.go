package event

import (
	"time"

	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// DeskAct is an act of a desk other than an acknowledgement: the message that the desk
// sends, and the body of incident.<kind>.<desk>.<operator>.<incident>.<id> once At is
// stamped.
type DeskAct struct {
	Kind     string    `json:"kind"` // asked, determined, transferred, closed or confirmed
	ID       string    `json:"id"`   // given by the sender, unique for the desk and incident: the same id and act is a repeat
	Desk     string    `json:"desk"`
	Operator string    `json:"operator"`
	Incident string    `json:"incident"`
	Officer  string    `json:"officer"` // a post, never a person's name
	Reason   string    `json:"reason"`
	At       time.Time `json:"at,omitzero"`

	Items []string   `json:"items,omitempty"` // asked: paths of the report's data
	DueAt *time.Time `json:"dueAt,omitempty"` // asked: until when
	Grade Grade      `json:"grade,omitempty"` // determined
	To    string     `json:"to,omitempty"`    // transferred: the competent desk; confirmed: the recipient of the forward

	// Signed proves that the desk performed the act, where there are identities.
	Signed *evidence.SignedAct `json:"signed,omitempty"`
}

// Headers of a desk's messages, where there are identities: its nkey, and its signature
// in base64 of the byte 0xFF, "tocsin/act/2", a newline, the subject of the record to be
// made, a newline, and the body as sent, which includes the members of Signing. Without
// those members the text has "tocsin/act/1". An administrator who removes or archives
// records sends the same headers and signs evidence.RemovalText.
const (
	HeaderKey       = "Tocsin-Key"
	HeaderSignature = "Tocsin-Signature"
)

// DeskActAnswer answers a desk's act.
type DeskActAnswer struct {
	Status   string         `json:"status"` // accepted, duplicate, conflict or rejected
	Kind     string         `json:"kind"`
	ID       string         `json:"id"`
	Desk     string         `json:"desk"`
	Operator string         `json:"operator,omitempty"`
	Incident string         `json:"incident,omitempty"`
	At       *time.Time     `json:"at,omitempty"`
	Record   uint64         `json:"record,omitempty"`
	Errors   []fault.Detail `json:"errors,omitempty"`
	// Warnings are not faults: the act is accepted.
	Warnings []fault.Detail `json:"warnings,omitempty"`
}
