//go:build !linux

package clock

import "time"

// passed returns the time since the process started; on some systems it excludes sleep.
func passed() time.Duration { return time.Since(processStart) }
