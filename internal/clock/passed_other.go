//go:build !linux

package clock

import "time"

// passed is the time since the process began; on some systems it does not run while the
// machine sleeps.
func passed() time.Duration { return time.Since(began) }
