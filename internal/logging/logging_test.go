package logging

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// reader is where a log goes: it can be stuck, or gone.
type reader struct {
	entered chan struct{} // one for each write that begins
	let     chan struct{} // a write returns once it gets one from here; nil: at once

	mu   sync.Mutex
	gone bool
	got  bytes.Buffer
}

func (r *reader) Write(p []byte) (int, error) {
	if r.entered != nil {
		r.entered <- struct{}{}
		<-r.let
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return 0, errors.New("broken pipe")
	}
	return r.got.Write(p)
}

func (r *reader) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.String()
}

func TestWriter_ReaderStalls(t *testing.T) {
	r := &reader{entered: make(chan struct{}, 2*maxQueued), let: make(chan struct{})}
	w := NewWriter(r, func(n uint64) []byte { return fmt.Appendf(nil, "%d dropped\n", n) })
	_, _ = w.Write([]byte("first\n"))
	<-r.entered // and it does not return
	line := []byte("x\n")
	for range 2 * maxQueued {
		n, err := w.Write(line)
		require.NoError(t, err)
		require.Equal(t, len(line), n)
	}
	require.EqualValues(t, maxQueued, w.Dropped(), "lines that do not fit the queue are counted")
	require.False(t, w.Flush(time.Millisecond), "a stuck reader has not got everything")
	close(r.let)
	require.True(t, w.Flush(time.Minute))
	lines := strings.Split(strings.TrimSpace(r.String()), "\n")
	require.Equal(t, "first", lines[0])
	require.Equal(t, fmt.Sprintf("%d dropped", maxQueued), lines[1], "the reader learns at once what it has missed")
	require.Len(t, lines, 1+maxQueued+1)
	w.Close(time.Minute)
}

func TestWriter_ReaderGoneAndBack(t *testing.T) {
	r := &reader{gone: true}
	w := NewWriter(r, func(n uint64) []byte { return fmt.Appendf(nil, "%d dropped\n", n) })
	for range 3 {
		_, _ = w.Write([]byte("lost\n"))
		require.True(t, w.Flush(time.Minute))
	}
	r.mu.Lock()
	r.gone = false
	r.mu.Unlock()
	_, _ = w.Write([]byte("here\n"))
	w.Close(time.Minute)
	require.Equal(t, "here\n3 dropped\n", r.String())
	_, _ = w.Write([]byte("late\n"))
	require.EqualValues(t, 4, w.Dropped(), "nothing is taken after the end")
}

func TestWriter_CloseWithStuckReader(t *testing.T) {
	r := &reader{entered: make(chan struct{}, 10), let: make(chan struct{})}
	w := NewWriter(r, func(uint64) []byte { return nil })
	_, _ = w.Write([]byte("first\n"))
	<-r.entered
	w.Close(time.Millisecond)
	require.Empty(t, r.String(), "Close has returned while the reader is stuck")
	_, _ = w.Write([]byte("late\n"))
	require.NotZero(t, w.Dropped(), "nothing is taken after the end")
	close(r.let)
}

// manual is zap's clock at a time.
type manual struct{ now time.Time }

func (m *manual) Now() time.Time                         { return m.now }
func (m *manual) NewTicker(d time.Duration) *time.Ticker { return time.NewTicker(d) }

func TestLog_LimitsEveryPhrase(t *testing.T) {
	r := &reader{}
	l := New(r, zapcore.InfoLevel)
	at := &manual{time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)}
	log := l.WithOptions(zap.WithClock(at))
	named := log.Named("http").With(zap.String("door", "http"))
	for i := range 10_000 {
		log.Warn("a record is of an incident", zap.Int("record", i))
		named.Error(fmt.Sprintf("TLS handshake error from 192.0.2.%d:%d: EOF, says \"name %d\"", i%256, i, i))
		log.Debug("not enabled")
	}
	log.Info("another phrase")
	at.now = at.now.Add(period)
	log.Warn("a record is of an incident")
	l.Close()
	text := r.String()
	require.Equal(t, maxLinesPerPhrase+1, strings.Count(text, "\ta record is of an incident"))
	require.Equal(t, maxLinesPerPhrase, strings.Count(text, "\tTLS handshake error from 192"), "addresses and quoted names make no other phrase")
	require.Equal(t, 1, strings.Count(text, "another phrase"))
	require.Contains(t, text, `similar log lines were suppressed	{"phrase": "a record is of an incident", "lines": 9940}`)
	require.Contains(t, text, `http	similar log lines were suppressed	{"phrase": "TLS handshake error from # EOF, says \"…\"", "lines": 9940}`)
	require.NotContains(t, text, "not enabled")
	require.EqualValues(t, 2*9940, l.limiter.total())
	require.Zero(t, l.writer.Dropped())
}

func TestLog_ManyPhrases(t *testing.T) {
	r := &reader{}
	l := New(r, zapcore.InfoLevel)
	word := func(i int) string { return string([]rune{'a' + rune(i%26), 'a' + rune(i/26%26), 'a' + rune(i/676)}) }
	for i := range 10 * maxPhrases {
		l.Info(word(i))
	}
	l.Close()
	require.LessOrEqual(t, strings.Count(r.String(), "\n"), maxPhrases+maxLinesPerPhrase+1, "phrases without end share one count")
	require.LessOrEqual(t, len(l.limiter.phrases), maxPhrases+1)
}

func TestLog_PanicIsNeverSuppressed(t *testing.T) {
	r := &reader{}
	l := New(r, zapcore.InfoLevel)
	for range 2 * maxLinesPerPhrase {
		require.Panics(t, func() { l.Panic("the end") })
	}
	require.Equal(t, 2*maxLinesPerPhrase, strings.Count(r.String(), "the end"), "and it is written before the process ends")
	l.Close()
}
