package event

import (
	"time"

	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// DeskAct is what a desk does with an incident besides acknowledging: what it
// sends, and the body of incident.<kind>.<desk>.<operator>.<incident>.<id> once
// At is stamped.
type DeskAct struct {
	Kind     string    `json:"kind"` // asked, determined, transferred, closed or confirmed
	ID       string    `json:"id"`   // given by the sender, unique for the desk and incident: the same again is a repeat
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

	// Signed is by what it can be known that the desk did it, where there are
	// identities.
	Signed *evidence.SignedAct `json:"signed,omitempty"`
}

// Headers of what a desk sends, where there are identities: its nkey, and by it, in
// base64, the signature of the byte 0xFF, "tocsin/act/2", a newline, the subject of
// the record that is to be made of it, a newline, and the body as it is sent, which has
// the members of Signing besides its own. Without them it is "tocsin/act/1". An
// administrator who removes or archives records sends the same headers; what is signed
// is evidence.RemovalText.
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
	// Warnings are no faults: the act is taken.
	Warnings []fault.Detail `json:"warnings,omitempty"`
}
