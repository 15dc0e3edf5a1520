package event

import (
	"strings"
	"time"
)

// Lasting returns the paths of the facts that have not ended at a time: their clocks
// continue, whatever the report gives as the end of handling.
func Lasting(f Facts, at time.Time) (paths []string) {
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

// ClocksGoOn states that the lasting facts have no end, and how to end them; it is empty
// where nothing lasts.
func ClocksGoOn(lasting []string) string {
	if len(lasting) == 0 {
		return ""
	}
	return "; " + strings.Join(lasting, ", ") + ClockGoesOn
}

// ClockGoesOn is the end of the text that [ClocksGoOn] adds to the reason of a revision.
const ClockGoesOn = " has no end, and its clock goes on until a progress report gives it again with until"

// ClockNote returns the text that [ClocksGoOn] added to the reason of a revision, or "".
func ClockNote(reason string) string {
	before, ok := strings.CutSuffix(reason, ClockGoesOn)
	if !ok {
		return ""
	}
	if at := strings.LastIndex(before, "; "); at >= 0 {
		before = before[at+len("; "):]
	}
	return before + ClockGoesOn
}

// LastsOn is the warning on the receipt of a report that gives an end of handling while
// something still lasts.
const LastsOn = "has no end, and its clock goes on though handling has ended: send a progress report that gives it again with until"
