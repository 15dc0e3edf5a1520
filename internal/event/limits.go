package event

import "slices"

const (
	// MaxMessage is how many bytes a message of the bus may have: it holds any record,
	// for a report may have 256 KiB, and the merged facts of an incident a multiple of
	// that.
	MaxMessage = 4 << 20
	// MaxRecord is how many bytes the body of a record may have: a message holds its
	// headers and its subject as well.
	MaxRecord = MaxMessage - 4<<10
)

// Bounds of what parties can add to an incident, of which every revision repeats the
// most. A record has at most 4 MiB; what is over MaxGraded leaves room for moments and
// determinations, of what is over MaxAdded nothing large is taken at the doors.
const (
	MaxGraded = 3 << 20 // bytes of a graded record that a cause may make larger
	MaxAdded  = 2 << 20 // bytes of a graded record to which reports and desks add large parts
	// LargeReport is from how many bytes on a report is held against its incident.
	LargeReport = 16 << 10
	// MaxAsks and MaxAskBytes bound the questions of one desk on one incident that are
	// not answered.
	MaxAsks     = 20
	MaxAskBytes = 64 << 10
	// MaxActs is how many acts of one kind one incident takes of one desk; fewer of an
	// incident whose record is large, since each act repeats it to every desk, but always
	// MinActs.
	MaxActs     = 500
	MinActs     = 20
	maxRepeated = 16 << 20 // bytes of graded records that the acts of one kind and desk repeat
)

// MaxActsOf is how many acts of one kind an incident takes of one desk whose graded
// record has so many bytes.
func MaxActsOf(bytes int) int {
	return min(MaxActs, max(MinActs, maxRepeated/max(1, bytes)))
}

// Missing returns what of a question no report has answered since it was asked.
func (s State) Missing(a Asked) []string {
	return slices.DeleteFunc(slices.Clone(a.Items), func(path string) bool {
		return s.Knows(path) && s.Fields[path].Record > a.Record
	})
}

var askedParts = Parts{"operator": nil, "incident": nil, "owed": nil, "through": nil}

// AskedOf reads of a graded record what is owed, and the last cause that was folded.
func AskedOf(s Stored) (*Graded, error) {
	s.Data = askedParts.Pick(s.Data)
	return Decode[Graded](s)
}

var toldParts = Parts{"desk": nil, "from": nil, "act": nil, "acknowledgeBy": nil}

// ToldOf reads of an escalation what IsOwnAct asks for.
func ToldOf(s Stored) (*Escalated, error) {
	s.Data = toldParts.Pick(s.Data)
	return Decode[Escalated](s)
}

// IsOwnAct reports whether the escalation tells a desk of nothing but its own act, which
// it need not acknowledge.
func (e *Escalated) IsOwnAct() bool {
	return e.Act == ActUpdate && e.From == e.Desk && e.AcknowledgeBy == nil
}
