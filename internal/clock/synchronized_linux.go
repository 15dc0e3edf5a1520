package clock

import "golang.org/x/sys/unix"

// Synchronized reports whether something, such as NTP, keeps the machine's clock right,
// as the kernel has it (adjtimex(2), STA_UNSYNC); known is false where it does not say.
func Synchronized() (synchronized, known bool) {
	var t unix.Timex // asks, and changes nothing
	if _, err := unix.Adjtimex(&t); err != nil {
		return false, false
	}
	return t.Status&unix.STA_UNSYNC == 0, true
}
