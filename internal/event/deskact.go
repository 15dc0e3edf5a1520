package event

import (
	"time"

	"github.com/tocsin-project/tocsin/internal/evidence"
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
