package event

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The streams, and the subjects that each holds.
const (
	StreamLedger   = "LEDGER"   // every record, in one total order
	StreamRejected = "REJECTED" // refused reports, six calendar months
	StreamTimers   = "TIMERS"   // schedules, and timers that have come due
)

// The subjects that the streams are bound to.
var (
	SubjectsLedger   = []string{"incident.>", "rules.>"}
	SubjectsRejected = []string{"rejected.>"}
	SubjectsTimers   = []string{"timer.>"}
)

// A timer is set under timer.at.<name> and comes due as timer.due.<name>.
const (
	timerAt  = "timer.at."
	timerDue = "timer.due."
	// AllDue matches every timer that has come due.
	AllDue = timerDue + ">"
)

// TimerSubject returns the subject under which a timer of this name is set. The name
// consists of subject tokens.
func TimerSubject(name string) string { return timerAt + name }

// DueSubject returns the subject under which a timer that was set under another comes due.
func DueSubject(timer string) string { return timerDue + strings.TrimPrefix(timer, timerAt) }

// IsTimer reports whether a subject is of a timer, set or due.
func IsTimer(subject string) bool {
	return strings.HasPrefix(subject, timerAt) || strings.HasPrefix(subject, timerDue)
}

// TimerName returns the name of a timer from either of its subjects.
func TimerName(subject string) string {
	return strings.TrimPrefix(strings.TrimPrefix(subject, timerAt), timerDue)
}

// Filters of the records that the services read.
const (
	AllAccepted     = "incident.accepted.>"
	AllGraded       = "incident.graded.>"
	AllEscalated    = "incident.escalated.>"
	AllAcknowledged = "incident.acknowledged.>"
	AllUnhandled    = "incident.unhandled.>"
	AllOverdue      = "incident.overdue.>"
	AllAway         = "incident.away.>"
	AllReminded     = "incident.reminded.>"
	AllRemoved      = "incident.removed.*"
)

// Matches reports whether a subject matches a filter with wildcards.
func Matches(filter, subject string) bool {
	for {
		want, filterRest, more := strings.Cut(filter, ".")
		if want == ">" {
			return true
		}
		token, rest, left := strings.Cut(subject, ".")
		if want != "*" && want != token || more != left {
			return false
		}
		if !more {
			return true
		}
		subject, filter = rest, filterRest
	}
}

// hashed begins a token that is a hash.
const hashed = "="

// plainToken matches ids that are valid tokens unchanged.
var plainToken = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Token makes an id a subject token: unchanged when it matches [A-Za-z0-9_-]{1,64},
// otherwise "=" and a hash of 130 bits.
func Token(id string) string {
	if plainToken.MatchString(id) {
		return id
	}
	return hashToken(id)
}

// IsToken reports whether s is what Token returns for some id.
func IsToken(s string) bool { return plainToken.MatchString(strings.TrimPrefix(s, hashed)) }

func hashToken(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hashed + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:26])
}

// SourceOf returns the CloudEvents source under which an operator's own ids become tokens
// unchanged.
func SourceOf(operator string) string { return "urn:tocsin:operator:" + operator }

// reportToken names a report. CloudEvents ids are unique only within their source, so an
// id from any source but the operator's own is hashed together with it.
func reportToken(operator, source, id string) string {
	if source == SourceOf(operator) {
		return Token(id)
	}
	return hashToken(source + "\x00" + id)
}

// OperatorOfSource returns the operator that a source names: ID of
// urn:tocsin:operator:ID, even if more follows after a colon or a slash, or the last
// segment of a URL such as https://example.com/operators/ID.
func OperatorOfSource(source string) string {
	if rest, ok := strings.CutPrefix(source, SourceOf("")); ok {
		if i := strings.IndexAny(rest, ":/"); i >= 0 {
			rest = rest[:i]
		}
		return rest
	}
	return source[strings.LastIndexAny(source, ":/")+1:]
}

// AcceptedSubject returns the subject of the record of an accepted report.
func AcceptedSubject(operator, incident, source, id string) string {
	return "incident.accepted." + Token(operator) + "." + Token(incident) + "." + reportToken(operator, source, id)
}

// AcceptedOf returns the filter of every report of an incident.
func AcceptedOf(operator, incident string) string {
	return "incident.accepted." + Token(operator) + "." + Token(incident) + ".*"
}

// GradedSubject returns the subject of the record of one revision of an incident.
// Revisions are literal tokens, so that the engine itself refuses a second record of one.
func GradedSubject(operator, incident string, revision int) string {
	return GradedPrefix(operator, incident) + strconv.Itoa(revision)
}

// GradedPrefix with "*" appended matches every revision of an incident.
func GradedPrefix(operator, incident string) string {
	return "incident.graded." + Token(operator) + "." + Token(incident) + "."
}

// EscalatedSubject returns the subject of the record that one desk is told of one revision.
func EscalatedSubject(desk, operator, incident, revision string) string {
	return "incident.escalated." + tail(desk, operator, incident, revision)
}

// EscalatedTo returns the filter of every escalation to a desk.
func EscalatedTo(desk string) string { return "incident.escalated." + Token(desk) + ".>" }

// EscalationID names an escalation: DESK.OPERATOR.INCIDENT.REVISION, in tokens.
func EscalationID(desk, operator, incident, revision string) string {
	return tail(desk, operator, incident, revision)
}

func tail(desk, operator, incident, revision string) string {
	return Token(desk) + "." + Token(operator) + "." + Token(incident) + "." + revision
}

// EscalationOf returns the id of the escalation from the subject of its record or of its
// acknowledgement. It returns an escalation's id unchanged.
func EscalationOf(subject string) string {
	if !strings.HasPrefix(subject, "incident.") {
		return subject
	}
	p := strings.SplitN(subject, ".", 3)
	return p[len(p)-1]
}

// AcknowledgedSubject returns the subject of the record of the acknowledgement of the
// escalation with the given subject or id.
func AcknowledgedSubject(escalated string) string {
	return "incident.acknowledged." + EscalationOf(escalated)
}

// OverdueSubject returns the subject of the record that the escalation with the given
// subject or id was not acknowledged in time.
func OverdueSubject(escalated string) string { return "incident.overdue." + EscalationOf(escalated) }

// ElapsedSubject returns the subject of the record that a moment has come.
func ElapsedSubject(operator, incident string, at time.Time) string {
	return "incident.elapsed." + Token(operator) + "." + Token(incident) + "." + strconv.FormatInt(at.UnixNano(), 10)
}

// AwaySubject returns the subject of the record that a desk has been away since a moment:
// one for each absence.
func AwaySubject(desk string, since time.Time) string {
	return "incident.away." + Token(desk) + "." + strconv.FormatInt(since.UnixMilli(), 10)
}

// RemindedSubject returns the subject of the record of a reminder.
func RemindedSubject(operator, incident, id string) string {
	return "incident.reminded." + Token(operator) + "." + Token(incident) + "." + Token(id)
}

// ActRecordSubject returns the subject of the record of a desk's act.
func ActRecordSubject(a DeskAct) string {
	return "incident." + a.Kind + "." + tail(a.Desk, a.Operator, a.Incident, Token(a.ID))
}

// ReadingSubject returns the subject of the record that an identity was shown the content
// of reports: one for each day at +08:00, identity and content.
func ReadingSubject(r Reading) string {
	what := hashToken(fmt.Sprintf("%s\x00%s\x00%d\x00%d", r.Reader, r.At.In(Beijing).Format(time.DateOnly), r.Record, r.Last))
	if r.Incident == "" {
		return "incident." + KindRead + "." + what
	}
	return "incident." + KindRead + "." + r.Operator + "." + r.Incident + "." + what
}

// SubjectsOfEscalation returns the subjects of an escalation's record and of its
// acknowledgement, and the desk that it names.
func SubjectsOfEscalation(id string) (escalated, acknowledged, desk string, err error) {
	parts := strings.Split(id, ".")
	ok := len(parts) == 4
	for _, p := range parts {
		ok = ok && IsToken(p)
	}
	if !ok {
		return "", "", "", fmt.Errorf("%q is not an escalation: want DESK.OPERATOR.INCIDENT.REVISION", id)
	}
	return "incident.escalated." + id, AcknowledgedSubject(id), parts[0], nil
}

// RemovedSubject returns the subject of the record that records were removed, the first of
// which has this sequence.
func RemovedSubject(first uint64) string {
	return "incident.removed." + strconv.FormatUint(first, 10)
}

// UnhandledSubject returns the subject of the record that a service could not handle
// another record.
func UnhandledSubject(service, operatorToken, incidentToken string, seq uint64) string {
	return fmt.Sprintf("incident.unhandled.%s.%s.%s.%d", service, operatorToken, incidentToken, seq)
}

// RulesSubject returns the subject of the record of a pack or register by the hash of its
// bytes.
func RulesSubject(sha256 string) string { return "rules." + sha256 }

// RejectedSubject returns the subject of a refused report by the hash of its bytes.
func RejectedSubject(operator, sha256 string) string {
	return "rejected." + Token(operator) + "." + sha256
}
