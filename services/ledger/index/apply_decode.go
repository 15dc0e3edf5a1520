package index

import (
	"encoding/json"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/s2"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/index/title"
)

// Item is what the index needs of a record. It is made from the record alone, so that
// many can be made in parallel; members of other kinds are nil.
type Item struct {
	seq  uint64
	salt string
	at   time.Time
	addr event.Address
	err  error // of a record whose body cannot be read

	escalation *escalation
	revision   *revisionItem
	ack        *event.Acknowledgement
	overdue    *event.Overdue
	closing    string // JSON of event.Closing
	removal    *event.Removal
}

// Sequence returns the record's sequence in the ledger.
func (it *Item) Sequence() uint64 { return it.seq }

// entry has what escalations and revisions have in common.
type entry struct {
	named  []named // its terms by name
	flags  []term
	title  string // folded
	tokens []uint64
	row    []byte // the parts of the record that queries need, compressed
}

type escalation struct {
	entry
	reported int64
	by       *int64
	says     saying
}

type revisionItem struct {
	entry
	revision int
}

// saying is what an escalation tells its desk about the incident.
type saying int

const (
	saysNothing saying = iota // a notice, of silence
	saysAgain                 // a review: it brings back an incident that the desk knows, and tells no other
	saysAll
	saysOwnAct // the desk's own act: nothing to acknowledge
)

// unreadableError is of a record whose body cannot be read. The record is still part of
// its incident's story.
type unreadableError struct{ err error }

func (e *unreadableError) Error() string { return e.err.Error() }

func read[T any](s event.Stored) (*T, error) {
	body, err := event.Decode[T](s)
	if err != nil {
		return nil, &unreadableError{err}
	}
	return body, nil
}

var (
	escalatedParts = partsOf(reflect.TypeFor[escalated]())
	revisionParts  = partsOf(reflect.TypeFor[revision]())
)

// Decode makes the items of a batch, on all processors.
func Decode(batch []event.Stored) []Item {
	items := make([]Item, len(batch))
	var next atomic.Int64
	const share = 16 // records taken at once
	work := func() {
		for {
			from := int(next.Add(share)) - share
			if from >= len(batch) {
				return
			}
			for i := from; i < min(from+share, len(batch)); i++ {
				items[i] = itemOf(batch[i])
			}
		}
	}
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (len(batch)+share-1)/share) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	return items
}

func itemOf(s event.Stored) Item {
	it := Item{seq: s.Sequence, salt: s.Salt, at: s.Time, addr: event.ParseSubject(s.Subject)}
	if it.at.IsZero() {
		it.at = s.StoredAt
	}
	switch it.addr.Kind {
	case event.KindGraded:
		it.revision, it.err = revisionOf(s, it.addr.Operator)
	case event.KindEscalated:
		it.escalation, it.err = escalationOf(s)
	case event.KindAcknowledged:
		it.ack, it.err = read[event.Acknowledgement](s)
	case event.KindOverdue:
		it.overdue, it.err = read[event.Overdue](s)
	case event.KindClosed:
		it.closing, it.err = closingOf(s)
	case event.KindRemoved:
		it.removal, it.err = read[event.Removal](s)
	}
	return it
}

// escalated has the members of an escalated record that its row and its terms need.
type escalated struct {
	ID            string            `json:"escalation"`
	Desk          string            `json:"desk"`
	Operator      string            `json:"operator"`
	Incident      string            `json:"incident"`
	Revision      int               `json:"revision"`
	About         event.About       `json:"about"`
	Grade         event.Grade       `json:"grade"`
	Peak          event.Grade       `json:"peak"`
	Next          *event.Next       `json:"next"`
	Change        event.Change      `json:"change"`
	Withdrawal    *event.Withdrawal `json:"withdrawal"`
	From          string            `json:"from"`
	Act           event.Act         `json:"act"`
	Duties        []event.Duty      `json:"duties"`
	Standing      []event.Duty      `json:"standing"`
	DueAt         *time.Time        `json:"dueAt"`
	ReportedAt    time.Time         `json:"reportedAt"`
	Late          bool              `json:"late"`
	AcknowledgeBy *time.Time        `json:"acknowledgeBy"`
	Exercise      bool              `json:"exercise"`
	Imported      bool              `json:"imported"`
	Designated    bool              `json:"designated"`
	Facilities    []event.Facility  `json:"facilities"`
	Notice        *event.Notice     `json:"notice"`
	Report        jsontext.Value    `json:"report" part:"title"`
	Cause         struct {
		At time.Time `json:"at"`
	} `json:"cause"`
}

// row returns the escalation as queries show it, before any outcome.
func (e *escalated) row(record uint64) api.EscalationRow {
	whole := event.Escalated{
		ID: e.ID, Desk: e.Desk, Operator: e.Operator, Incident: e.Incident, Revision: e.Revision, About: e.About,
		Grade: e.Grade, Peak: e.Peak, Next: e.Next, Change: e.Change, Withdrawal: e.Withdrawal, From: e.From, Act: e.Act,
		Duties: e.Duties, Standing: e.Standing, DueAt: e.DueAt, ReportedAt: e.ReportedAt, Late: e.Late,
		AcknowledgeBy: e.AcknowledgeBy, Exercise: e.Exercise, Imported: e.Imported, Designated: e.Designated,
		Notice: e.Notice, Report: e.Report, Cause: event.Cause{At: e.Cause.At},
	}
	return api.RowOf(&whole, record, nil, nil, e.ReportedAt)
}

func escalationOf(s event.Stored) (*escalation, error) {
	s.Data = escalatedParts.pick(s.Data)
	e, err := read[escalated](s)
	if err != nil {
		return nil, err
	}
	out := &escalation{reported: e.ReportedAt.UnixNano(), says: saysAll}
	switch e.Act {
	case event.ActNotice:
		out.says = saysNothing
	case event.ActReview:
		out.says = saysAgain
	}
	out.flags = []term{flagEscalation}
	if e.AcknowledgeBy != nil {
		by := e.AcknowledgeBy.UnixNano()
		out.by = &by
		out.flags = append(out.flags, flagTargeted)
	}
	add := out.add
	add(kindGrade, e.Grade.String())
	add(kindOperator, e.Operator)
	add(kindDesk, e.Desk)
	add(kindMonth, month(e.ReportedAt))
	timed := false
	for _, d := range e.Duties {
		add(kindStatute, d.Statute)
		timed = timed || d.DueAt != nil
	}
	for _, d := range e.Standing {
		add(kindStatute, d.Statute)
	}
	for _, f := range e.Facilities {
		add(kindRegion, f.Region)
	}
	addPlaces(e.Facilities, add, kindArea, kindSector, kindPlace)
	if timed {
		out.flags = append(out.flags, flagTimed)
		if e.Late {
			out.flags = append(out.flags, flagLate)
		}
	}
	row := e.row(s.Sequence)
	if row.OwnAct {
		out.says = saysOwnAct
		out.flags = append(out.flags, flagOwnAct)
	}
	out.show(row.Title, s.Data)
	return out, nil
}

// add adds a term by its name, once.
func (e *entry) add(k kind, value string) {
	if n := (named{k, value}); !slices.Contains(e.named, n) {
		e.named = append(e.named, n)
	}
}

// addPlaces adds the areas and sectors of facilities.
func addPlaces(facilities []event.Facility, add func(kind, string), area, sector, both kind) {
	for _, f := range facilities {
		for n := 2; n <= min(4, len(f.Region)); n += 2 {
			add(area, f.Region[:n])
			add(both, placeOf(f.Region[:n], f.Sector))
		}
		add(sector, f.Sector)
	}
}

// show sets the row that queries show, and the terms by which the title is found.
func (e *entry) show(text string, row []byte) {
	e.title = title.Fold(text)
	e.tokens = title.Tokens(e.title)
	e.row = s2.Encode(nil, row)
}

// revision has the members of a graded record that an incident's row shows.
type revision struct {
	Operator   string             `json:"operator"`
	Incident   string             `json:"incident"`
	Revision   int                `json:"revision"`
	At         time.Time          `json:"at"`
	About      event.About        `json:"about"`
	Grade      event.Grade        `json:"grade"`
	CouldBe    event.Grade        `json:"couldBe"`
	Peak       event.Grade        `json:"peak"`
	Next       *event.Next        `json:"next"`
	Owed       []event.Obligation `json:"owed"`
	Held       []event.Held       `json:"held"`
	Facilities []event.Facility   `json:"facilities"`
	State      struct {
		Fields struct {
			Title event.Field `json:"title"`
		} `json:"fields"`
		Reported  event.Field `json:"reported"`
		Withdrawn event.Field `json:"withdrawn"`
		Archived  bool        `json:"archived"`
		Live      bool        `json:"live"`
	} `json:"state"`
}

// row returns the incident as queries show it, without its desks.
func (g *revision) row(record uint64) api.IncidentRow {
	state := event.State{Reported: g.State.Reported, Withdrawn: g.State.Withdrawn, Archived: g.State.Archived, Live: g.State.Live}
	row := api.IncidentRow{
		Operator: g.Operator, Incident: g.Incident, Revision: g.Revision, About: g.About,
		Grade: g.Grade, CouldBe: g.CouldBe, Peak: g.Peak, Next: g.Next,
		Withdrawn: state.IsWithdrawn(), Imported: state.IsImported(), GradedAt: g.At,
		Owed: g.Owed, Held: g.Held, Record: record,
	}
	_ = json.Unmarshal(g.State.Fields.Title.Value, &row.Title) // an unknown title stays empty
	if row.Owed == nil {
		row.Owed = []event.Obligation{}
	}
	return row
}

func revisionOf(s event.Stored, operator string) (*revisionItem, error) {
	s.Data = revisionParts.pick(s.Data)
	g, err := read[revision](s)
	if err != nil {
		return nil, err
	}
	row := g.row(s.Sequence)
	out := &revisionItem{revision: g.Revision}
	add := out.add
	add(kindIncidentGrade, g.Grade.String())
	add(kindIncidentOperator, operator)
	addPlaces(g.Facilities, add, kindIncidentArea, kindIncidentSector, kindIncidentPlace)
	if !row.Withdrawn {
		out.flags = append(out.flags, flagUpheld)
	}
	if len(row.Owed) > 0 {
		out.flags = append(out.flags, flagOwed)
	}
	out.show(row.Title, s.Data)
	return out, nil
}

func closingOf(s event.Stored) (string, error) {
	act, err := read[event.DeskAct](s)
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(api.Closing{Desk: act.Desk, Officer: act.Officer, Reason: act.Reason, At: act.At})
	if err != nil {
		return "", &unreadableError{err}
	}
	return string(raw), nil
}
