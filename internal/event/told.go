package event

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// LateDuties returns duties as fulfilled at a time: the limit binds the obligor, and is
// met when the record is on disk for the desk.
func LateDuties(duties []Duty, at time.Time) []Duty {
	out := slices.Clone(duties)
	for i := range out {
		if due := out[i].DueAt; due != nil && at.After(*due) {
			by := Duration(at.Sub(*due))
			out[i].LateBy = &by
		}
	}
	return out
}

// WithStoredLateness returns an escalation with the lateness with which it was stored, and
// whether that differs from its body: the body has the stamp from before the write, and
// one that waited for the disk until after a due time was told late. Every reader of late
// calls it. The stream's stamps come from the machine's clock, so it is only for records
// stamped by that clock: a drill's records keep their own stamps. The stored record is not
// changed.
func WithStoredLateness(s Stored) (Stored, bool) {
	if !s.StoredAt.After(s.Time) || ParseSubject(s.Subject).Kind != KindEscalated {
		return s, false
	}
	var e struct {
		DueAt  *time.Time `json:"dueAt"`
		Late   bool       `json:"late"`
		Duties []Duty     `json:"duties"`
	}
	if err := json.Unmarshal(s.Data, &e, JSON); err != nil || e.Late || e.DueAt == nil || !s.StoredAt.After(*e.DueAt) {
		return s, false
	}
	members := map[string]jsontext.Value{}
	if err := json.Unmarshal(s.Data, &members, JSON); err != nil {
		return s, false
	}
	for name, value := range map[string]any{"late": true, "duties": LateDuties(e.Duties, s.StoredAt), "reportedAt": s.StoredAt.UTC()} {
		text, err := json.Marshal(value, JSON)
		if err != nil {
			return s, false
		}
		members[name] = text
	}
	data, err := json.Marshal(members, JSON)
	if err != nil {
		return s, false
	}
	s.Data = data
	return s, true
}
