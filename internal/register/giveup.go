package register

import (
	"encoding/json"
	"strings"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// GiveUp returns the function by which a service records that it could not handle a
// record, so that a person at the first recipient's desk reviews it.
func (r *Register) GiveUp(service string, c clock.Clock) func(event.Stored, int, error) (event.Record, error) {
	return func(in event.Stored, attempts int, cause error) (event.Record, error) {
		now := c.Now()
		at := event.ParseSubject(in.Subject)
		operator, incident := token(at.Operator), token(at.Incident)
		named, facilities := namesIn(in.Data)
		u := event.Unhandled{
			Service: service, Record: in.Sequence, Timer: event.IsTimer(in.Subject), Subject: in.Subject, Error: shortened(cause.Error()), Attempts: attempts,
			At: now, Operator: operator, Incident: incident,
			Desk: r.FirstRecipient(operator, facilities), AcknowledgeWithin: r.Acknowledge,
		}
		// People are shown ids, not tokens, where the id of a token is known.
		if o, ok := r.OperatorByToken(operator); ok {
			u.Operator = o.ID
		}
		if event.Token(named) == incident {
			u.Incident = named
		}
		return event.NewRecord(event.UnhandledSubject(service, operator, incident, in.Sequence), now, "", u)
	}
}

// maxError is how many bytes of an error are recorded, since an error may quote its
// input.
const maxError = 4 << 10

func shortened(s string) string {
	if len(s) <= maxError {
		return s
	}
	return strings.ToValidUTF8(s[:maxError], "") + "…"
}

// token returns a subject token unchanged and makes one of anything else: a record that
// cannot be handled may have any subject.
func token(s string) string {
	switch {
	case s == "":
		return "unknown"
	case event.IsToken(s):
		return s
	}
	return event.Token(s)
}

// namesIn returns the incident and the facilities that a body names, as far as it can be
// read: an accepted report has its facilities in its event, a graded record in a list of
// its own.
func namesIn(body []byte) (incident string, facilities []string) {
	var b struct {
		Incident string `json:"incident"`
		Event    struct {
			Data struct {
				Facilities []string `json:"facilities"`
			} `json:"data"`
		} `json:"event"`
		Facilities []event.Facility `json:"facilities"`
	}
	_ = json.Unmarshal(body, &b) // as far as it is readable
	facilities = b.Event.Data.Facilities
	for _, f := range b.Facilities {
		facilities = append(facilities, f.ID)
	}
	return b.Incident, facilities
}
