package classifier

import (
	"slices"
	"time"
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
