package clock

import "golang.org/x/sys/unix"

// Synchronized reports whether the machine's clock is kept right, for example by NTP,
// according to the kernel (adjtimex(2), STA_UNSYNC); known is false if the kernel does
// not say.
func Synchronized() (synchronized, known bool) {
	var t unix.Timex // the zero value changes nothing
	if _, err := unix.Adjtimex(&t); err != nil {
		return false, false
	}
	return t.Status&unix.STA_UNSYNC == 0, true
}
