package cloudevent

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/fault"
)

// Limits of a refusal. An input of 256 KiB can hold a hundred thousand faults; the answer
// must still fit a message.
const (
	maxFaults       = 500
	maxFaultBytes   = 128 << 10
	maxMessageRunes = 400
)

// faults collects the faults of one event.
type faults struct {
	list   []fault.Detail
	bytes  int
	missed int // found beyond the limits
}

func (f *faults) add(path, format string, args ...any) {
	message := format
	if len(args) > 0 {
		message = fmt.Sprintf(format, args...)
	}
	message = shorten(strings.ToValidUTF8(message, "\uFFFD"), maxMessageRunes)
	if len(f.list) >= maxFaults || f.bytes+len(path)+len(message) > maxFaultBytes {
		f.missed++
		return
	}
	f.bytes += len(path) + len(message)
	f.list = append(f.list, fault.Detail{Path: path, Message: message})
}

func (f *faults) any() bool { return len(f.list)+f.missed > 0 }

// err returns the faults sorted by path, without duplicates, or nil.
func (f *faults) err(op string) error {
	if !f.any() {
		return nil
	}
	slices.SortStableFunc(f.list, func(a, b fault.Detail) int { return strings.Compare(a.Path, b.Path) })
	f.list = slices.Compact(f.list)
	if f.missed > 0 {
		f.list = append(f.list, fault.Detail{Path: "$", Message: fmt.Sprintf("has %d more faults that are not listed", f.missed)})
	}
	return fault.Invalid(op, f.list)
}

func shorten(s string, runes int) string {
	if len(s) <= runes {
		return s
	}
	n := 0
	for i := range s {
		if n == runes {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
