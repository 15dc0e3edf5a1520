package api

import (
	"time"

	"github.com/tocsin-project/tocsin/internal/fault"
)

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

// AcknowledgementAnswer answers an acknowledgement: the first one counts.
type AcknowledgementAnswer struct {
	Status         string         `json:"status"` // accepted, duplicate, conflict or rejected
	Escalation     string         `json:"escalation"`
	Desk           string         `json:"desk,omitempty"`
	AcknowledgedAt *time.Time     `json:"acknowledgedAt,omitempty"`
	AcknowledgedBy string         `json:"acknowledgedBy,omitempty"`
	Record         uint64         `json:"record,omitempty"`
	Errors         []fault.Detail `json:"errors,omitempty"`
	// Warnings are not faults: the acknowledgement is accepted.
	Warnings []fault.Detail `json:"warnings,omitempty"`
}
