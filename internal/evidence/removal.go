package evidence

import (
	"strconv"
	"strings"
)

// Removal parses a record that says that records were removed: its subject is
// incident.removed.<first>, in a drill with "exercise." before it, and its body has first
// and the hashes of the removed entries. ok is false for any other record.
func (r Record) Removal() (first uint64, entries []Hash, ok bool) {
	name, ok := strings.CutPrefix(strings.TrimPrefix(r.Subject, DrillPrefix), "incident.removed.")
	if !ok {
		return 0, nil, false
	}
	var body struct {
		First   uint64 `json:"first"`
		Entries []Hash `json:"entries"`
	}
	if err := Decode(r.Body, &body); err != nil || body.First == 0 || strconv.FormatUint(body.First, 10) != name {
		return 0, nil, false
	}
	return body.First, body.Entries, true
}
