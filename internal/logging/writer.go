package logging

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// maxBuffered bounds the buffered bytes. As much again may be in a write that has not
// returned.
const maxBuffered = 1 << 20

// Writer passes its input to another writer in a goroutine. A write never blocks and
// never fails: while the other writer is stuck, a full buffer drops lines, and lines that
// the other writer refuses are dropped, too. Every dropped line is counted, and the count
// is written as soon as writing works again.
type Writer struct {
	to            io.Writer
	renderDropped func(dropped uint64) []byte // the line that reports how many were dropped

	mu       sync.Mutex
	work     sync.Cond // of mu: buf has something, or the writer is closed
	buf      []byte
	busy     bool // a write is in progress
	closed   bool
	dropped  uint64
	reported uint64          // of dropped, those already reported by a note
	waiting  []chan struct{} // closed once everything is written
}

// NewWriter returns a Writer on top of another writer. note renders the line that reports
// how many lines were dropped since the last note.
func NewWriter(to io.Writer, renderDropped func(dropped uint64) []byte) *Writer {
	w := &Writer{to: to, renderDropped: renderDropped}
	w.work.L = &w.mu
	go w.run()
	return w
}

// Write queues whole lines. It always reports success.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.buf)+len(p) > maxBuffered {
		w.dropped += lines(p)
		return len(p), nil
	}
	w.buf = append(w.buf, p...)
	w.work.Signal()
	return len(p), nil
}

// Dropped returns how many lines were dropped so far.
func (w *Writer) Dropped() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}

// Flush waits until everything is written, at most for the given time. It reports whether
// everything is.
func (w *Writer) Flush(wait time.Duration) bool {
	w.mu.Lock()
	if len(w.buf) == 0 && !w.busy {
		w.mu.Unlock()
		return true
	}
	written := make(chan struct{})
	w.waiting = append(w.waiting, written)
	w.mu.Unlock()
	select {
	case <-written:
		return true
	case <-time.After(wait):
		return false
	}
}

// Close is Flush, after which further lines are dropped. A stuck write keeps its
// goroutine.
func (w *Writer) Close(wait time.Duration) {
	w.mu.Lock()
	w.closed = true
	w.work.Signal()
	w.mu.Unlock()
	w.Flush(wait)
}

func (w *Writer) run() {
	var chunk []byte
	for {
		var open bool
		if chunk, open = w.next(chunk[:0]); !open {
			return
		}
		n, err := w.to.Write(chunk)
		if err != nil {
			w.countDropped(lines(chunk[min(n, len(chunk)):]))
			continue
		}
		w.reportDropped()
	}
}

// next waits for lines to write and takes all of them, in exchange for an empty buffer.
// It returns false once the writer is closed and everything is written.
func (w *Writer) next(empty []byte) (chunk []byte, open bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy = false
	for len(w.buf) == 0 {
		for _, written := range w.waiting {
			close(written)
		}
		w.waiting = nil
		if w.closed {
			return nil, false
		}
		w.work.Wait()
	}
	chunk, w.buf, w.busy = w.buf, empty, true
	return chunk, true
}

// countDropped counts lines that could not be written.
func (w *Writer) countDropped(n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dropped += n
}

// reportDropped writes how many lines were dropped since the last note.
func (w *Writer) reportDropped() {
	w.mu.Lock()
	dropped := w.dropped
	n := dropped - w.reported
	w.mu.Unlock()
	if n == 0 {
		return
	}
	if _, err := w.to.Write(w.renderDropped(n)); err == nil {
		w.mu.Lock()
		w.reported = dropped
		w.mu.Unlock()
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
