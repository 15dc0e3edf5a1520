package event

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Stamp is a time in the contract's form: RFC 3339 with zone and at least milliseconds.
// time.Time drops a fraction of zero, which some readers take for another format.
type Stamp time.Time

// AppendText writes at least milliseconds.
func (s Stamp) AppendText(out []byte) ([]byte, error) {
	t := time.Time(s)
	layout := time.RFC3339Nano
	if t.Nanosecond()%int(10*time.Millisecond) == 0 { // RFC3339Nano would write fewer than three digits
		layout = "2006-01-02T15:04:05.000Z07:00"
	}
	return t.AppendFormat(out, layout), nil
}

// MarshalText writes at least milliseconds.
func (s Stamp) MarshalText() ([]byte, error) { return s.AppendText(nil) }

// UnmarshalText reads what MarshalText writes.
func (s *Stamp) UnmarshalText(text []byte) error { return (*time.Time)(s).UnmarshalText(text) }

// The types of the contract write their times as stamps: each one embeds its own fields
// and replaces the times.

// MarshalJSONTo writes the contract's form.
func (r Receipt) MarshalJSONTo(out *jsontext.Encoder) error {
	type plain Receipt
	return json.MarshalEncode(out, &struct {
		plain
		ReceivedAt *Stamp `json:"receivedAt,omitempty"`
	}{plain(r), (*Stamp)(r.ReceivedAt)})
}

// MarshalJSONTo writes the contract's form.
func (d Duty) MarshalJSONTo(out *jsontext.Encoder) error {
	type plain Duty
	return json.MarshalEncode(out, &struct {
		plain
		DueAt       *Stamp `json:"dueAt"`
		StrictDueAt *Stamp `json:"strictDueAt,omitempty"`
	}{plain(d), (*Stamp)(d.DueAt), (*Stamp)(d.StrictDueAt)})
}

// MarshalJSONTo writes the contract's form.
func (n Next) MarshalJSONTo(out *jsontext.Encoder) error {
	type plain Next
	return json.MarshalEncode(out, &struct {
		plain
		At Stamp `json:"at"`
	}{plain(n), Stamp(n.At)})
}

// MarshalJSONTo writes the contract's form.
func (l Lateness) MarshalJSONTo(out *jsontext.Encoder) error {
	type plain Lateness
	return json.MarshalEncode(out, &struct {
		plain
		DueAt Stamp `json:"dueAt"`
	}{plain(l), Stamp(l.DueAt)})
}

// MarshalJSONTo writes the contract's form.
func (o Obligation) MarshalJSONTo(out *jsontext.Encoder) error {
	type plain Obligation
	return json.MarshalEncode(out, &struct {
		plain
		Since *Stamp `json:"since,omitempty"`
		DueAt *Stamp `json:"dueAt"`
	}{plain(o), (*Stamp)(o.Since), (*Stamp)(o.DueAt)})
}

// Beijing is the zone in which the statutes count days and months.
var Beijing = time.FixedZone("+08:00", 8*60*60)
