package event

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// Damage is what was found wrong with the record: what a checkpoint has
// certified is not what is stored.
type Damage struct {
	Kind    string    `json:"kind"`
	First   uint64    `json:"first,omitempty"` // ledger sequences; 0 where no record can be named
	Last    uint64    `json:"last,omitempty"`
	Detail  string    `json:"detail"`
	FoundAt time.Time `json:"foundAt"`
}

// The kinds of damage.
const (
	DamageCut     = "cut"     // the stream ends before what is certified: its tail was lost, or it is an older copy
	DamageMissing = "missing" // a record is gone, and no removal says so
	DamageChanged = "changed" // a record is not what was certified
	DamageTree    = "tree"    // a tile or checkpoint is not what was signed, or older than what was
)

// Removal is the record that records are gone, and by what right. It carries
// the hashes of their entries, so that every other proof and a tree made anew
// still hold. Its subject is RemovedSubject of First.
type Removal struct {
	First uint64 `json:"first"` // ledger sequence of the first record removed
	// Entries are the hashes of it and of those that follow; the zero hash stands
	// for a record that stays.
	Entries []evidence.Hash `json:"entries"`
	Why     string          `json:"why"` // order or retention
	Order   string          `json:"order,omitempty"`
	Export  string          `json:"export,omitempty"` // SHA-256 of the manifest of the export that holds them, in hex
	Officer string          `json:"officer"`
	Reason  string          `json:"reason,omitempty"`
	At      time.Time       `json:"at"`
	// Of a removal by order: the incident that the record belonged to, and what
	// it was.
	Operator string `json:"operator,omitempty"` // tokens, as the subject had them
	Incident string `json:"incident,omitempty"`
	Type     string `json:"type,omitempty"`
	// Subject is SubjectHash of the record's subject: by it the same report is
	// known when it is sent again.
	Subject string `json:"subject,omitempty"`
	// Signed is the administrator's request with its signature, where there are
	// identities.
	Signed *evidence.SignedAct `json:"signed,omitempty"`
}

// SubjectHash is the SHA-256 of a subject, in hex.
func SubjectHash(subject string) string {
	sum := sha256.Sum256([]byte(subject))
	return hex.EncodeToString(sum[:])
}

// Last is the ledger sequence of the last record removed.
func (r *Removal) Last() uint64 { return r.First + uint64(len(r.Entries)) - 1 }

// Entry returns the hash of a record's entry where it is one of those removed.
func (r *Removal) Entry(record uint64) (evidence.Hash, bool) {
	if record < r.First || record > r.Last() || len(r.Entries) == 0 {
		return evidence.Hash{}, false
	}
	h := r.Entries[record-r.First]
	return h, h != evidence.Hash{}
}

// Count is how many records are removed.
func (r *Removal) Count() (n uint64) {
	for _, h := range r.Entries {
		if h != (evidence.Hash{}) {
			n++
		}
	}
	return n
}

// The reasons of a removal.
const (
	WhyOrder     = "order"
	WhyRetention = "retention"
)

// LogState is where the log stands. It answers DoorLog.
type LogState struct {
	Checkpoint string    `json:"checkpoint"` // the last one, a signed note; empty before the first
	Key        string    `json:"key"`        // verifier key of the signed note
	Size       uint64    `json:"size"`       // records that the checkpoint covers
	Head       uint64    `json:"head"`       // records of the stream
	Indexed    uint64    `json:"indexed"`    // records that queries answer from
	Removed    uint64    `json:"removed"`    // records that were removed, by order or by age
	Checked    time.Time `json:"checked"`    // when the whole record was last found whole; zero: not since the start
	Damage     []Damage  `json:"damage,omitempty"`
	Keep       string    `json:"keep"` // ISO 8601: records younger than this are never archived
	// ActFormats are the formats in which the acts of desks may be signed.
	ActFormats []string `json:"actFormats,omitempty"`
}

// TilesRequest asks for tiles of the tree by their C2SP paths, such as
// "tile/0/x001/234" or "tile/entries/000.p/17".
type TilesRequest struct {
	Paths []string `json:"paths"` // at most TilesAtOnce
}

// TilesAtOnce bounds a request: a reply of NATS ends at 1 MiB.
const TilesAtOnce = 50

// TilesAnswer has the tiles in the order of the request; a tile that is not
// there is null.
type TilesAnswer struct {
	Tiles  [][]byte       `json:"tiles"`
	Errors []fault.Detail `json:"errors,omitempty"`
}

// RecordsRequest asks for records as they stand in the stream.
type RecordsRequest struct {
	From uint64 `json:"from"` // ledger sequence
	To   uint64 `json:"to"`   // the last one wanted
	// Since and Until restrict by the engine's time stamp, which grows with the
	// sequence; From and To then need not be known.
	Since *time.Time `json:"since,omitempty"` // included
	Until *time.Time `json:"until,omitempty"` // excluded
	// Subjects restricts to records of these subjects, without their realm's mark,
	// with wildcards, such as rules.>; empty: all.
	Subjects []string `json:"subjects,omitempty"`
}

// RecordsAnswer is one page of records, each in the line form of
// evidence.Record, without those that were removed.
type RecordsAnswer struct {
	Lines []string `json:"lines"`
	// StoredLate has the stream's stamps of escalations of the page that were stored after
	// a due time which their own stamps keep, by record.
	StoredLate map[uint64]time.Time `json:"storedLate,omitempty"`

	First  uint64         `json:"first"`          // the range that was asked for, resolved
	Last   uint64         `json:"last"`           // less than First: it is empty
	Next   uint64         `json:"next,omitempty"` // to go on from; 0 at the end
	Errors []fault.Detail `json:"errors,omitempty"`
}

// ProveRequest asks for a proof: that a record is in the log, or, with Size,
// that the log of that size is the beginning of what it is now.
type ProveRequest struct {
	Record uint64 `json:"record,omitempty"` // ledger sequence
	Size   uint64 `json:"size,omitempty"`
}

// ProveAnswer is a proof file.
type ProveAnswer struct {
	Proof  string         `json:"proof"`
	Errors []fault.Detail `json:"errors,omitempty"`
}

// AuditRequest asks how far a check of the whole record has come. Where no check
// has a greater id than After, and none runs, one begins.
type AuditRequest struct {
	After uint64 `json:"after"`
}

// AuditAnswer is how far the check that runs has come, or what the last one
// found.
type AuditAnswer struct {
	ID         uint64         `json:"id"` // of the check; grows
	Running    bool           `json:"running"`
	Checked    uint64         `json:"checked"` // records so far
	Of         uint64         `json:"of"`
	Removed    uint64         `json:"removed"` // of them, removed by order or by age
	Started    time.Time      `json:"started"`
	Ended      *time.Time     `json:"ended"`      // null: it was interrupted, or runs
	Checkpoint string         `json:"checkpoint"` // what the record is held against
	Damage     []Damage       `json:"damage"`
	Errors     []fault.Detail `json:"errors,omitempty"`
}

// RemoveRequest asks that a record be removed by order.
type RemoveRequest struct {
	Record  uint64 `json:"record"`
	Order   string `json:"order"`   // reference of the document that orders it
	Officer string `json:"officer"` // post
	Reason  string `json:"reason,omitempty"`
	Signing
}

// Signing is what a signed request says beside its question: for which log it is
// meant, so that no other log can use it, and when it was signed.
type Signing struct {
	Log      string     `json:"log,omitempty"` // name of the log
	SignedAt *time.Time `json:"signedAt,omitempty"`
}

// ArchiveRequest asks that records be archived, First to Last, which the export
// with this manifest holds. One request handles a part; Next says where to go
// on.
type ArchiveRequest struct {
	First   uint64 `json:"first"`
	Last    uint64 `json:"last"`
	Export  string `json:"export"` // SHA-256 of the manifest, in hex
	Officer string `json:"officer"`
	Try     bool   `json:"try,omitempty"` // only say whether it would be taken
	Signing
}

// RemoveAnswer says what became of a request to remove or archive.
type RemoveAnswer struct {
	Status  string         `json:"status"`            // accepted, duplicate (it was removed before) or rejected
	Record  uint64         `json:"record,omitempty"`  // of the removal
	Removed uint64         `json:"removed,omitempty"` // records
	Kept    uint64         `json:"kept,omitempty"`    // records that are still needed: rules, and incidents that go on
	Next    uint64         `json:"next,omitempty"`
	Copies  []uint64       `json:"copies,omitempty"` // other records of the incident, which may repeat what was removed
	Errors  []fault.Detail `json:"errors,omitempty"`
}

// StatsQuery asks for counts of escalations by a dimension. The filters are
// those of Query; its Limit and Cursor are not used.
type StatsQuery struct {
	By string `json:"by"` // one of StatsDimensions
	Query
}

// StatsDimensions are what escalations can be counted by.
var StatsDimensions = []string{"grade", "desk", "sector", "region", "statute", "month"}

// StatsRow counts escalations. An escalation with several values of a dimension
// counts under each.
type StatsRow struct {
	By          string `json:"by"`
	Value       string `json:"value"` // a month is 2026-11, at +08:00, by when it was told
	Escalations uint64 `json:"escalations"`
	// Timed are those with a duty that had a due time; Late those of them that
	// were told after it.
	Timed uint64 `json:"timed"`
	Late  uint64 `json:"late"`
	// Targeted are those with a target for the desk (an import has none) that
	// were acknowledged or are past it: of them AcknowledgedLate were acknowledged
	// after it, and Overdue are not acknowledged.
	Targeted         uint64 `json:"targeted"`
	AcknowledgedLate uint64 `json:"acknowledgedLate"`
	Overdue          uint64 `json:"overdue"`
	Acknowledged     uint64 `json:"acknowledged"` // in time or not
	// ReportedInTime is (Timed−Late)/Timed, AcknowledgedInTime is
	// (Targeted−AcknowledgedLate−Overdue)/Targeted; null where nothing had a time.
	ReportedInTime     *float64 `json:"reportedInTime"`
	AcknowledgedInTime *float64 `json:"acknowledgedInTime"`
}

// StatsAnswer has one row for each value that occurs.
type StatsAnswer struct {
	Rows    []StatsRow     `json:"rows"`
	Through uint64         `json:"through"`
	Errors  []fault.Detail `json:"errors,omitempty"`
}

// CertifyRequest asks the log to say that a key signs receipts.
type CertifyRequest struct {
	Key string `json:"key"` // nkey of a server
}

// CertifyAnswer has the log's signed note, as evidence.SignedReceipt carries it.
type CertifyAnswer struct {
	Certificate string         `json:"certificate,omitempty"`
	Errors      []fault.Detail `json:"errors,omitempty"`
}
