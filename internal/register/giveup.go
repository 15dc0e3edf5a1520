package register

import (
	"encoding/json"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// GiveUp returns how a service records that it could not handle a record: as
// one that needs a person at the first recipient's desk.
func (r *Register) GiveUp(service string, c clock.Clock) func(event.Stored, int, error) (event.Record, error) {
	return func(in event.Stored, attempts int, cause error) (event.Record, error) {
		now := c.Now()
		at := event.ParseSubject(in.Subject)
		u := event.Unhandled{
			Service: service, Record: in.Sequence, Subject: in.Subject, Error: cause.Error(), Attempts: attempts,
			At: now, Operator: at.Operator, Incident: at.Incident,
			Desk: r.FirstRecipient(at.Operator, named(in.Data)), AcknowledgeWithin: r.Acknowledge,
		}
		return event.NewRecord(event.UnhandledSubject(service, at.Operator, at.Incident, in.Sequence), now, "", u)
	}
}

// named returns the facilities that a body names, as far as it can be read: an
// accepted report's in its event, a graded one's by their ids.
func named(body []byte) []string {
	var accepted struct {
		Event struct {
			Data struct {
				Facilities []string `json:"facilities"`
			} `json:"data"`
		} `json:"event"`
	}
	if json.Unmarshal(body, &accepted) == nil && accepted.Event.Data.Facilities != nil {
		return accepted.Event.Data.Facilities
	}
	var graded struct {
		Facilities []event.Facility `json:"facilities"`
	}
	if json.Unmarshal(body, &graded) != nil {
		return nil
	}
	var ids []string
	for _, f := range graded.Facilities {
		ids = append(ids, f.ID)
	}
	return ids
}
