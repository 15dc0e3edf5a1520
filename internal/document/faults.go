package document

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// Limits of what is listed of an input. One of 256 KiB can hold a hundred thousand faults;
// the answer must still fit a message.
const (
	maxFaults       = 500
	maxFaultBytes   = 128 << 10
	maxMessageRunes = 400
)

// Faults collects the faults of one input.
type Faults struct {
	list   []fault.Detail
	bytes  int
	missed int // found beyond the limits
}

// Add adds a fault. Beyond the limits faults are only counted.
func (f *Faults) Add(path, format string, args ...any) {
	message := format
	if len(args) > 0 {
		message = fmt.Sprintf(format, args...)
	}
	message = printable.Truncate(strings.ToValidUTF8(message, "\uFFFD"), maxMessageRunes)
	if len(f.list) >= maxFaults || f.bytes+len(path)+len(message) > maxFaultBytes {
		f.missed++
		return
	}
	f.bytes += len(path) + len(message)
	f.list = append(f.list, fault.Detail{Path: path, Message: message})
}

// Merge adds the faults of a part of the input. A path that is not empty replaces theirs.
func (f *Faults) Merge(part *Faults, path string) {
	for _, d := range part.list {
		f.Add(cmp.Or(path, d.Path), "%s", d.Message)
	}
	f.missed += part.missed
}

// Any reports whether there is a fault.
func (f *Faults) Any() bool { return len(f.list)+f.missed > 0 }

// Err returns the error of an input with these faults, or nil.
func (f *Faults) Err(op string) error {
	if !f.Any() {
		return nil
	}
	return fault.Invalid(op, f.Details())
}

// Details returns the faults sorted by path, without duplicates.
func (f *Faults) Details() []fault.Detail {
	slices.SortStableFunc(f.list, func(a, b fault.Detail) int { return strings.Compare(a.Path, b.Path) })
	f.list = slices.Compact(f.list)
	if f.missed > 0 {
		f.list = append(f.list, fault.Detail{Path: "$", Message: fmt.Sprintf("has %d more faults that are not listed", f.missed)})
	}
	return f.list
}
