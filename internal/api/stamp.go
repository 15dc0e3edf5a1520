package api

import (
	"github.com/go-json-experiment/json"

	"github.com/tocsin-project/tocsin/internal/event"
)

// MarshalJSON writes the contract's form.
func (r EscalationRow) MarshalJSON() ([]byte, error) {
	type plain EscalationRow
	return json.Marshal(struct {
		plain
		DueAt          *event.Stamp `json:"dueAt"`
		ReportedAt     event.Stamp  `json:"reportedAt"`
		AcknowledgeBy  *event.Stamp `json:"acknowledgeBy"`
		AcknowledgedAt *event.Stamp `json:"acknowledgedAt"`
		AcknowledgedBy *string      `json:"acknowledgedBy"`
		OverdueAt      *event.Stamp `json:"overdueAt,omitempty"`
	}{plain(r), (*event.Stamp)(r.DueAt), event.Stamp(r.ReportedAt), (*event.Stamp)(r.AcknowledgeBy), (*event.Stamp)(r.AcknowledgedAt), orNull(r.AcknowledgedBy), (*event.Stamp)(r.OverdueAt)}, event.JSON)
}

// MarshalJSON writes the contract's form.
func (a DeskActAnswer) MarshalJSON() ([]byte, error) {
	type plain DeskActAnswer
	return json.Marshal(struct {
		plain
		At *event.Stamp `json:"at,omitempty"`
	}{plain(a), (*event.Stamp)(a.At)}, event.JSON)
}

// MarshalJSON writes the contract's form.
func (a AcknowledgementAnswer) MarshalJSON() ([]byte, error) {
	type plain AcknowledgementAnswer
	return json.Marshal(struct {
		plain
		AcknowledgedAt *event.Stamp `json:"acknowledgedAt,omitempty"`
	}{plain(a), (*event.Stamp)(a.AcknowledgedAt)}, event.JSON)
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
