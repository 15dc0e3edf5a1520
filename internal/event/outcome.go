package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"
)

// GradedOutcome is the part of a graded record that tells whether it has consequences.
// Most have none.
type GradedOutcome struct {
	Operator, Incident string
	Revision           int
	Look               *time.Time
	Held, Owed         bool // whether there are any
	Escalates          bool
}

// OutcomeOf reads the consequences of a graded record. Their members come before the rest
// of the body.
func OutcomeOf(s Stored) (*GradedOutcome, error) {
	o := new(GradedOutcome)
	err := members(s.Data, func(name []byte, value json.RawMessage) (err error) {
		switch string(name) {
		case `"operator"`:
			o.Operator, err = textOf(value)
		case `"incident"`:
			o.Incident, err = textOf(value)
		case `"revision"`:
			err = json.Unmarshal(value, &o.Revision)
		case `"look"`:
			err = json.Unmarshal(value, &o.Look)
		case `"held"`:
			o.Held = hasElements(value)
		case `"owed"`:
			o.Owed = hasElements(value)
		case `"escalations"`:
			o.Escalates, err = hasElements(value), errEnough
		}
		return err
	})
	if errors.Is(err, errEnough) {
		return o, nil
	}
	return o, s.unreadable(err)
}

// ThroughOf reads from a graded record which causes it has folded: those up to through,
// except those set aside.
func ThroughOf(s Stored) (through uint64, aside []uint64, err error) {
	err = members(s.Data, func(name []byte, value json.RawMessage) error {
		switch string(name) {
		case `"through"`:
			return json.Unmarshal(value, &through)
		case `"aside"`:
			return json.Unmarshal(value, &aside)
		case `"cause"`:
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return through, aside, s.unreadable(err)
}

var errEnough = errors.New("the rest is not read")

// hasElements reports whether a value is an array that is not empty.
func hasElements(value json.RawMessage) bool {
	return value[0] == '[' && len(bytes.TrimSpace(value[1:len(value)-1])) > 0
}

var remindedParts = Parts{"operator": nil, "incident": nil, "held": nil, "owed": nil}

// RemindersOf decodes from a graded record what somebody is to be reminded of.
func RemindersOf(s Stored) (*Graded, error) {
	s.Data = remindedParts.Pick(s.Data)
	return Decode[Graded](s)
}

var risesParts = Parts{"grade": nil, "next": nil}

// RisesTo decodes from a graded record the incident's grade, or the graver one to which
// time alone next raises it.
func RisesTo(s Stored) (Grade, error) {
	s.Data = risesParts.Pick(s.Data)
	g, err := Decode[struct {
		Grade Grade `json:"grade"`
		Next  *Next `json:"next"`
	}](s)
	if err != nil {
		return Ungraded, err
	}
	if g.Next != nil {
		return max(g.Grade, g.Next.Grade), nil
	}
	return g.Grade, nil
}
