package natsd

import (
	"fmt"
	"regexp"
	"strings"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/printable"
	"github.com/tocsin-project/tocsin/internal/tally"
)

// engineLog passes the server's log lines to ours. A fatal line means that it cannot
// start: we log it and do not end the process.
type engineLog struct {
	*zap.SugaredLogger
	health  health
	refused func(caller, action, reason string)
	// clients counts lines about single connections, which anybody can cause.
	clients *tally.Tally
	// overrun counts connections of the services that the engine has cut off.
	overrun *tally.Tally
}

func newEngineLog(to *zap.Logger, health health, refused func(caller, action, reason string)) engineLog {
	l := engineLog{SugaredLogger: to.Sugar(), health: health, refused: refused}
	l.clients = tally.InLog(to.Warn, "errors of client connections", "lines")
	l.overrun = tally.InLog(to.Warn, "a connection of the services was cut off: more was sent to it than it could read", "times")
	return l
}

func (l engineLog) Fatalf(format string, v ...any) {
	l.Errorf(format, v...)
	l.health.fail(fmt.Errorf(format, v...))
}

// Warnf logs warnings; the engine reports a denied write as one.
func (l engineLog) Warnf(format string, v ...any) {
	if isEngineFault(format) {
		l.Errorf(format, v...)
		return
	}
	if text := formatLine(format, v); lineHead.MatchString(text) {
		l.clients.Add(printable.Line(text))
		return
	}
	l.SugaredLogger.Warnf(format, v...)
}

// Noticef logs notices; the engine reports as one that it cuts off a slow reader.
func (l engineLog) Noticef(format string, v ...any) {
	if text := formatLine(format, v); strings.HasPrefix(text, inProcess) && strings.Contains(text, " - Slow Consumer ") && !strings.Contains(text, "Recovered") {
		l.overrun.Add(printable.Line(text))
		return
	}
	l.Debugf(format, v...)
}

// inProcess is the prefix of lines about connections inside the process, which are ours.
const inProcess = "pipe - "

func (l engineLog) Tracef(format string, v ...any) { l.Debugf(format, v...) }

// Errorf reports refusals as such and logs the rest in one line, whatever name a client
// has given itself.
func (l engineLog) Errorf(format string, v ...any) {
	text := formatLine(format, v)
	if r, ok := refusalOf(text); ok && l.refused != nil {
		l.refused(r.caller, r.action, r.reason)
		return
	}
	text = quotedFrame.ReplaceAllString(text, "$1 …")
	if isEngineFault(format) {
		l.health.fail(fmt.Errorf("%w: %s", ErrEngineFailed, text))
	}
	if lineHead.MatchString(text) {
		l.clients.Add(printable.Line(text))
		return
	}
	l.Error(printable.Line(text))
}

// formatLine formats a line as the server intended. The server puts the client's
// description, with the quoted name that the client chose, into the format of most
// lines: a verb in that name would consume the line's arguments, and the quotes would
// not contain it.
func formatLine(format string, v []any) string {
	if len(v) == 0 {
		return format
	}
	head := lineHead.FindString(format)
	return head + fmt.Sprintf(format[len(head):], v...)
}

// engineRefusal is a line of the server about something that it refused.
type engineRefusal struct{ caller, action, reason string }

var (
	// The part of an unreadable frame that the server quotes may belong to a report or a
	// credential.
	quotedFrame = regexp.MustCompile(`(?s)( parser ERROR, | Parse Error: | Size: | TotalSize: |max_control_line |maximum control line exceeded| Client Error ).*`)
	// Address, client ID, name and user; the message follows.
	lineHead      = regexp.MustCompile(`^(\S+) - [a-z_]+:\d+((?: - "(?:[^"\\]|\\.)*"){0,2}) - `)
	lineUser      = regexp.MustCompile(` - "[A-Z2-7]{56}/(operator|desk|regulator|admin)-([A-Za-z0-9_-]{1,64})/jwt:[A-Z2-7]{56}"$`)
	lineViolation = regexp.MustCompile(`^(Publish|Subscription) Violation[^"]* - (?:Subject|Reply) ("(?:[^"\\]|\\.)*")`)
)

// refusalReasons maps texts of other refusals, in lower case, to reasons.
var refusalReasons = []struct{ text, reason string }{
	{"authentication error", "no valid credential"}, {"authentication expired", "the credential has expired"},
	{"authentication revoked", "the credential is revoked"}, {"maximum connections exceeded", "too many connections"},
	{"maximum account active connections exceeded", "too many connections"}, {"maximum subscriptions exceeded", "too many subscriptions"},
	{"maximum payload exceeded", "too large a message"},
}

// refusalOf parses a line. It begins with the client's address and, if the client was let
// in, its identity as the server has verified it.
func refusalOf(line string) (r engineRefusal, ok bool) {
	head := lineHead.FindStringSubmatch(line)
	if head == nil {
		return r, false
	}
	message := line[len(head[0]):]
	r.caller = head[1]
	if user := lineUser.FindStringSubmatch(head[2]); user != nil {
		r.caller = user[1] + "/" + user[2]
	}
	if v := lineViolation.FindStringSubmatch(message); v != nil {
		verb := map[string]string{"Publish": "send to ", "Subscription": "listen on "}[v[1]]
		return engineRefusal{r.caller, verb + v[2], "the credential has no such permission"}, true
	}
	for _, known := range refusalReasons {
		if strings.Contains(strings.ToLower(message), known.text) {
			if i := strings.LastIndex(r.caller, ":"); i > 0 && !strings.Contains(r.caller, "/") {
				r.caller = r.caller[:i] // another port is the same client
			}
			return engineRefusal{r.caller, "connect", known.reason}, true
		}
	}
	return r, false
}
