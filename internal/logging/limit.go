package logging

import (
	"strings"
	"sync"
	"time"
	"unicode"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Limits on what is logged in a minute.
const (
	period            = time.Minute
	maxLinesPerPhrase = 60   // of one phrase; further lines are only counted
	maxPhrases        = 1000 // further phrases share one count
	maxPhraseWords    = 16
	suppressedText    = "similar log lines were suppressed"
)

// limiter is a core that passes on a limited number of lines of one phrase in a minute,
// and then one line with the number suppressed. A line that ends the process is always
// passed on.
type limiter struct {
	zapcore.Core
	*counts
}

// counts are shared by a limiter and those derived from it.
type counts struct {
	out zapcore.Core // for the lines that report suppressed ones

	mu         sync.Mutex
	ends       time.Time // of the current minute
	phrases    map[key]*count
	suppressed uint64
}

type key struct {
	logger string
	level  zapcore.Level
	phrase string
}

type count struct{ lines, suppressed uint64 }

func newLimiter(core zapcore.Core) *limiter {
	return &limiter{core, &counts{out: core, phrases: map[key]*count{}}}
}

// With adds fields, and shares the counts.
func (l *limiter) With(fields []zapcore.Field) zapcore.Core {
	return &limiter{l.Core.With(fields), l.counts}
}

// Check passes a line on, or counts it.
func (l *limiter) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !l.Enabled(e.Level) || e.Level <= zapcore.ErrorLevel && !l.allow(e) {
		return ce
	}
	return l.Core.Check(e, ce)
}

// allow counts a line and reports whether its phrase is still below the limit.
func (c *counts) allow(e zapcore.Entry) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !e.Time.Before(c.ends) {
		c.reportAndReset()
		c.ends = e.Time.Add(period)
	}
	k := key{e.LoggerName, e.Level, phrase(e.Message)}
	n := c.phrases[k]
	if n == nil && len(c.phrases) >= maxPhrases {
		k = key{level: e.Level, phrase: "other lines"}
		n = c.phrases[k]
	}
	if n == nil {
		n = new(count)
		c.phrases[k] = n
	}
	if n.lines++; n.lines <= maxLinesPerPhrase {
		return true
	}
	if c.suppressed++; n.suppressed == 0 {
		time.AfterFunc(c.ends.Sub(e.Time), c.report) // even if nothing more is logged
	}
	n.suppressed++
	return false
}

// report reports the suppressed lines that have not been reported.
func (c *counts) report() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reportAndReset()
}

// reportAndReset reports the suppressed lines and resets the counts.
func (c *counts) reportAndReset() {
	for k, n := range c.phrases {
		if n.suppressed > 0 {
			_ = c.out.Write(zapcore.Entry{Level: zapcore.WarnLevel, Time: c.ends, LoggerName: k.logger, Message: suppressedText},
				[]zapcore.Field{zap.String("phrase", k.phrase), zap.Uint64("lines", n.suppressed)}) // our writer does not fail
		}
	}
	clear(c.phrases)
}

func (c *counts) total() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.suppressed
}

// phrase returns the constant part of a message. Ours are fixed phrases; those of the
// engine and of the HTTP server contain addresses, numbers and quoted names.
func phrase(message string) string {
	var words []string
	quoted := false
	for word := range strings.FieldsSeq(message) {
		if len(words) == maxPhraseWords {
			break
		}
		was := quoted
		if strings.Count(word, `"`)%2 == 1 {
			quoted = !quoted
		}
		switch {
		case was: // within quotes, or at their end
		case strings.Contains(word, `"`):
			words = append(words, `"…"`)
		case strings.ContainsFunc(word, unicode.IsDigit) || len(word) > 40:
			words = append(words, "#")
		default:
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}
