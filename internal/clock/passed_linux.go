package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// passed returns the time since the machine was started, including sleep.
func passed() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return time.Since(processStart)
	}
	return time.Duration(t.Nano())
}
