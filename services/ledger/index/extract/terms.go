package extract

import "time"

// Kind is the kind of a term; it is part of the term's number, so that the terms of one
// kind are adjacent in a chunk.
type Kind int64

// The kinds of terms.
const (
	KindFlag Kind = iota + 1 // the flags below

	// Of escalations.
	KindGrade
	KindOperator
	KindDesk
	KindStatute
	KindRegion // of the facility
	KindArea   // the province or prefecture that the region lies in
	KindSector
	KindMonth // told in
	KindTitle // buckets of tokens

	// Of incidents, by the record of the current revision.
	KindIncidentGrade
	KindIncidentOperator
	KindIncidentTitle // buckets of tokens
	KindTold          // desks that were told
	KindOpenAt        // of these, the desks that have not closed it since; numbered as KindTold

	KindTitles // blocks of titles, of either

	// Of both: area and sector of one facility.
	KindPlace
	KindIncidentPlace

	KindIncidentArea // as KindArea, of the incident's facilities
	KindIncidentSector
)

// Term is a property that records share.
type Term int64

// KindShift is the number of bits of a term's number within its kind.
const KindShift = 32

// Term returns the term of a kind with a number.
func (k Kind) Term(n int64) Term { return Term(int64(k)<<KindShift | n) }

// Kind returns the kind of a term.
func (t Term) Kind() Kind { return Kind(t >> KindShift) }

// Number returns the number of a term within its kind.
func (t Term) Number() int64 { return int64(t) & (1<<KindShift - 1) }

// The flags.
const (
	FlagEscalation = Term(int64(KindFlag)<<KindShift | iota)
	FlagTimed      // a duty of it had a due time
	FlagLate       // and was told after it
	FlagTargeted   // the desk has a target
	FlagOpen       // not acknowledged, and must be
	FlagOverdue    // there is a record that it was not acknowledged by the target
	FlagAckLate    // it was acknowledged, and late
	FlagCurrent    // the current revision of an incident
	FlagUpheld     // a revision that does not withdraw the incident
	FlagOwed       // a revision that lists something owed
	FlagOwnAct     // tells a desk of its own act: nothing to acknowledge
)

// IsMutable reports whether a record may get or lose the term after it was indexed.
func (t Term) IsMutable() bool {
	switch t {
	case FlagOpen, FlagOverdue, FlagAckLate, FlagCurrent:
		return true
	}
	return t.Kind() == KindTold || t.Kind() == KindOpenAt
}

// Named is a term by its name.
type Named struct {
	Kind  Kind
	Value string
}

// month returns the month of a moment at +08:00, the time of the law.
func month(at time.Time) string {
	return at.In(time.FixedZone("", 8*60*60)).Format("2006-01")
}
