package event

import "strings"

// Realm separates the real records from those of drills. The two share no subject and no
// stream, and a realm must be chosen explicitly: the bus and the client add a realm's
// prefix to every subject and remove it again, so code in one realm cannot name the
// other.
type Realm string

// The realms.
const (
	Real  Realm = ""
	Drill Realm = "exercise"
)

// Wire returns a subject as sent over NATS.
func (r Realm) Wire(subject string) string {
	if r == Real {
		return subject
	}
	return string(r) + "." + subject
}

// WireScreen does what Wire does for the subjects of a screen's consumer, which name the
// stream. The engine's own get no prefix.
func (r Realm) WireScreen(subject string) string {
	subject = strings.Replace(subject, "."+StreamLedger+".", "."+r.Stream(StreamLedger)+".", 1)
	if strings.HasPrefix(subject, "$") {
		return subject
	}
	return r.Wire(subject)
}

// Plain returns a subject without the realm's prefix. It returns a subject of another
// realm unchanged.
func (r Realm) Plain(subject string) string {
	if r == Real {
		return subject
	}
	return strings.TrimPrefix(subject, string(r)+".")
}

// Stream returns the name of the realm's stream or bucket.
func (r Realm) Stream(name string) string {
	switch {
	case r == Real:
		return name
	case name == StreamLedger:
		return "EXERCISE"
	}
	return "EXERCISE_" + name
}

// source returns the CloudEvents source of the realm's records.
func (r Realm) source() string {
	if r == Real {
		return "urn:tocsin:ledger"
	}
	return "urn:tocsin:" + string(r)
}
