package classifier

import (
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

const (
	// smallGrowth is by how many bytes a cause may grow a record that already exceeds
	// event.MaxGraded: a rise adds duties, and must still be folded.
	smallGrowth = 64 << 10
	// maxAside is how many causes that could not be folded a record lists.
	maxAside = 100
	// maxMended is how many of them are retried at once, and mendPause the pause after a
	// failed retry.
	maxMended = 8
	mendPause = 10 * time.Second
	// maxHistory is how many confirmations and transfers of an incident are kept, and how
	// many answered questions of each desk: older ones decide nothing.
	maxHistory = 40
)

// cut returns the latest maxAside causes. An older one counts as folded from then on; the
// record that asks a person to review it remains.
func cut(aside []uint64) []uint64 {
	if len(aside) <= maxAside {
		return aside
	}
	aside = slices.Sorted(slices.Values(aside))
	return aside[len(aside)-maxAside:]
}

// isCut reports whether cut may have dropped older causes than these.
func isCut(aside []uint64) bool { return len(aside) >= maxAside }

// recent drops the oldest entries of a list in ledger order beyond maxHistory, but none
// that the revision after prev carries out.
func recent[T any](prev *event.Graded, list []T, record func(T) uint64) []T {
	spare := len(list) - maxHistory
	if spare <= 0 {
		return list
	}
	return slices.DeleteFunc(list, func(v T) bool {
		drop := spare > 0 && !isFresh(prev, record(v))
		if drop {
			spare--
		}
		return drop
	})
}

// recentAsked drops the oldest answered questions of a desk beyond maxHistory.
func recentAsked(s event.State, desk string) []event.Asked {
	spare := -maxHistory
	for _, a := range s.Asked {
		if a.Desk == desk {
			spare++
		}
	}
	if spare <= 0 {
		return s.Asked
	}
	return slices.DeleteFunc(s.Asked, func(a event.Asked) bool {
		drop := spare > 0 && a.Desk == desk && len(s.Missing(a)) == 0
		if drop {
			spare--
		}
		return drop
	})
}
