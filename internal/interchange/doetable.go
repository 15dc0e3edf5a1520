package interchange

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/tocsin-project/tocsin/internal/fault"
)

// The columns of DOE-417 that are read, by their names in the newest tables.
const (
	colStart     = "Event Start"
	colStartTime = "Time Event Began"
	colEnd       = "Event End"
	colEndTime   = "Time of Restoration"
	colRegion    = "NERC Region"
	colArea      = "Area Affected"
	colCriteria  = "Alert Criteria"
	colType      = "Event Type"
	colLoss      = "Demand Loss (MW)"
	colCustomers = "Number of Customers Affected"
)

// doeRequired are the columns that a table must have.
var doeRequired = []string{colStart, colEnd, colRegion, colType, colCustomers}

// doeNames are the names that the columns have had since 2000, in lower case.
// "Restoration Time" is a time beside a date column, otherwise both.
var doeNames = map[string]string{
	"event start": colStart, "date event began": colStart, "date": colStart, "date of event": colStart, "event date": colStart,
	"start date": colStart, "event start date": colStart, "date/time event began": colStart, "date and time event began": colStart,
	"date/time": colStart, "event date/time": colStart, "event began": colStart,
	"time event began": colStartTime, "time": colStartTime, "time of event": colStartTime, "event time": colStartTime,
	"start time": colStartTime, "event start time": colStartTime,
	"event end": colEnd, "date of restoration": colEnd, "restoration date": colEnd, "restoration": colEnd, "end date": colEnd,
	"event end date": colEnd, "date event ended": colEnd, "restoration date/time": colEnd, "restoration date and time": colEnd,
	"date/time of restoration": colEnd, "date and time of restoration": colEnd, "date event restored": colEnd,
	"time of restoration": colEndTime, "restoration time": colEndTime, "end time": colEndTime, "event end time": colEndTime,
	"time event ended": colEndTime, "time event restored": colEndTime,
	"nerc region": colRegion, "nerc regions": colRegion, "nerc region(s)": colRegion, "region": colRegion,
	"area affected": colArea, "area": colArea, "areas affected": colArea, "area(s) affected": colArea,
	"alert criteria": colCriteria, "alert criterion": colCriteria,
	"event type": colType, "type of disturbance": colType, "disturbance type": colType, "type of event": colType,
	"demand loss (mw)": colLoss, "demand loss": colLoss, "loss (megawatts)": colLoss, "loss (mw)": colLoss, "demand loss (megawatts)": colLoss,
	"number of customers affected": colCustomers, "customers affected": colCustomers, "number of customers": colCustomers,
}

// footnote matches what a header may have after its name: " (N)" or the number of a note.
var footnote = regexp.MustCompile(`( ?\([Nn0-9]\)| ?[0-9*]+)$`)

// doeHeader gives the positions of the columns.
type doeHeader struct {
	cells []string
	at    map[string]int
}

// readDOEHeader finds the columns by name, and those that occur twice.
func readDOEHeader(cells []string) (h doeHeader, twice []string) {
	h = doeHeader{cells: cells, at: map[string]int{}}
	for i, cell := range cells {
		column, ok := doeNames[strings.ToLower(footnote.ReplaceAllString(cell, ""))]
		if !ok {
			continue
		}
		if _, again := h.at[column]; again {
			twice = append(twice, footnote.ReplaceAllString(cell, ""))
		}
		h.at[column] = i
	}
	if at, ok := h.at[colEndTime]; ok && !h.has(colEnd) {
		h.at[colEnd] = at
		delete(h.at, colEndTime)
	}
	return h, twice
}

func (h doeHeader) has(column string) bool { _, ok := h.at[column]; return ok }

// check reports all columns that are missing or occur twice.
func (h doeHeader) check(twice []string) (faults []fault.Detail) {
	for _, column := range twice {
		faults = append(faults, fault.Detail{Path: column, Message: "the header names this column twice"})
	}
	for _, column := range doeRequired {
		if !h.has(column) {
			faults = append(faults, fault.Detail{Path: column, Message: "the header has no such column"})
		}
	}
	return faults
}

// name returns the table's own name of a column.
func (h doeHeader) name(column string) string {
	return footnote.ReplaceAllString(h.cells[h.at[column]], "")
}

// doeTableRow is one row under a header, and its position.
type doeTableRow struct {
	where string
	cells []string
}

// doeRows reads the rows of a table, or of several one after another: it tells titles,
// headers, sections and notes from events, and joins a row that continues on the next
// one.
type doeRows struct {
	im      *importer
	csv     *csv.Reader
	row     int
	header  doeHeader
	usable  bool // the header has all columns
	seen    bool // a header was seen
	pending *doeTableRow
	each    func(doeHeader, doeTableRow)
}

// read calls each for every row that is an event.
func (d *doeRows) read() error {
	for d.row = 1; ; d.row++ {
		cells, err := d.csv.Read()
		if err == io.EOF {
			d.flush()
			if !d.seen && len(d.im.faults) == 0 {
				d.im.refuse("line 1, row 1", fault.Detail{Path: "header", Message: "is missing"})
			}
			return nil
		}
		if bad := (*csv.ParseError)(nil); errors.As(err, &bad) {
			d.im.refuse(fmt.Sprintf("line %d, row %d", bad.StartLine, d.row), unreadable(bad))
			continue
		}
		if err != nil {
			return err
		}
		line, _ := d.csv.FieldPos(0)
		r := doeTableRow{where: fmt.Sprintf("line %d, row %d", line, d.row)}
		filled, first := 0, -1
		for i, cell := range cells {
			r.cells = append(r.cells, plain(cell))
			if r.cells[i] != "" {
				if filled++; first < 0 {
					first = i
				}
			}
		}
		if filled > 0 {
			d.classify(r, filled, first)
		}
	}
}

func (d *doeRows) classify(r doeTableRow, filled, first int) {
	if h, twice := readDOEHeader(r.cells); len(h.at) > 1 {
		d.flush()
		d.header, d.seen = h, true
		d.pending = &r // it may continue on the next row
		if faults := h.check(twice); faults != nil {
			d.im.refuse(r.where, faults...)
		}
		return
	}
	switch start := d.header.at[colStart]; {
	case !d.seen: // a title
	case filled == 1 && (first == 0 || d.pending == nil || titleForm.MatchString(r.cells[first])):
		d.flush()
		if !titleForm.MatchString(r.cells[first]) {
			d.im.note(r.where, "is not an event: %s", titleOf(r.cells[first]))
		}
	case filled <= 2 && first > 0 && d.pending != nil && (len(r.cells) <= start || r.cells[start] == ""):
		d.pending.extend(r.cells)
	default:
		d.flush()
		d.pending = &r
	}
}

// flush passes on the row that is now complete.
func (d *doeRows) flush() {
	r := d.pending
	d.pending = nil
	if r == nil {
		return
	}
	if h, twice := readDOEHeader(r.cells); len(h.at) > 1 {
		d.header, d.usable = h, h.check(twice) == nil
		return
	}
	if d.usable {
		d.each(d.header, *r)
	}
}

// extend appends the cells of the next row to those of this one.
func (r *doeTableRow) extend(cells []string) {
	for i, cell := range cells {
		if i < len(r.cells) && cell != "" {
			r.cells[i] = strings.TrimSpace(r.cells[i] + " " + cell)
		}
	}
}

// titleForm matches the title of a table, or the heading of a month.
var titleForm = regexp.MustCompile(`(?i)^(january|february|march|april|may|june|july|august|september|october|november|december)\.?,?( \d{4})?$` +
	`|^table \w|^report no|\bOE-?417\b|major disturbances`)

// unreadable describes the damage of a broken row: an open quotation mark swallows all
// lines up to the next one.
func unreadable(bad *csv.ParseError) fault.Detail {
	d := fault.Detail{Path: "row", Message: fmt.Sprintf("is not CSV: %v", bad.Err)}
	if bad.Line > bad.StartLine {
		d.Message += fmt.Sprintf("; lines %d to %d are lost", bad.StartLine, bad.Line)
	}
	return d
}

// doeSeparator returns the separator of cells: the character that gives a header with the
// most known columns at the beginning of the input. Spreadsheets write a semicolon or a
// tab where a comma is the decimal sign.
func doeSeparator(in *bufio.Reader) (separator rune) {
	head, _ := in.Peek(32 << 10) // less where the input is shorter
	most := -1
	for _, candidate := range ",;\t" {
		rows := csv.NewReader(bytes.NewReader(head))
		rows.Comma, rows.FieldsPerRecord, rows.LazyQuotes = candidate, -1, true
		for cells, err := rows.Read(); err == nil; cells, err = rows.Read() {
			for i := range cells {
				cells[i] = plain(cells[i])
			}
			if h, _ := readDOEHeader(cells); len(h.at) > most {
				most, separator = len(h.at), candidate
			}
		}
	}
	return cmp.Or(separator, ',')
}
