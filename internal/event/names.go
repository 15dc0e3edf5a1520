package event

import (
	"encoding/json"
	"strings"
)

// Names are what even a report that cannot be taken may still tell of itself.
type Names struct {
	ID      string `json:"id"`
	Source  string `json:"source"`
	Subject string `json:"subject"` // the incident
}

// NamesOf reads the names of an event in structured or binary form as far as
// they can be read at all: a refusal names what it refuses.
func NamesOf(header map[string][]string, payload []byte) Names {
	var n Names
	_ = json.Unmarshal(payload, &n) // as far as it goes
	for name, values := range header {
		if len(values) == 0 {
			continue
		}
		switch strings.ToLower(name) {
		case "ce-id":
			n.ID = values[0]
		case "ce-source":
			n.Source = values[0]
		case "ce-subject":
			n.Subject = values[0]
		}
	}
	return n
}
