package event

import (
	"strings"
	"time"
)

// OngoingFacts returns the paths of the facts that have not ended at a time: their clocks
// continue, whatever the report gives as the end of handling.
func OngoingFacts(f Facts, at time.Time) (paths []string) {
	add := func(path string, t Times) {
		if _, _, growing := t.Elapsed(at); growing && t.Until == nil && (len(paths) == 0 || paths[len(paths)-1] != path) {
			paths = append(paths, path)
		}
	}
	for _, o := range f.Outage {
		add("facts.outage", o.Times)
	}
	if f.SiteUnreachable != nil {
		add("facts.siteUnreachable", f.SiteUnreachable.Times)
	}
	if f.Defacement != nil {
		add("facts.defacement", f.Defacement.Times)
	}
	return paths
}

// OngoingNote states that these facts have no end, and how to end them; it is empty where
// there are none.
func OngoingNote(paths []string) string {
	if len(paths) == 0 {
		return ""
	}
	return "; " + strings.Join(paths, ", ") + OngoingNoteEnd
}

// OngoingNoteEnd is the end of the text that [OngoingNote] adds to the reason of a
// revision.
const OngoingNoteEnd = " has no end, and its clock goes on until a progress report gives it again with until"

// OngoingNoteIn returns the text that [OngoingNote] added to the reason of a revision, or
// "".
func OngoingNoteIn(reason string) string {
	before, ok := strings.CutSuffix(reason, OngoingNoteEnd)
	if !ok {
		return ""
	}
	if at := strings.LastIndex(before, "; "); at >= 0 {
		before = before[at+len("; "):]
	}
	return before + OngoingNoteEnd
}

// OngoingWarning is the warning on the receipt of a report that gives an end of handling
// while a fact has none.
const OngoingWarning = "has no end, and its clock goes on though handling has ended: send a progress report that gives it again with until"
