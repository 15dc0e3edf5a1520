package interchange

import (
	"cmp"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// doeEvent is what the rows of one event have in common. Space around and within a text
// does not count. The area counts where the table has one row for each filing.
type doeEvent struct {
	start, end                   time.Time // midnight of the day, where the clock is not known
	startTimed, endTimed, zoned  bool
	region, area, criteria, kind string
}

// doeNumbers are the counts of a row; an empty text is unknown.
type doeNumbers struct {
	customers string // as JSON
	loss      string
}

// doeFiling is one report of an event: its numbers, and the first row with them.
type doeFiling struct {
	doeNumbers
	where string
}

type doeEntry struct {
	doeEvent
	filings []doeFiling
}

// DOE417 reads events of form DOE-417 (US Department of Energy) as CSV: the annual
// summaries in their layouts since 2000, with a title, headings of months and notes
// between the rows, date and time in one column or in two, and several tables one after
// another. It calls emit with one CloudEvent for each event: a line of JSON without its
// newline, in the order of first appearance.
//
// The rows of one event, one for each county, agree in start, end, NERC region, alert
// criteria and event type, and in the area where a table has that column. Where they
// contradict each other in the customers affected or in the load lost, each filing
// becomes an incident of its own, and Options.Note is called.
//
// The customers affected become people whose utilities are affected. An event that cost
// load or customers is an outage of a main function where its end is known; one without
// an end is an outage that lasts if o.Ongoing. An unknown value gives no fact. A time is
// in the zone that it names, otherwise UTC; a spreadsheet's serial number is also a time.
// A start without a time of day is read as midnight, and gives no outage.
//
// The error is an error of reading or of emit, which end the import, or fault.Reject with
// a detail for each fault of each unreadable row: "line 17, row 16: Event End", rows
// counted as in a spreadsheet. The other rows of its event still count.
func DOE417(r io.Reader, o Options, emit func([]byte) error) error {
	im, err := newImporter("interchange: import doe417", o, emit)
	if err != nil {
		return err
	}
	entries, err := readDOE(r, im)
	if err != nil {
		return im.finish(err)
	}
	for _, e := range entries {
		filings := e.contradicting()
		for i, f := range filings {
			if i > 0 {
				im.note(f.where, "contradicts %s in a number: %s, not %s; both filings are imported", filings[0].where, f.doeNumbers, filings[0].doeNumbers)
			}
			if err := im.write(e.incident(o, filings, i)); err != nil {
				return im.finish(err)
			}
		}
	}
	return im.finish(nil)
}

// readDOE returns the events in order of first appearance.
func readDOE(r io.Reader, im *importer) ([]*doeEntry, error) {
	in := skipBOM(r)
	rows := csv.NewReader(in)
	rows.Comma = doeSeparator(in)
	rows.FieldsPerRecord = -1 // rows are checked here, so that the others are still read
	rows.ReuseRecord = true
	var entries []*doeEntry
	known := map[doeEvent]*doeEntry{}
	table := doeRows{im: im, csv: rows, each: func(h doeHeader, r doeTableRow) {
		event, numbers, faults := h.read(r, im)
		if faults != nil {
			im.refuse(r.where, faults...)
			return
		}
		e := known[event]
		if e == nil {
			e = &doeEntry{doeEvent: event}
			known[event] = e
			entries = append(entries, e)
		}
		if !slices.ContainsFunc(e.filings, func(f doeFiling) bool { return f.doeNumbers == numbers }) {
			e.filings = append(e.filings, doeFiling{numbers, r.where})
		}
	}}
	return entries, table.read()
}

func (h doeHeader) read(r doeTableRow, im *importer) (e doeEvent, n doeNumbers, faults []fault.Detail) {
	if tail := strings.Join(r.cells[min(len(r.cells), len(h.cells)):], ""); len(r.cells) < len(h.cells) || tail != "" {
		return e, n, []fault.Detail{{Path: "row", Message: fmt.Sprintf("has %d columns, the header %d", len(r.cells), len(h.cells))}}
	}
	bad := func(column string, err error) {
		faults = append(faults, fault.Detail{Path: h.name(column), Message: err.Error()})
	}
	cell := func(column string) string {
		if !h.has(column) {
			return ""
		}
		return r.cells[h.at[column]]
	}
	clock := func(column string) string {
		if h.has(column) && cell(column) == "" {
			return "Unknown"
		}
		return cell(column)
	}
	e.region, e.area, e.criteria, e.kind = cell(colRegion), cell(colArea), cell(colCriteria), cell(colType)

	var start, end doeMoment
	badTime := func(column, clockColumn string, err error) {
		if errors.As(err, new(clockError)) && h.has(clockColumn) {
			column = clockColumn
		}
		bad(column, err)
	}
	startErr := start.read(cell(colStart), clock(colStartTime), doeMoment{})
	switch {
	case startErr != nil:
		badTime(colStart, colStartTime, startErr)
	case !start.known():
		bad(colStart, errors.New("is required"))
	}
	if err := end.read(cell(colEnd), clock(colEndTime), start); err != nil {
		badTime(colEnd, colEndTime, err)
	}
	noteRemark := func(m doeMoment, column, clockColumn string) {
		if h.has(clockColumn) && m.remarkOnClock {
			column = clockColumn
		}
		if m.remark != "" {
			im.note(r.where+": "+h.name(column), "%s", m.remark)
		}
	}
	noteRemark(start, colStart, colStartTime)
	noteRemark(end, colEnd, colEndTime)
	// A zone that one of the cells names applies to the row.
	start.zone, end.zone = cmp.Or(start.zone, end.zone), cmp.Or(end.zone, start.zone)
	if startErr == nil && start.timed && end.timed && end.day.Equal(start.day) && end.clock == 0 && end.before(start) {
		// The end of the day may be meant, or another day.
		end.timed = false
		im.note(r.where+": "+h.name(colEnd), "midnight of the day of the start is before it; the time of the end is left out")
	}
	if startErr == nil && end.known() && end.before(start) {
		bad(colEnd, errors.New("is before the start"))
	}
	e.start, e.startTimed, e.zoned = start.at(), start.timed, start.zone != nil
	if end.known() {
		e.end, e.endTimed = end.at(), end.timed
	}

	customers, why, err := doeCount(cell(colCustomers))
	if err != nil {
		bad(colCustomers, err)
	}
	if why != "" {
		im.note(r.where+": "+h.name(colCustomers), "%q is %s; it is left out", cell(colCustomers), why)
	}
	n = doeNumbers{customers: customers, loss: doeLoss(cell(colLoss))}
	return e, n, faults
}

// contradicting returns the filings that differ in a number: one that has fewer numbers
// than another and agrees with it in the rest is part of that one. The greatest comes
// first.
func (e *doeEntry) contradicting() []doeFiling {
	filings := slices.DeleteFunc(slices.Clone(e.filings), func(f doeFiling) bool {
		return slices.ContainsFunc(e.filings, func(o doeFiling) bool {
			return o.doeNumbers != f.doeNumbers && (f.customers == "" || f.customers == o.customers) && (f.loss == "" || f.loss == o.loss)
		})
	})
	if len(filings) == 2 {
		if both, ok := filings[0].join(filings[1].doeNumbers); ok {
			return []doeFiling{{both, filings[0].where}}
		}
	}
	slices.SortFunc(filings, func(a, b doeFiling) int {
		return cmp.Or(cmp.Compare(len(b.customers), len(a.customers)), cmp.Compare(b.customers, a.customers),
			cmp.Compare(len(b.loss), len(a.loss)), cmp.Compare(b.loss, a.loss))
	})
	return filings
}

// join combines the numbers of two rows, unless they contradict each other.
func (n doeNumbers) join(o doeNumbers) (doeNumbers, bool) {
	if n.customers != "" && o.customers != "" || n.loss != "" && o.loss != "" {
		return n, false
	}
	return doeNumbers{n.customers + o.customers, n.loss + o.loss}, true
}

func (n doeNumbers) String() string {
	return "customers " + cmp.Or(n.customers, "not known") + ", MW lost " + cmp.Or(n.loss, "not known")
}

// unknownForm matches the ways, spelt correctly or not, in which the tables mark a value
// as unknown.
var unknownForm = regexp.MustCompile(`(?i)^(u[nkow]{2,8}|n\.?/?a\.?|none|not (available|applicable|known|reported)|unavailable|tbd|ongoing|pending|[-–—?. ]*)$`)

// unknown reports whether a cell has no value.
func unknown(cell string) bool { return unknownForm.MatchString(cell) }

var (
	// countForm is a whole number, with or without thousands separators.
	countForm = regexp.MustCompile(`^(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.0+)?$`)
	// boundForm is a number that says it is the least.
	boundForm = regexp.MustCompile(`(?i)^(?:(?:more than|over|at least|>) ?([0-9,]+)|([0-9,]+) ?(?:\+|or more|(?:-|–|to) ?[0-9,]+))$`)
	// aboutForm is a number that is not exact, and may be more or less.
	aboutForm = regexp.MustCompile(`(?i)^(?:[~≈±]|about\b|around\b|approx\b|approximately\b|circa\b|ca?\.|est\b|estimated\b|nearly\b|almost\b|up to\b|less than\b|under\b|<).*[0-9]|^[0-9,]+ ?(?:approx|approximately|\(?est\.?\)?|estimated|±)\b`)
	// namedForm is a number of something else: "1 PG&E".
	namedForm = regexp.MustCompile(`^[0-9,]+ .*[A-Za-z]`)
)

// doeCount reads a number of customers as JSON: exact, or {"atLeast": n}. It is empty
// when unknown; why then describes what the cell contains instead, if anything.
func doeCount(cell string) (count, why string, err error) {
	if unknown(cell) {
		return "", "", nil
	}
	number := event.Number{}
	if m := boundForm.FindStringSubmatch(cell); m != nil {
		cell, number.AtLeast = m[1]+m[2], true
	}
	if !countForm.MatchString(cell) {
		switch {
		case aboutForm.MatchString(cell):
			return "", "about a number, so that none is certain", nil
		case namedForm.MatchString(cell):
			return "", "no number", nil
		}
		return "", "", fmt.Errorf("%q is not a whole number, nothing, or Unknown", cell)
	}
	number.Value, err = strconv.ParseFloat(strings.ReplaceAll(cell, ",", ""), 64)
	if err != nil || number.Value > maxNumber {
		return "", "", fmt.Errorf("is greater than %d", maxNumber)
	}
	b, err := json.Marshal(number)
	return string(b), "", err
}

// doeLoss reads a loss of load for comparison; empty when unknown.
func doeLoss(cell string) string {
	if unknown(cell) {
		return ""
	}
	if whole, ok := strings.CutSuffix(cell, ".0"); ok {
		cell = whole
	}
	return strings.ReplaceAll(cell, ",", "")
}

// lossForm matches a loss of load greater than zero.
var lossForm = regexp.MustCompile(`^[^0-9]*[0-9.]*[1-9]`)

// lostService matches words of criteria and types that mean that load was lost.
var lostService = regexp.MustCompile(`(?i)loss of electric service|uncontrolled loss|load shed|interruption of firm`)

// interrupted reports whether an event cost load or customers. Any other event is no
// outage, however long it lasted.
func (e *doeEvent) interrupted(n doeNumbers) bool {
	return n.customers != "" && n.customers != "0" || lossForm.MatchString(n.loss) || lostService.MatchString(e.criteria+" "+e.kind)
}

// incident returns filing i of an event as an incident. Its ids depend on what its rows
// have in common, so they are the same in another selection of the table; those of the
// second filing and later ones depend on their numbers, too.
func (e *doeEntry) incident(o Options, filings []doeFiling, i int) incident {
	f := filings[i]
	digest := e.digest(doeNumbers{})
	if i > 0 {
		digest = e.digest(f.doeNumbers)
	}
	in := incident{
		id:      "doe417-" + digest[:16],
		subject: "doe417-" + e.start.Format("20060102T150405") + "-" + digest[:8],
		at:      e.start,
		kind:    doeKind(e.kind),
		title:   e.title(),
		other:   e.assumed(f),
	}
	for j, other := range filings {
		if j != i {
			in.other = append(in.other, "Another filing of the same event says: "+other.doeNumbers.String()+".")
		}
	}
	if f.customers != "" {
		in.facts.PeopleAffected = new(event.Number)
		_ = json.Unmarshal([]byte(f.customers), in.facts.PeopleAffected) // cannot fail: doeCount wrote it
	}
	ended := e.endTimed && !e.end.IsZero()
	if e.startTimed && e.interrupted(f.doeNumbers) && (ended || o.Ongoing && e.end.IsZero()) {
		out := event.Outage{Facility: o.Facility, Scope: "main-function", Times: event.Times{Since: &e.start}}
		if ended {
			out.Until = &e.end
		}
		in.facts.Outage = []event.Outage{out}
	}
	return in
}

// assumed lists the assumptions about what the report needs and the table lacks.
func (e *doeEvent) assumed(f doeFiling) []string {
	other := []string{"discoveredAt is the start of the event; DOE-417 gives its times without time zone, they are read as UTC."}
	if e.zoned {
		other[0] = "discoveredAt is the start of the event."
	}
	if !e.startTimed {
		other = append(other, "The time of day of the start is not known and read as midnight.")
	}
	if !e.end.IsZero() && !e.endTimed {
		other = append(other, "It ended on "+e.end.Format(time.DateOnly)+", at a time that is not known.")
	}
	if f.customers != "" {
		other = append(other, "The persons are DOE-417's count of customers.")
	}
	return other
}

// digest returns the SHA-256 of the event, in hexadecimal. Quoting separates the parts.
func (e *doeEvent) digest(n doeNumbers) string {
	end := ""
	if !e.end.IsZero() {
		end = e.end.Format(time.RFC3339Nano)
	}
	text := fmt.Appendf(nil, "%q\n%q\n%q\n%q\n%q\n",
		e.start.Format(time.RFC3339Nano), end, e.region, e.criteria, e.kind)
	for _, more := range []string{e.area, n.customers, n.loss} {
		if more != "" || n != (doeNumbers{}) {
			text = fmt.Appendf(text, "%q\n", more)
		}
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func (e *doeEvent) title() string {
	title := e.kind
	if title == "" {
		title = "Electric emergency"
	}
	if e.region != "" {
		title += " (" + e.region + ")"
	}
	if e.criteria != "" {
		title += ": " + e.criteria
	}
	return titleOf(title)
}

// doeKinds maps words of an event type to the kinds of GB/T 20986-2023. The first match
// decides, so a line that weather broke is force majeure.
var doeKinds = []struct{ word, kind string }{
	{"cyber", "network-attack"},
	{"telecommunications attack", "network-attack"},
	{"weather", "force-majeure"},
	{"storm", "force-majeure"},
	{"hurricane", "force-majeure"},
	{"high winds", "force-majeure"},
	{"tornado", "force-majeure"},
	{"earthquake", "force-majeure"},
	{"flood", "force-majeure"},
	{"lightning", "force-majeure"},
	{"natural disaster", "force-majeure"},
	{"suspicious", "abnormal-behaviour"},
	{"attack", "facility-fault"}, // physical damage, by people or not
	{"vandalism", "facility-fault"},
	{"sabotage", "facility-fault"},
	{"interruption", "facility-fault"},
	{"system operations", "facility-fault"},
	{"inadequacy", "facility-fault"},
	{"deficiency", "facility-fault"},
	{"fault", "facility-fault"},
	{"load shed", "facility-fault"},
}

func doeKind(kind string) string {
	kind = strings.ToLower(kind)
	for _, k := range doeKinds {
		if strings.Contains(kind, k.word) {
			return k.kind
		}
	}
	return "other"
}
