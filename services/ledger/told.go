package ledger

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// asTold returns records with every escalation as late as it was stored: a duty to tell is
// met when the record is on disk for the desk, and a record that waited for the disk has a
// stamp from before. What is on disk stays as it is. The stream's stamps are the machine's:
// a drill's clock may run faster, and its own stamps stand.
func (v *view) asTold(batch []event.Stored) []event.Stored {
	if !clock.IsMachine(v.deps.Clock) {
		return batch
	}
	var out []event.Stored
	for i, s := range batch {
		if !s.StoredAt.After(s.Time) || event.ParseSubject(s.Subject).Kind != event.KindEscalated {
			continue
		}
		if late, is := lateAt(s.Data, s.StoredAt); is {
			if out == nil {
				out = slices.Clone(batch) // others read it, too
			}
			out[i].Data = late
		}
	}
	if out == nil {
		return batch
	}
	return out
}

// lateAt returns the body of an escalation that was stored at a time, where a duty of it
// had passed then, and the body does not say so.
func lateAt(raw []byte, at time.Time) (late []byte, is bool) {
	var e struct {
		DueAt  *time.Time   `json:"dueAt"`
		Late   bool         `json:"late"`
		Duties []event.Duty `json:"duties"`
	}
	if err := json.Unmarshal(escalatedParts.Pick(raw), &e); err != nil || e.Late || e.DueAt == nil || !at.After(*e.DueAt) {
		return nil, false
	}
	for i := range e.Duties {
		if due := e.Duties[i].DueAt; due != nil && at.After(*due) {
			by := event.Duration(at.Sub(*due))
			e.Duties[i].LateBy = &by
		}
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, false
	}
	for name, value := range map[string]any{"late": true, "duties": e.Duties, "reportedAt": at.UTC()} {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, false
		}
		members[name] = text
	}
	late, err := json.Marshal(members)
	return late, err == nil
}
