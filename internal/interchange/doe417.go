package interchange

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// The columns of DOE-417 that are read, by their names in the yearly tables
// without the " (N)" that some years add.
const (
	colStart     = "Event Start"
	colEnd       = "Event End"
	colRegion    = "NERC Region"
	colCriteria  = "Alert Criteria"
	colType      = "Event Type"
	colCustomers = "Number of Customers Affected"
)

var doeColumns = []string{colStart, colEnd, colRegion, colCriteria, colType, colCustomers}

// doeEvent is what the rows of one event agree in. Space around and within a
// text does not count. A zero end is one that is not known.
type doeEvent struct {
	start, end             time.Time
	region, criteria, kind string
}

// doeEntry is one event as its rows have told it so far.
type doeEntry struct {
	doeEvent
	customers *event.Number // the greatest; nil when no row told
}

// DOE417 reads events of form DOE-417 (US Department of Energy, yearly tables)
// as CSV with a header, and calls emit with one CloudEvent for each event: a
// line of JSON without its newline, in the order of first appearance.
//
// The rows of one event, one a county, agree in start, end, NERC region, alert
// criteria and event type. The greatest number of customers affected becomes
// people whose utilities are affected; Unknown and nothing are no fact. An
// event with an end is an outage of a main function; one without is an outage
// that lasts if o.Ongoing, otherwise no outage is told. Times have no zone in
// the source and are read as UTC.
//
// The error is an error of reading or of emit, which end the import, or
// fault.Reject with a detail for each fault of each row that could not be
// read: "line 17, row 16: Event End", rows counted as in a spreadsheet, with
// the header as row 1. The other rows of its event still count.
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
		if err := im.write(e.incident(o)); err != nil {
			return im.finish(err)
		}
	}
	return im.finish(nil)
}

// readDOE returns the events in order of first appearance.
func readDOE(r io.Reader, im *importer) ([]*doeEntry, error) {
	rows := csv.NewReader(skipBOM(r))
	rows.FieldsPerRecord = -1 // rows are checked here, so that the rest goes on
	rows.ReuseRecord = true
	var header doeHeader
	var entries []*doeEntry
	known := map[doeEvent]*doeEntry{}
	for row := 1; ; row++ {
		cells, err := rows.Read()
		if err == io.EOF {
			if row == 1 {
				im.refuse("line 1, row 1", fault.Detail{Path: "header", Message: "is missing"})
			}
			return entries, nil
		}
		if bad := (*csv.ParseError)(nil); errors.As(err, &bad) {
			im.refuse(fmt.Sprintf("line %d, row %d", bad.StartLine, row), unreadable(bad))
			if row == 1 {
				return nil, nil
			}
			continue
		}
		if err != nil {
			return entries, err
		}
		line, _ := rows.FieldPos(0)
		where := fmt.Sprintf("line %d, row %d", line, row)
		var faults []fault.Detail
		if row == 1 {
			if header, faults = readDOEHeader(cells); faults != nil {
				im.refuse(where, faults...)
				return nil, nil
			}
			continue
		}
		if strings.TrimSpace(strings.Join(cells, "")) == "" {
			continue // a spreadsheet ends its tables with such rows
		}
		told, faults := header.read(cells)
		if faults != nil {
			im.refuse(where, faults...)
			continue
		}
		e := known[told.doeEvent]
		if e == nil {
			e = &told
			known[told.doeEvent] = e
			entries = append(entries, e)
		}
		if told.customers != nil && (e.customers == nil || told.customers.Value > e.customers.Value) {
			e.customers = told.customers
		}
	}
}

// unreadable says what a broken row cost: an open quotation mark takes all
// lines up to the next one with it.
func unreadable(bad *csv.ParseError) fault.Detail {
	d := fault.Detail{Path: "row", Message: fmt.Sprintf("is not CSV: %v", bad.Err)}
	if bad.Line > bad.StartLine {
		d.Message += fmt.Sprintf("; lines %d to %d are lost", bad.StartLine, bad.Line)
	}
	return d
}

// doeHeader says where the columns stand.
type doeHeader struct {
	width int
	at    map[string]int
}

// readDOEHeader finds the columns by name and names all that are missing.
func readDOEHeader(cells []string) (h doeHeader, faults []fault.Detail) {
	h = doeHeader{width: len(cells), at: map[string]int{}}
	for i, cell := range cells {
		name := strings.TrimSuffix(strings.ToLower(plain(cell)), " (n)")
		for _, column := range doeColumns {
			if strings.ToLower(column) != name {
				continue
			}
			if _, twice := h.at[column]; twice {
				faults = append(faults, fault.Detail{Path: column, Message: "the header names this column twice"})
			}
			h.at[column] = i
		}
	}
	for _, column := range doeColumns {
		if _, ok := h.at[column]; !ok {
			faults = append(faults, fault.Detail{Path: column, Message: "the header has no such column"})
		}
	}
	return h, faults
}

// read reads one row.
func (h doeHeader) read(cells []string) (e doeEntry, faults []fault.Detail) {
	if len(cells) != h.width {
		return e, []fault.Detail{{Path: "row", Message: fmt.Sprintf("has %d columns, the header %d", len(cells), h.width)}}
	}
	bad := func(column string, err error) {
		faults = append(faults, fault.Detail{Path: column, Message: err.Error()})
	}
	cell := func(column string) string { return plain(cells[h.at[column]]) }
	var err error
	e.region, e.criteria, e.kind = cell(colRegion), cell(colCriteria), cell(colType)
	if e.start, err = doeTime(cell(colStart)); err != nil {
		bad(colStart, err)
	} else if e.start.IsZero() {
		bad(colStart, errors.New("is required"))
	}
	if e.end, err = doeTime(cell(colEnd)); err != nil {
		bad(colEnd, err)
	} else if !e.end.IsZero() && e.end.Before(e.start) {
		bad(colEnd, errors.New("is before the start"))
	}
	if e.customers, err = doeCount(cell(colCustomers)); err != nil {
		bad(colCustomers, err)
	}
	return e, faults
}

// unknown says that a cell tells nothing.
func unknown(cell string) bool { return cell == "" || strings.EqualFold(cell, "unknown") }

// doeTime reads a time to the minute or second, as UTC; zero when not known.
func doeTime(cell string) (time.Time, error) {
	if unknown(cell) {
		return time.Time{}, nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05"} {
		t, err := time.Parse(layout, cell)
		switch {
		case err != nil:
		case t.Year() < firstYear || t.Year() > lastYear:
			return time.Time{}, fmt.Errorf("must lie between the years %d and %d", firstYear, lastYear)
		default:
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2021-01-31 22:44:00", cell)
}

// doeCounts is a whole number, with or without thousands separators.
var doeCounts = regexp.MustCompile(`^([0-9]+|[0-9]{1,3}(,[0-9]{3})+)(\.0+)?$`)

// doeCount reads a number of customers; nil when not known.
func doeCount(cell string) (*event.Number, error) {
	if unknown(cell) {
		return nil, nil
	}
	if !doeCounts.MatchString(cell) {
		return nil, fmt.Errorf("%q is not a whole number, nothing, or Unknown", cell)
	}
	n, err := strconv.ParseFloat(strings.ReplaceAll(cell, ",", ""), 64)
	if err != nil || n > maxNumber {
		return nil, fmt.Errorf("is greater than %d", maxNumber)
	}
	return &event.Number{Value: n}, nil
}

// incident returns the event as an incident. Its ids depend on what its rows
// agree in, so they are the same in another selection of the table.
func (e *doeEntry) incident(o Options) incident {
	digest := e.digest()
	in := incident{
		id:      "doe417-" + digest[:16],
		subject: "doe417-" + e.start.Format("20060102T150405") + "-" + digest[:8],
		at:      e.start,
		kind:    doeKind(e.kind),
		title:   e.title(),
	}
	in.facts.PeopleAffected = e.customers
	if !e.end.IsZero() || o.Ongoing {
		out := event.Outage{Facility: o.Facility, Scope: "main-function", Times: event.Times{Since: &e.start}}
		if !e.end.IsZero() {
			out.Until = &e.end
		}
		in.facts.Outage = []event.Outage{out}
	}
	return in
}

// digest is the SHA-256 of the event, in hexadecimal. Quoting keeps the parts
// apart.
func (e *doeEvent) digest() string {
	end := ""
	if !e.end.IsZero() {
		end = e.end.Format(time.RFC3339Nano)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q\n%q\n%q\n%q\n%q\n",
		e.start.Format(time.RFC3339Nano), end, e.region, e.criteria, e.kind))
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

// doeKinds maps words of an event type to the kinds of GB/T 20986-2023; the
// first that occurs decides, so a line that weather broke is force majeure.
var doeKinds = []struct{ word, kind string }{
	{"cyber", "network-attack"},
	{"weather", "force-majeure"},
	{"natural disaster", "force-majeure"},
	{"suspicious", "abnormal-behaviour"},
	{"attack", "facility-fault"}, // physical damage, by people or not
	{"vandalism", "facility-fault"},
	{"sabotage", "facility-fault"},
	{"interruption", "facility-fault"},
	{"system operations", "facility-fault"},
	{"inadequacy", "facility-fault"},
	{"deficiency", "facility-fault"},
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
