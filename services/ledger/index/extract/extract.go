// Package extract takes from a record what the index keeps of it: the terms by which it is
// found, the tokens of its title, and the row that queries show. It depends on the record
// alone, and what is taken from a stored row is the same as what was taken from the record.
package extract

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/s2"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/index/title"
)

// Item is what the index needs of a record. It is made from the record alone, so that
// many can be made in parallel; members of other kinds are nil.
type Item struct {
	Sequence uint64
	Salt     string
	At       time.Time
	Address  event.Address
	Err      error // of a record whose body cannot be read

	Escalation      *Escalation
	Revision        *Revision
	Acknowledgement *event.Acknowledgement
	Overdue         *event.Overdue
	Closing         string // JSON of event.Closing
	Removal         *event.Removal
}

// Entry has what escalations and revisions have in common.
type Entry struct {
	Named  []Named // its terms by name
	Flags  []Term
	Title  string // folded
	Tokens []uint64
	Row    []byte // the parts of the record that queries need, compressed
}

// Escalation is what the index needs of an escalation.
type Escalation struct {
	Entry
	Reported int64  // nanoseconds since 1970, as is By
	By       *int64 // the desk's target
	Effect   Effect
}

// Revision is what the index needs of a revision of an incident.
type Revision struct {
	Entry
	Number int
}

// Effect is what an escalation tells its desk about the incident.
type Effect int

// The effects of an escalation.
const (
	EffectNone   Effect = iota // a notice, of silence
	EffectReview               // a review: it brings back an incident that the desk knows, and tells no other
	EffectInform
	EffectOwnAct // the desk's own act: nothing to acknowledge
)

// unreadableError is of a record whose body cannot be read. The record is still part of
// its incident's story.
type unreadableError struct{ err error }

func (e *unreadableError) Error() string { return e.err.Error() }

func decodeBody[T any](s event.Stored) (*T, error) {
	body, err := event.Decode[T](s)
	if err != nil {
		return nil, &unreadableError{err}
	}
	return body, nil
}

// Decode makes the items of a batch, on all processors.
func Decode(batch []event.Stored) []Item {
	items := make([]Item, len(batch))
	const share = 16 // records decoded by one goroutine
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for from := 0; from < len(batch); from += share {
		g.Go(func() error {
			for i := from; i < min(from+share, len(batch)); i++ {
				items[i] = itemOf(batch[i])
			}
			return nil
		})
	}
	_ = g.Wait() // an error is part of its item
	return items
}

func itemOf(s event.Stored) Item {
	it := Item{Sequence: s.Sequence, Salt: s.Salt, At: s.Time, Address: event.ParseSubject(s.Subject)}
	if it.At.IsZero() {
		it.At = s.StoredAt
	}
	switch it.Address.Kind {
	case event.KindGraded:
		it.Revision, it.Err = revisionOf(s, it.Address.Operator)
	case event.KindEscalated:
		it.Escalation, it.Err = escalationOf(s)
	case event.KindAcknowledged:
		it.Acknowledgement, it.Err = decodeBody[event.Acknowledgement](s)
	case event.KindOverdue:
		it.Overdue, it.Err = decodeBody[event.Overdue](s)
	case event.KindClosed:
		it.Closing, it.Err = closingOf(s)
	case event.KindRemoved:
		it.Removal, it.Err = decodeBody[event.Removal](s)
	}
	return it
}

// escalatedParts are the members of an escalated record that its row and its terms need.
var escalatedParts = partsOf("escalation", "desk", "operator", "incident", "revision", "about", "grade", "peak", "next",
	"change", "withdrawal", "from", "act", "duties", "standing", "dueAt", "reportedAt", "late", "acknowledgeBy",
	"exercise", "imported", "designated", "facilities", "notice", "report.title", "cause.at")

// escalationRow returns the escalation as queries show it, before any outcome.
func escalationRow(e *event.Escalated, record uint64) api.EscalationRow {
	return api.RowOf(e, record, nil, nil, e.ReportedAt)
}

func escalationOf(s event.Stored) (*Escalation, error) {
	s.Data = escalatedParts.pick(s.Data)
	e, err := decodeBody[event.Escalated](s)
	if err != nil {
		return nil, err
	}
	out := &Escalation{Reported: e.ReportedAt.UnixNano(), Effect: EffectInform}
	switch e.Act {
	case event.ActNotice:
		out.Effect = EffectNone
	case event.ActReview:
		out.Effect = EffectReview
	}
	out.Flags = []Term{FlagEscalation}
	if e.AcknowledgeBy != nil {
		by := e.AcknowledgeBy.UnixNano()
		out.By = &by
		out.Flags = append(out.Flags, FlagTargeted)
	}
	add := out.add
	add(KindGrade, e.Grade.String())
	add(KindOperator, e.Operator)
	add(KindDesk, e.Desk)
	add(KindMonth, month(e.ReportedAt))
	timed := false
	for _, d := range e.Duties {
		add(KindStatute, d.Statute)
		timed = timed || d.DueAt != nil
	}
	for _, d := range e.Standing {
		add(KindStatute, d.Statute)
	}
	for _, f := range e.Facilities {
		add(KindRegion, f.Region)
	}
	addPlaces(e.Facilities, add, KindArea, KindSector, KindPlace)
	if timed {
		out.Flags = append(out.Flags, FlagTimed)
		if e.Late {
			out.Flags = append(out.Flags, FlagLate)
		}
	}
	row := escalationRow(e, s.Sequence)
	if row.OwnAct {
		out.Effect = EffectOwnAct
		out.Flags = append(out.Flags, FlagOwnAct)
	}
	out.setRow(row.Title, s.Data)
	return out, nil
}

func (e *Entry) add(k Kind, value string) {
	if n := (Named{k, value}); !slices.Contains(e.Named, n) {
		e.Named = append(e.Named, n)
	}
}

func addPlaces(facilities []event.Facility, add func(Kind, string), area, sector, both Kind) {
	for _, f := range facilities {
		for n := 2; n <= min(4, len(f.Region)); n += 2 {
			add(area, f.Region[:n])
			add(both, Place(f.Region[:n], f.Sector))
		}
		add(sector, f.Sector)
	}
}

// Place returns the name of a term for an area and a sector of one facility.
func Place(area, sector string) string { return area + "|" + sector }

// setRow sets the row that queries show, and the terms by which the title is found.
func (e *Entry) setRow(text string, row []byte) {
	e.Title = title.Fold(text)
	e.Tokens = title.Tokens(e.Title)
	e.Row = s2.Encode(nil, row)
}

// revisionParts are the members of a graded record that the row of its incident and its
// terms need.
var revisionParts = partsOf("operator", "incident", "revision", "at", "about", "grade", "couldBe", "peak", "next", "owed",
	"held", "facilities", "state.fields.title", "state.reported", "state.withdrawn", "state.archived", "state.live")

// incidentRow returns the incident as queries show it, without its desks.
func incidentRow(g *event.Graded, record uint64) api.IncidentRow {
	row := api.IncidentRow{
		Operator: g.Operator, Incident: g.Incident, Revision: g.Revision, About: g.About,
		Grade: g.Grade, CouldBe: g.CouldBe, Peak: g.Peak, Next: g.Next,
		Withdrawn: g.State.IsWithdrawn(), Imported: g.State.IsImported(), GradedAt: g.At,
		Owed: g.Owed, PendingForwards: g.PendingForwards, Record: record,
	}
	_ = json.Unmarshal(g.State.Fields["title"].Value, &row.Title, event.JSON) // an unknown title stays empty
	if row.Owed == nil {
		row.Owed = []event.Obligation{}
	}
	return row
}

func revisionOf(s event.Stored, operator string) (*Revision, error) {
	s.Data = revisionParts.pick(s.Data)
	g, err := decodeBody[event.Graded](s)
	if err != nil {
		return nil, err
	}
	row := incidentRow(g, s.Sequence)
	out := &Revision{Number: g.Revision}
	add := out.add
	add(KindIncidentGrade, g.Grade.String())
	add(KindIncidentOperator, operator)
	addPlaces(g.Facilities, add, KindIncidentArea, KindIncidentSector, KindIncidentPlace)
	if !row.Withdrawn {
		out.Flags = append(out.Flags, FlagUpheld)
	}
	if len(row.Owed) > 0 {
		out.Flags = append(out.Flags, FlagOwed)
	}
	out.setRow(row.Title, s.Data)
	return out, nil
}

// EscalationRow returns the row of an escalation, before any outcome, and the length of
// what is stored of it, which approximates that of the row.
func EscalationRow(record uint64, row []byte) (api.EscalationRow, int, error) {
	var e event.Escalated
	n, err := unpack(row, &e)
	if err != nil {
		return api.EscalationRow{}, 0, err
	}
	return escalationRow(&e, record), n, nil
}

// IncidentRow is EscalationRow for the current revision of an incident, without its
// desks.
func IncidentRow(record uint64, row []byte) (api.IncidentRow, int, error) {
	var g event.Graded
	n, err := unpack(row, &g)
	if err != nil {
		return api.IncidentRow{}, 0, err
	}
	return incidentRow(&g, record), n, nil
}

// EscalationTitle returns the title of an escalation, folded.
func EscalationTitle(row []byte) (string, error) {
	var e struct {
		Report jsontext.Value `json:"report"`
	}
	if _, err := unpack(row, &e); err != nil {
		return "", err
	}
	return title.Fold(escalationRow(&event.Escalated{Report: e.Report}, 0).Title), nil
}

// IncidentTitle returns the title of a revision, folded.
func IncidentTitle(row []byte) (string, error) {
	var g event.Graded
	if _, err := unpack(row, &g); err != nil {
		return "", err
	}
	return title.Fold(incidentRow(&g, 0).Title), nil
}

// EscalationOfRow returns what was taken of an escalation when its row was stored.
func EscalationOfRow(record uint64, row []byte) (*Escalation, error) {
	return takeFromRow(record, row, escalationOf)
}

// RevisionOfRow returns what was taken of a revision when its row was stored.
func RevisionOfRow(record uint64, row []byte, operator string) (*Revision, error) {
	return takeFromRow(record, row, func(s event.Stored) (*Revision, error) { return revisionOf(s, operator) })
}

func takeFromRow[T any](record uint64, row []byte, take func(event.Stored) (*T, error)) (*T, error) {
	plain, err := s2.Decode(nil, row)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	out, err := take(event.Stored{Record: event.Record{Data: plain}, Sequence: record})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return out, nil
}

// ErrDamaged is of a stored row that was changed.
var ErrDamaged = errors.New("a row is damaged")

// unpack decodes a row and returns its length.
func unpack(row []byte, into any) (int, error) {
	plain, err := s2.Decode(nil, row)
	if err == nil {
		err = json.Unmarshal(plain, into, event.JSON)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return len(plain), nil
}

func closingOf(s event.Stored) (string, error) {
	act, err := decodeBody[event.DeskAct](s)
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(api.Closing{Desk: act.Desk, Officer: act.Officer, Reason: act.Reason, At: act.At}, event.JSON)
	if err != nil {
		return "", &unreadableError{err}
	}
	return string(raw), nil
}
