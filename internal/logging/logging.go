// Package logging writes the log of the server, which must never stop the server. Lines
// go through a bounded buffer to a goroutine that writes them: a reader that stalls or
// has gone loses lines, which are counted, and delays nobody. Each phrase is limited,
// however many records, requests or connections cause it.
package logging

import (
	"fmt"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tocsin-project/tocsin/internal/printable"
)

// FlushWait bounds how long the end of the process waits for the reader of the log.
const FlushWait = 2 * time.Second

// Log is a logger with counts of the lines that it drops or suppresses. The counts are
// metrics.
type Log struct {
	*zap.Logger
	writer  *Writer
	limiter *limiter
}

// New returns a logger that writes one line for each event.
func New(to io.Writer, level zapcore.Level) *Log {
	cfg := zap.NewProductionEncoderConfig()
	cfg.EncodeTime = zapcore.ISO8601TimeEncoder
	encoder := zapcore.NewConsoleEncoder(cfg)
	w := NewWriter(printable.Writer{Out: to}, func(dropped uint64) []byte {
		entry := zapcore.Entry{Level: zapcore.WarnLevel, Time: zapcore.DefaultClock.Now(), Message: "log lines were dropped"}
		line, err := encoder.Clone().EncodeEntry(entry, []zapcore.Field{zap.Uint64("lines", dropped)})
		if err != nil {
			return fmt.Appendf(nil, "%d log lines were dropped: %v\n", dropped, err)
		}
		defer line.Free()
		return append([]byte(nil), line.Bytes()...)
	})
	l := newLimiter(zapcore.NewCore(encoder, sink{w}, level))
	return &Log{Logger: zap.New(l, zap.ErrorOutput(sink{w})), writer: w, limiter: l}
}

// Writer returns the log's output, for text that is not a log line.
func (l *Log) Writer() io.Writer { return l.writer }

// Close writes the buffered lines, within FlushWait. Nothing is logged afterwards.
func (l *Log) Close() {
	l.limiter.report()
	l.writer.Close(FlushWait)
}

// sink adapts a Writer to zap, which syncs before it ends the process.
type sink struct{ *Writer }

// Sync writes the buffered lines, within FlushWait.
func (s sink) Sync() error {
	s.Flush(FlushWait)
	return nil
}

var (
	droppedCounter = prometheus.NewDesc("tocsin_log_lines_dropped_total",
		"Lines of the log that were lost because its reader stalled or is gone.", nil, nil)
	suppressedCounter = prometheus.NewDesc("tocsin_log_lines_suppressed_total",
		"Lines of the log that were only counted because too many of their phrase came in a minute.", nil, nil)
)

// Describe lists the counts.
func (l *Log) Describe(to chan<- *prometheus.Desc) {
	to <- droppedCounter
	to <- suppressedCounter
}

// Collect reads the counts.
func (l *Log) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(droppedCounter, prometheus.CounterValue, float64(l.writer.Dropped()))
	to <- prometheus.MustNewConstMetric(suppressedCounter, prometheus.CounterValue, float64(l.limiter.total()))
}
