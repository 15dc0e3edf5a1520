// Package tally counts events that may come in floods and reports them at most once a
// second, so that no peer can fill the log.
package tally

import (
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Interval is the least time between two reports.
const Interval = time.Second

// Tally counts events. It is safe for use by several goroutines.
type Tally struct {
	report func(n int, last string)
	total  atomic.Uint64

	mu   sync.Mutex
	n    int // since the last report
	last string
}

// New returns a tally that calls report with the number of events of an interval and the
// description of the last one.
func New(report func(n int, last string)) *Tally { return &Tally{report: report} }

// InLog returns a tally that reports in one log line: the number of events, in the field
// named events, and the last of them.
func InLog(log func(message string, fields ...zap.Field), message, events string) *Tally {
	return New(func(n int, last string) { log(message, zap.Int(events, n), zap.String("last", last)) })
}

// Add counts an event. The first of an interval is reported together with those that
// follow it when the interval has passed.
func (t *Tally) Add(what string) {
	t.total.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = what
	if t.n++; t.n > 1 {
		return
	}
	time.AfterFunc(Interval, t.Flush)
}

// Flush reports the events not reported yet.
func (t *Tally) Flush() {
	t.mu.Lock()
	n, last := t.n, t.last
	t.n = 0
	t.mu.Unlock()
	if n > 0 {
		t.report(n, last)
	}
}

// Total returns the number of events so far.
func (t *Tally) Total() uint64 { return t.total.Load() }
