package event

import (
	"time"

	"github.com/go-json-experiment/json"
)

// Stamp is a time in the contract's form: RFC 3339 with zone and at least milliseconds.
// time.Time drops a fraction of zero, which some readers take for another format.
type Stamp time.Time

// MarshalJSON writes at least milliseconds.
func (s Stamp) MarshalJSON() ([]byte, error) {
	t := time.Time(s)
	layout := `"` + time.RFC3339Nano + `"`
	if t.Nanosecond()%int(10*time.Millisecond) == 0 { // RFC3339Nano would write fewer than three digits
		layout = `"2006-01-02T15:04:05.000Z07:00"`
	}
	return t.AppendFormat(nil, layout), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Stamp) UnmarshalJSON(b []byte) error { return (*time.Time)(s).UnmarshalJSON(b) }

// The types of the contract write their times as stamps: each one embeds its own fields
// and replaces the times.

// MarshalJSON writes the contract's form.
func (r Receipt) MarshalJSON() ([]byte, error) {
	type plain Receipt
	return json.Marshal(struct {
		plain
		ReceivedAt *Stamp `json:"receivedAt,omitempty"`
	}{plain(r), (*Stamp)(r.ReceivedAt)}, JSON)
}

// MarshalJSON writes the contract's form.
func (d Duty) MarshalJSON() ([]byte, error) {
	type plain Duty
	return json.Marshal(struct {
		plain
		DueAt       *Stamp `json:"dueAt"`
		StrictDueAt *Stamp `json:"strictDueAt,omitempty"`
	}{plain(d), (*Stamp)(d.DueAt), (*Stamp)(d.StrictDueAt)}, JSON)
}

// MarshalJSON writes the contract's form.
func (n Next) MarshalJSON() ([]byte, error) {
	type plain Next
	return json.Marshal(struct {
		plain
		At Stamp `json:"at"`
	}{plain(n), Stamp(n.At)}, JSON)
}

// MarshalJSON writes the contract's form.
func (l Lateness) MarshalJSON() ([]byte, error) {
	type plain Lateness
	return json.Marshal(struct {
		plain
		DueAt Stamp `json:"dueAt"`
	}{plain(l), Stamp(l.DueAt)}, JSON)
}

// MarshalJSON writes the contract's form.
func (o Obligation) MarshalJSON() ([]byte, error) {
	type plain Obligation
	return json.Marshal(struct {
		plain
		Since *Stamp `json:"since,omitempty"`
		DueAt *Stamp `json:"dueAt"`
	}{plain(o), (*Stamp)(o.Since), (*Stamp)(o.DueAt)}, JSON)
}

// Beijing is the zone in which the statutes count days and months.
var Beijing = time.FixedZone("+08:00", 8*60*60)
