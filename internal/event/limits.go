package event

import (
	"slices"
	"strings"
)

const (
	// MaxMessage is the maximum size of a message of the bus in bytes. It fits any
	// record: a report may have 256 KiB, and the merged facts of an incident a multiple
	// of that.
	MaxMessage = 4 << 20
	// MaxRecord is the maximum size of a record's body in bytes: a message also holds its
	// headers and its subject.
	MaxRecord = MaxMessage - 4<<10
)

// Bounds on what parties can add to an incident, most of which every revision repeats. A
// record has at most 4 MiB; the space above MaxGraded is left for moments and
// determinations. Above MaxAdded the endpoints accept no large additions.
const (
	MaxGraded = 3 << 20 // bytes of a graded record up to which causes may enlarge it
	MaxAdded  = 2 << 20 // bytes of a graded record up to which reports and desks may add large parts
	// LargeReport is from how many bytes on a report is checked against the size of its
	// incident.
	LargeReport = 16 << 10
	// MaxAsks and MaxAskBytes bound the unanswered questions of one desk on one incident.
	MaxAsks     = 20
	MaxAskBytes = 64 << 10
	// MaxActs is how many acts of one kind an incident accepts from one desk. An incident
	// with a large record accepts fewer, since each act repeats it to every desk, but
	// never fewer than MinActs.
	MaxActs     = 500
	MinActs     = 20
	maxRepeated = 16 << 20 // bytes of graded records that one desk's acts of one kind may repeat
)

// MaxActsOf returns how many acts of one kind an incident accepts from one desk, for a
// graded record of that many bytes.
func MaxActsOf(bytes int) int {
	return min(MaxActs, max(MinActs, maxRepeated/max(1, bytes)))
}

// ItemStage begins an item by which a desk asks for a stage of reporting rather than for a
// fact: stages.intermediate.
const ItemStage = "stages."

// Missing returns the items of a question that no report has answered since it was asked.
func (s State) Missing(a Asked) []string {
	return slices.DeleteFunc(slices.Clone(a.Items), func(path string) bool {
		if stage, ok := strings.CutPrefix(path, ItemStage); ok {
			return s.Stages[stage].Last.After(a.At)
		}
		return s.Knows(path) && s.Fields[path].Record > a.Record
	})
}

// IsOwnAct reports whether the escalation tells a desk only of its own act, which it need
// not acknowledge.
func (e *Escalated) IsOwnAct() bool {
	return e.Act == ActUpdate && e.From == e.Desk && e.AcknowledgeBy == nil
}
