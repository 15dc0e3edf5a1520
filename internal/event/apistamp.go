package event

import "encoding/json"

// MarshalJSON writes the contract's form.
func (r EscalationRow) MarshalJSON() ([]byte, error) {
	type plain EscalationRow
	return json.Marshal(struct {
		plain
		DueAt          *Stamp  `json:"dueAt"`
		ReportedAt     Stamp   `json:"reportedAt"`
		AcknowledgeBy  *Stamp  `json:"acknowledgeBy"`
		AcknowledgedAt *Stamp  `json:"acknowledgedAt"`
		AcknowledgedBy *string `json:"acknowledgedBy"`
		OverdueAt      *Stamp  `json:"overdueAt,omitempty"`
	}{plain(r), (*Stamp)(r.DueAt), Stamp(r.ReportedAt), (*Stamp)(r.AcknowledgeBy), (*Stamp)(r.AcknowledgedAt), orNull(r.AcknowledgedBy), (*Stamp)(r.OverdueAt)})
}

// MarshalJSON writes the contract's form.
func (a DeskActAnswer) MarshalJSON() ([]byte, error) {
	type plain DeskActAnswer
	return json.Marshal(struct {
		plain
		At *Stamp `json:"at,omitempty"`
	}{plain(a), (*Stamp)(a.At)})
}

// MarshalJSON writes the contract's form.
func (a AcknowledgementAnswer) MarshalJSON() ([]byte, error) {
	type plain AcknowledgementAnswer
	return json.Marshal(struct {
		plain
		AcknowledgedAt *Stamp `json:"acknowledgedAt,omitempty"`
	}{plain(a), (*Stamp)(a.AcknowledgedAt)})
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
