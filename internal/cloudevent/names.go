package cloudevent

import (
	"encoding/json"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Names identify a report even where it cannot be accepted: its id, and whom it names.
type Names struct {
	ID      string `json:"id"`
	Source  string `json:"source"`
	Subject string `json:"subject"` // the incident
	Data    struct {
		Facilities []string `json:"facilities"`
		Facts      struct {
			Outage []struct {
				Facility string `json:"facility"`
			} `json:"outage"`
			Named map[string]jsontext.Value `json:"named"`
		} `json:"facts"`
		Stages []string `json:"stages"`
	} `json:"data"`
}

// NamesOf reads the names of an event in structured or binary form as far as they can be
// read, so that a refusal can name the report. Of a payload that is too large for a report
// it reads only id, source and subject: lists of 16 MiB would fill the memory.
func NamesOf(header map[string][]string, payload []byte) Names {
	var n Names
	payload = trim(payload)
	if len(payload) > MaxBytes {
		var ids struct{ ID, Source, Subject string }
		_ = json.Unmarshal(payload, &ids) // as far as it is readable
		n.ID, n.Source, n.Subject = ids.ID, ids.Source, ids.Subject
		payload = nil
	}
	_ = json.Unmarshal(payload, &n) // as far as it is readable
	for name, values := range header {
		if len(values) == 0 {
			continue
		}
		switch strings.ToLower(name) {
		case "ce-id":
			n.ID = values[0]
			_ = json.Unmarshal(payload, &n.Data) // binary mode: the whole payload is data
		case "ce-source":
			n.Source = values[0]
		case "ce-subject":
			n.Subject = values[0]
		}
	}
	return n
}

// Names returns the names of a parsed event.
func (e *Event) Names() Names {
	n := Names{ID: e.ID, Source: e.Source, Subject: e.Subject}
	n.Data.Facilities, n.Data.Stages, n.Data.Facts.Named = e.Report.Facilities, e.Report.Stages, e.Report.Facts.Named
	for _, o := range e.Report.Facts.Outage {
		n.Data.Facts.Outage = append(n.Data.Facts.Outage, struct {
			Facility string `json:"facility"`
		}{o.Facility})
	}
	return n
}
