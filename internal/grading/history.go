package grading

import (
	"slices"

	"github.com/tocsin-project/tocsin/internal/event"
)

// maxHistory is how many confirmations and transfers of an incident are kept, and how
// many answered questions of each desk: older ones decide nothing.
const maxHistory = 40

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
