package api

import (
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/event"
)

// Endpoints. None of them is bound to a stream.
const (
	EndpointReport      = "report.*"           // a report of the operator that the last token names
	EndpointAcknowledge = "desk.*.acknowledge" // an acknowledgement by the desk
	EndpointWatch       = "desk.*.watch"       // opens a durable consumer for the desk
	EndpointOutcome     = "desk.*.outcome"     // the outcome of an escalation to the desk
	EndpointAct         = "desk.*.act"         // the desk's other acts on an incident
	EndpointQuery       = "ledger.escalations" // escalations by filter
	EndpointShow        = "ledger.incident"    // the story of one incident
	EndpointIncidents   = "ledger.incidents"   // incidents in their current state
	EndpointStats       = "ledger.stats"       // escalations, counted
	EndpointLog         = "ledger.log"         // the state of the log: checkpoint, key, damage
	EndpointTiles       = "ledger.tiles"       // tiles of the tree
	EndpointRecords     = "ledger.records"     // stored records of the stream
	EndpointProve       = "ledger.prove"       // a proof
	EndpointAudit       = "ledger.audit"       // a check of the whole record
	EndpointRemove      = "ledger.remove"      // removal of a record by order
	EndpointArchive     = "ledger.archive"     // removal of old, exported records
	EndpointCertify     = "ledger.certify"     // certifies a key that signs receipts
	EndpointDesks       = "deadline.desks"     // which desks have a screen, and when it was last connected
	AllReceipts         = receiptPrefix + "*"  // answers to reports that had no reply subject
	AllReminders        = reminderPrefix + "*" // reminders for operators
	receiptPrefix       = "receipt."           // answers to reports that had no reply subject
	reminderPrefix      = "reminder."          // reminders for an operator, as recorded
)

// Where identities are in use, a screen works on its consumer through these subjects, in
// which the last token, or the one before the rest, is the consumer: a JetStream API
// under the desk's own prefix (ScreenAPI), and the subject on which the engine expects
// acknowledgements of deliveries. The second of each pair is the engine's own.
const (
	EndpointNext     = "desk.*.js.CONSUMER.MSG.NEXT." + event.StreamLedger + ".*"
	EngineNext       = "$JS.API.CONSUMER.MSG.NEXT." + event.StreamLedger + ".*"
	EndpointConsumer = "desk.*.js.CONSUMER.INFO." + event.StreamLedger + ".*"
	EngineConsumer   = "$JS.API.CONSUMER.INFO." + event.StreamLedger + ".*"
	EngineAck        = "$JS.ACK." + event.StreamLedger + ".*.>"
)

// ScreenAPI returns the prefix under which a desk's screens reach the JetStream API.
func ScreenAPI(desk string) string { return "desk." + event.Token(desk) + ".js" }

const screenPrefix = "desk_"

// ScreenConsumer names the durable consumer of a desk's screen.
func ScreenConsumer(desk, client string) string {
	return screenPrefix + event.Token(desk) + ":" + event.Token(client) // no token contains a colon
}

// ScreenOf parses the name of a screen's consumer. It returns tokens.
func ScreenOf(consumer string) (desk, client string, ok bool) {
	rest, ok := strings.CutPrefix(consumer, screenPrefix)
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ":")
}

// IsEndpoint reports whether a subject may be an endpoint's.
func IsEndpoint(subject string) bool {
	first, _, _ := strings.Cut(subject, ".")
	return slices.Contains([]string{"report", "desk", "ledger", "deadline", "by"}, first)
}

// ReportSubject returns the endpoint for an operator's reports.
func ReportSubject(operator string) string { return "report." + event.Token(operator) }

// ReceiptOf returns the subject of the receipt of a report that came on the given subject
// without a reply subject.
func ReceiptOf(report string) string { return receiptPrefix + strings.TrimPrefix(report, "report.") }

// ReminderOf returns the subject on which an operator's reminders are published once they
// are recorded. Only the ledger stores them.
func ReminderOf(operator string) string { return reminderPrefix + event.Token(operator) }

// AcknowledgeSubject returns the endpoint for a desk's acknowledgements.
func AcknowledgeSubject(desk string) string { return "desk." + event.Token(desk) + ".acknowledge" }

// ActSubject returns the endpoint for a desk's other acts.
func ActSubject(desk string) string { return "desk." + event.Token(desk) + ".act" }

// WatchSubject returns the endpoint that opens a desk's durable consumer.
func WatchSubject(desk string) string { return "desk." + event.Token(desk) + ".watch" }
