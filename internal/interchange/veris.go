package interchange

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// VERIS reads incidents in VERIS 1.3 (verisframework.org), JSON objects one after
// another or in arrays, each on one line or on several, and calls emit with one
// CloudEvent for each: a line of JSON without its newline, in the order of the
// input.
//
// It reads only incident_id, security_incident, the names of the actions, and
//
//   - attribute.confidentiality.data_total, persons whose personal information
//     leaked: see verisPersons. A leak is a fact only where data_disclosure is
//     Yes and security_incident is Confirmed;
//   - attribute.availability.duration, an ended outage of a main function.
//     Months and years have no fixed length: at least 28 and 365 days each;
//   - impact.overall_amount in impact.iso_currency_code, direct loss; XXX where
//     no currency is given;
//   - timeline.incident, used as the time of discovery: midnight in UTC,
//     the first of the month or year where the rest is missing. The time of day
//     is not read. The year is from 1970 to 2200, as intake accepts it.
//
// An incident that is only suspected, a near miss or a false positive gives no
// facts, and its title states that. The text "other" of each report names the
// assumptions, and the values that did not become facts.
//
// The error is an error of reading or of emit, which end the import, or
// fault.Reject with a detail for each fault of each incident that could not be
// read: "line 17: $.incident_id", with the line on which the incident begins.
func VERIS(r io.Reader, o Options, emit func([]byte) error) error {
	im, err := newImporter("interchange: import veris", o, emit)
	if err != nil {
		return err
	}
	s := newScanner(r)
	seen := map[string]occurrence{}
	for {
		p, err := s.next()
		if errors.Is(err, io.EOF) {
			return im.finish(nil)
		}
		if err != nil {
			return im.finish(err)
		}
		where := fmt.Sprintf("line %d", p.line)
		if p.fault != "" {
			im.refuse(where, fault.Detail{Path: p.path, Message: p.fault})
			continue
		}
		in, faults := readVERIS(p.text, p.path, o.Facility)
		if len(faults) > 0 {
			im.refuse(where, faults...)
			continue
		}
		if err := im.write(in); err != nil {
			return im.finish(err)
		}
		if first, known := seen[in.subject]; known && first.digest != im.last {
			im.note(where+": "+p.path+".incident_id", "line %d has the same id and other data; the server will accept only the first", first.line)
		} else if !known {
			seen[in.subject] = occurrence{p.line, im.last}
		}
	}
}

// occurrence is the line of an incident's first occurrence, and the digest of its report.
type occurrence struct {
	line   int
	digest [sha256.Size]byte
}

// readVERIS reads one incident; path is where it is in the input.
func readVERIS(text []byte, path, facility string) (in incident, faults []fault.Detail) {
	o, ok := parseObject(text, path, &faults)
	if !ok {
		return in, faults
	}
	in.subject = verisID(o)
	in.id = "veris-" + in.subject
	timeline, _ := o.child("timeline")
	var date string
	in.at, date = verisDate(timeline)
	in.other = append(in.other, "VERIS gives the date "+date+" without time zone; discoveredAt is its first moment in UTC.")

	status := o.oneOf("security_incident", "Confirmed", "Suspected", "False positive", "Near miss")
	action, _ := o.child("action")
	attribute, _ := o.child("attribute")
	confidentiality, exposed := attribute.child("confidentiality")
	disclosure := confidentiality.oneOf("data_disclosure", "Yes", "No", "Potentially", "Unknown")
	leaked := exposed && disclosure == "Yes" && status == "Confirmed"
	in.kind = verisKind(action, leaked)
	in.title = verisTitle(status, action)

	persons, total := verisPersons(confidentiality)
	availability, _ := attribute.child("availability")
	length := verisDuration(availability)
	if !verisInterrupted(availability) {
		length = nil
	}
	impact, _ := o.child("impact")
	loss := verisLoss(impact)
	switch {
	case leaked && persons != nil:
		in.facts.PersonalInformationPersons = persons
		in.other = append(in.other, "The persons are VERIS's count of records ("+total+").")
	case exposed:
		in.other = append(in.other, fmt.Sprintf("VERIS says: data_disclosure %s, data_total %s, security_incident %s.",
			cmp.Or(disclosure, "not given"), total, cmp.Or(status, "not given")))
	}
	if status != "" && status != "Confirmed" {
		return in, faults
	}
	if length != nil {
		in.facts.Outage = []event.Outage{{
			Facility: facility, Scope: "main-function", Times: event.Times{Duration: length},
		}}
	}
	in.facts.DirectLoss = loss
	return in, faults
}

func verisID(o object) string {
	id := o.text("incident_id")
	switch o.get("incident_id").(type) {
	case nil:
		o.addFault("incident_id", "is required")
	case string:
		switch {
		case strings.TrimSpace(id) == "":
			o.addFault("incident_id", "must not be empty")
		case utf8.RuneCountInString(id) > maxID:
			o.addFault("incident_id", "has more than %d characters", maxID)
		}
		if strings.ContainsFunc(id, notInString) {
			o.addFault("incident_id", "must not contain control characters")
		}
	}
	return id
}

// notInString reports whether CloudEvents 1.0 section 3.1 excludes a character from a
// string: a control character or a noncharacter.
func notInString(r rune) bool {
	return unicode.IsControl(r) || r&0xFFFE == 0xFFFE || 0xFDD0 <= r && r <= 0xFDEF
}

// verisDate returns the first moment of timeline.incident in UTC, and the date as
// written: 2019, 2019-03 or 2019-03-29.
func verisDate(timeline object) (at time.Time, written string) {
	date, known := timeline.child("incident")
	if !known && timeline.get("incident") != nil {
		return at, "" // the fault is already added
	}
	year, known := date.integer("year")
	switch {
	case !known && date.get("year") == nil:
		date.addFault("year", "is required")
	case known && (year < firstYear || year > lastYear):
		date.addFault("year", "must be from %d to %d", firstYear, lastYear)
	}
	month, haveMonth := date.integer("month")
	day, haveDay := date.integer("day")
	if haveMonth && (month < 1 || month > 12) {
		date.addFault("month", "must be from 1 to 12")
		return at, ""
	}
	layout := time.DateOnly
	if !haveMonth {
		month, layout = 1, "2006"
	}
	if !haveDay || !haveMonth {
		layout = layout[:min(len(layout), len("2006-01"))]
		if haveDay && (day < 1 || day > 31) {
			date.addFault("day", "must be from 1 to 31")
		}
		day = 1
	}
	at = time.Date(int(min(year, lastYear)), time.Month(month), int(min(day, 32)), 0, 0, 0, 0, time.UTC)
	if int64(at.Day()) != day {
		date.addFault("day", "that month has no such day")
	}
	return at, at.Format(layout)
}

// verisUnits are the lengths of the units of VERIS 1.3; a month and a year have their
// minimum length.
var verisUnits = map[string]event.Span{
	"Seconds": {Duration: time.Second},
	"Minutes": {Duration: time.Minute},
	"Hours":   {Duration: time.Hour},
	"Days":    {Duration: 24 * time.Hour},
	"Weeks":   {Duration: 7 * 24 * time.Hour},
	"Months":  {Duration: 28 * 24 * time.Hour, AtLeast: true},
	"Years":   {Duration: 365 * 24 * time.Hour, AtLeast: true},
}

func verisDuration(availability object) *event.Span {
	duration, _ := availability.child("duration")
	value, known := duration.number("value")
	name := duration.text("unit")
	unit, fixed := verisUnits[name]
	if !fixed {
		switch name {
		case "", "NA", "Unknown", "Never": // gives no length
		default:
			duration.addFault("unit", "%q is not a unit of VERIS 1.3", name)
		}
		return nil
	}
	if !known {
		return nil
	}
	length := value * float64(unit.Duration)
	if length > math.MaxInt64/2 { // the limit of event.ParseDuration
		duration.addFault("value", "is longer than a century and a half")
		return nil
	}
	unit.Duration = time.Duration(math.Round(length))
	return &unit
}

// verisInterrupted reports whether the loss of availability can be an outage. A slow
// service or a lost device interrupts no function.
func verisInterrupted(availability object) bool {
	varieties := availability.list("variety")
	for i, v := range varieties {
		if word, ok := v.(string); ok {
			availability.word(fmt.Sprintf("variety[%d]", i), word, "Interruption", "Obscuration")
		}
	}
	return len(varieties) == 0 || slices.Contains(varieties, any("Interruption")) || slices.Contains(varieties, any("Obscuration"))
}

// verisLoss returns the loss in its original currency: an importer does not convert.
func verisLoss(impact object) *event.Money {
	amount, known := impact.number("overall_amount")
	currency := impact.text("iso_currency_code")
	if !known {
		return nil
	}
	if currency == "" || currency == "Unknown" {
		currency = "XXX" // ISO 4217: no currency
	}
	if len(currency) != 3 || strings.Trim(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		impact.addFault("iso_currency_code", "%q is not a code of ISO 4217", currency)
	}
	return &event.Money{Amount: event.Number{Value: amount}, Currency: currency}
}

var verisActions = []string{"environmental", "error", "hacking", "malware", "misuse", "physical", "social", "unknown"}

// verisKind maps the actions to the kinds of GB/T 20986-2023, deliberate ones first: an
// attack that used malware is malware.
func verisKind(action object, leaked bool) string {
	did := map[string]bool{}
	for _, name := range verisActions {
		action.get(name) // finds names in the wrong case
	}
	for _, name := range slices.Sorted(maps.Keys(action.fields)) {
		a, known := action.child(name)
		did[name] = known
		for _, variety := range a.list("variety") {
			did[fmt.Sprint(name, ".", variety)] = true
		}
	}
	switch {
	case did["malware"]:
		return "malware"
	case did["hacking"], did["social.Phishing"]:
		return "network-attack"
	case did["misuse"]:
		return "improper-operation"
	case did["environmental"]:
		return "force-majeure"
	case leaked:
		return "data-security"
	case did["physical"], did["error.Malfunction"]:
		return "facility-fault"
	case did["error"]:
		return "improper-operation"
	default:
		return "other"
	}
}

// verisTitle names the actions, and marks what is not a confirmed incident. It omits the
// summary, which is free text about organisations and people: a report names no person.
func verisTitle(status string, action object) string {
	what := "incident"
	switch status {
	case "Suspected":
		what = "suspected incident"
	case "False positive", "Near miss":
		what = strings.ToLower(status)
	}
	names := slices.Sorted(maps.Keys(action.fields))
	return titleOf(strings.TrimSuffix("VERIS "+what+": "+strings.Join(names, ", "), ": "))
}
