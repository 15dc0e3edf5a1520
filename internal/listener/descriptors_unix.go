//go:build unix

package listener

import (
	"math"
	"syscall"
)

// Descriptors returns how many files and connections the process may have open. Go
// raises the soft limit to the hard one when the process starts.
func Descriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt
	}
	return int(min(limit.Cur, math.MaxInt))
}
