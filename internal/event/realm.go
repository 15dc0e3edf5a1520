package event

import "strings"

// Realm is where records live: the real ones, or those of drills. The two share
// no subject and no stream, and each is reached on purpose only: the bus and
// the client write a realm's mark in front of every subject and take it off
// again, so what works in one realm cannot name the other.
type Realm string

// The realms.
const (
	Real  Realm = ""
	Drill Realm = "exercise"
)

// Wire is a subject as it stands on the wire.
func (r Realm) Wire(subject string) string {
	if r == Real {
		return subject
	}
	return string(r) + "." + subject
}

// WireScreen is Wire for the subjects of a screen's consumer, which name the stream.
// The engine's own have no mark in front.
func (r Realm) WireScreen(subject string) string {
	subject = strings.Replace(subject, "."+StreamLedger+".", "."+r.Stream(StreamLedger)+".", 1)
	if strings.HasPrefix(subject, "$") {
		return subject
	}
	return r.Wire(subject)
}

// Plain is the inverse of Wire; a subject of another realm is returned as it is.
func (r Realm) Plain(subject string) string {
	if r == Real {
		return subject
	}
	return strings.TrimPrefix(subject, string(r)+".")
}

// Stream is the name of the realm's stream or bucket.
func (r Realm) Stream(name string) string {
	switch {
	case r == Real:
		return name
	case name == StreamLedger:
		return "EXERCISE"
	}
	return "EXERCISE_" + name
}

// source is the CloudEvents source of the realm's records.
func (r Realm) source() string {
	if r == Real {
		return "urn:tocsin:ledger"
	}
	return "urn:tocsin:" + string(r)
}
