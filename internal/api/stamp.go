package api

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/event"
)

// MarshalJSONTo writes the contract's form.
func (r EscalationRow) MarshalJSONTo(out *jsontext.Encoder) error {
	type plain EscalationRow
	return json.MarshalEncode(out, &struct {
		plain
		DueAt          *event.Stamp `json:"dueAt"`
		ReportedAt     event.Stamp  `json:"reportedAt"`
		AcknowledgeBy  *event.Stamp `json:"acknowledgeBy"`
		AcknowledgedAt *event.Stamp `json:"acknowledgedAt"`
		AcknowledgedBy *string      `json:"acknowledgedBy"`
		OverdueAt      *event.Stamp `json:"overdueAt,omitempty"`
	}{plain(r), (*event.Stamp)(r.DueAt), event.Stamp(r.ReportedAt), (*event.Stamp)(r.AcknowledgeBy), (*event.Stamp)(r.AcknowledgedAt), orNull(r.AcknowledgedBy), (*event.Stamp)(r.OverdueAt)})
}

// MarshalJSONTo writes the contract's form.
func (a DeskActAnswer) MarshalJSONTo(out *jsontext.Encoder) error {
	type plain DeskActAnswer
	return json.MarshalEncode(out, &struct {
		plain
		At *event.Stamp `json:"at,omitempty"`
	}{plain(a), (*event.Stamp)(a.At)})
}

// MarshalJSONTo writes the contract's form.
func (a AcknowledgementAnswer) MarshalJSONTo(out *jsontext.Encoder) error {
	type plain AcknowledgementAnswer
	return json.MarshalEncode(out, &struct {
		plain
		AcknowledgedAt *event.Stamp `json:"acknowledgedAt,omitempty"`
	}{plain(a), (*event.Stamp)(a.AcknowledgedAt)})
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
