package logging

import (
	"bytes"
	"io"
	"sync/atomic"
	"time"
)

// maxQueued bounds the writes that wait. With those of about two hundred bytes, which are
// usual, they take up a megabyte.
const maxQueued = 4096

// Writer passes its input to another writer in a goroutine. A write never blocks and
// never fails: while the other writer is stuck, a full queue drops lines, and lines that
// the other writer refuses are dropped, too. Every dropped line is counted, and the count
// is written as soon as writing works again.
type Writer struct {
	to            io.Writer
	renderDropped func(dropped uint64) []byte // the line that reports how many were dropped
	queue         chan chunk
	closed        atomic.Bool
	dropped       atomic.Uint64
	reported      uint64 // of dropped, those already reported; only run uses it
}

// chunk is some whole lines, or a marker.
type chunk struct {
	lines  []byte
	marker chan struct{} // closed once everything before it is written
	last   bool          // nothing follows
}

// NewWriter returns a Writer on top of another writer. renderDropped makes the line that
// reports how many lines were dropped since the last such line.
func NewWriter(to io.Writer, renderDropped func(dropped uint64) []byte) *Writer {
	w := &Writer{to: to, renderDropped: renderDropped, queue: make(chan chunk, maxQueued)}
	go w.run()
	return w
}

// Write queues whole lines. It always reports success.
func (w *Writer) Write(p []byte) (int, error) {
	if w.closed.Load() {
		w.dropped.Add(lines(p))
		return len(p), nil
	}
	select {
	case w.queue <- chunk{lines: bytes.Clone(p)}:
	default:
		w.dropped.Add(lines(p))
	}
	return len(p), nil
}

// Dropped returns how many lines were dropped so far.
func (w *Writer) Dropped() uint64 { return w.dropped.Load() }

// Flush waits until everything is written, at most for the given time. It reports whether
// everything is.
func (w *Writer) Flush(wait time.Duration) bool { return w.flush(wait, false) }

// Close is Flush, after which further lines are dropped. A stuck write keeps its
// goroutine.
func (w *Writer) Close(wait time.Duration) {
	if !w.closed.Swap(true) {
		w.flush(wait, true)
	}
}

func (w *Writer) flush(wait time.Duration, last bool) bool {
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	marker := make(chan struct{})
	select {
	case w.queue <- chunk{marker: marker, last: last}:
	case <-timeout.C:
		return false
	}
	select {
	case <-marker:
		return true
	case <-timeout.C:
		return false
	}
}

func (w *Writer) run() {
	for c := range w.queue {
		if c.marker != nil {
			close(c.marker)
		} else if n, err := w.to.Write(c.lines); err != nil {
			w.dropped.Add(lines(c.lines[min(n, len(c.lines)):]))
		} else {
			w.reportDropped()
		}
		if c.last {
			return
		}
	}
}

// reportDropped writes how many lines were dropped since the last report.
func (w *Writer) reportDropped() {
	dropped := w.dropped.Load()
	if dropped == w.reported {
		return
	}
	if _, err := w.to.Write(w.renderDropped(dropped - w.reported)); err == nil {
		w.reported = dropped
	}
}

// lines counts lines, including a last one without a line end.
func lines(p []byte) uint64 {
	n := bytes.Count(p, []byte("\n"))
	if len(p) > 0 && p[len(p)-1] != '\n' {
		n++
	}
	return uint64(n)
}
