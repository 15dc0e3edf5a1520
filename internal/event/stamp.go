package event

import (
	"encoding/json"
	"time"
)

// stamp is a time as the contract writes it: RFC 3339 with zone, never with
// less than milliseconds. time.Time drops a fraction that is zero, which some
// readers take for another format.
type stamp time.Time

// MarshalJSON writes at least milliseconds.
func (s stamp) MarshalJSON() ([]byte, error) {
	t := time.Time(s)
	layout := time.RFC3339Nano
	if t.Nanosecond()%int(10*time.Millisecond) == 0 { // it would write fewer than three digits
		layout = "2006-01-02T15:04:05.000Z07:00"
	}
	return []byte(t.Format(`"` + layout + `"`)), nil
}

// The shapes of the contract write their times as stamps: each takes its own
// fields, with the times put in their place.

// MarshalJSON writes the contract's form.
func (r Receipt) MarshalJSON() ([]byte, error) {
	type plain Receipt
	return json.Marshal(struct {
		plain
		ReceivedAt *stamp `json:"receivedAt,omitempty"`
	}{plain(r), (*stamp)(r.ReceivedAt)})
}

// MarshalJSON writes the contract's form.
func (d Duty) MarshalJSON() ([]byte, error) {
	type plain Duty
	return json.Marshal(struct {
		plain
		DueAt       *stamp `json:"dueAt"`
		StrictDueAt *stamp `json:"strictDueAt,omitempty"`
	}{plain(d), (*stamp)(d.DueAt), (*stamp)(d.StrictDueAt)})
}

// MarshalJSON writes the contract's form.
func (n Next) MarshalJSON() ([]byte, error) {
	type plain Next
	return json.Marshal(struct {
		plain
		At stamp `json:"at"`
	}{plain(n), stamp(n.At)})
}

// MarshalJSON writes the contract's form.
func (r EscalationRow) MarshalJSON() ([]byte, error) {
	type plain EscalationRow
	return json.Marshal(struct {
		plain
		DueAt          *stamp  `json:"dueAt"`
		ReportedAt     stamp   `json:"reportedAt"`
		AcknowledgeBy  *stamp  `json:"acknowledgeBy"`
		AcknowledgedAt *stamp  `json:"acknowledgedAt"`
		AcknowledgedBy *string `json:"acknowledgedBy"`
	}{plain(r), (*stamp)(r.DueAt), stamp(r.ReportedAt), (*stamp)(r.AcknowledgeBy), (*stamp)(r.AcknowledgedAt), orNull(r.AcknowledgedBy)})
}

// MarshalJSON writes the contract's form.
func (a AcknowledgementAnswer) MarshalJSON() ([]byte, error) {
	type plain AcknowledgementAnswer
	return json.Marshal(struct {
		plain
		AcknowledgedAt *stamp `json:"acknowledgedAt,omitempty"`
	}{plain(a), (*stamp)(a.AcknowledgedAt)})
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
