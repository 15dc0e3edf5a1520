package api

import (
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// LogState is the state of the log, the answer of EndpointLog.
type LogState struct {
	Checkpoint string         `json:"checkpoint"` // the last one, a signed note; empty before the first
	Key        string         `json:"key"`        // verifier key of the signed note
	Size       uint64         `json:"size"`       // number of records that the checkpoint covers
	Head       uint64         `json:"head"`       // number of records in the stream
	Indexed    uint64         `json:"indexed"`    // number of records that queries cover
	Removed    uint64         `json:"removed"`    // records that were removed, by order or by age
	Checked    time.Time      `json:"checked"`    // when the whole record was last found undamaged; zero: not since the start
	Damage     []event.Damage `json:"damage,omitempty"`
	Keep       string         `json:"keep"` // ISO 8601: records younger than this are never archived
	// ActFormats are the formats in which desks may sign acts.
	ActFormats []string `json:"actFormats,omitempty"`
}

// TilesRequest asks for tiles of the tree by their C2SP paths, such as
// "tile/0/x001/234" or "tile/entries/000.p/17".
type TilesRequest struct {
	Paths []string `json:"paths"` // at most MaxTiles
}

// MaxTiles bounds a request: a reply of NATS ends at 1 MiB.
const MaxTiles = 50

// TilesAnswer has the tiles in the order of the request; null for a tile that does not
// exist.
type TilesAnswer struct {
	Tiles  [][]byte       `json:"tiles"`
	Errors []fault.Detail `json:"errors,omitempty"`
}

// RecordsRequest asks for stored records of the stream.
type RecordsRequest struct {
	From uint64 `json:"from"` // ledger sequence
	To   uint64 `json:"to"`   // the last one wanted
	// Since and Until restrict by the engine's time stamp, which grows with the sequence;
	// From and To may then be omitted.
	Since *time.Time `json:"since,omitempty"` // included
	Until *time.Time `json:"until,omitempty"` // excluded
	// Subjects restricts to records of these subjects, without the realm's prefix, with
	// wildcards, such as rules.>; empty: all.
	Subjects []string `json:"subjects,omitempty"`
}

// RecordsAnswer is one page of records, each in the line form of evidence.Record, without
// removed records.
type RecordsAnswer struct {
	Lines []string `json:"lines"`
	// StoredLate has the stream's stamps, by record, of the page's escalations that were
	// stored after a due time although their own stamps precede it.
	StoredLate map[uint64]time.Time `json:"storedLate,omitempty"`

	First  uint64         `json:"first"`          // the requested range, resolved
	Last   uint64         `json:"last"`           // less than First: the range is empty
	Next   uint64         `json:"next,omitempty"` // where to continue; 0 at the end
	Errors []fault.Detail `json:"errors,omitempty"`
}

// ProveRequest asks for a proof: that a record is in the log, or, with Size, that the
// current log extends the log of that size.
type ProveRequest struct {
	Record uint64 `json:"record,omitempty"` // ledger sequence
	Size   uint64 `json:"size,omitempty"`
}

// ProveAnswer is a proof file.
type ProveAnswer struct {
	Proof  string         `json:"proof"`
	Errors []fault.Detail `json:"errors,omitempty"`
}

// AuditRequest asks for the progress of a check of the whole record. If no check has an
// id greater than After and none is running, it starts one.
type AuditRequest struct {
	After uint64 `json:"after"`
}

// AuditAnswer is the progress of the running check, or the result of the last one.
type AuditAnswer struct {
	ID         uint64         `json:"id"` // of the check; grows
	Running    bool           `json:"running"`
	Checked    uint64         `json:"checked"` // records so far
	Of         uint64         `json:"of"`
	Removed    uint64         `json:"removed"` // how many of them were removed, by order or by age
	Started    time.Time      `json:"started"`
	Ended      *time.Time     `json:"ended"`      // null: it was interrupted, or is running
	Checkpoint string         `json:"checkpoint"` // the one that the record is checked against
	Damage     []event.Damage `json:"damage"`
	Errors     []fault.Detail `json:"errors,omitempty"`
}

// RemoveRequest asks for the removal of a record by order.
type RemoveRequest struct {
	Record  uint64 `json:"record"`
	Order   string `json:"order"`   // reference of the document that orders it
	Officer string `json:"officer"` // post
	Reason  string `json:"reason,omitempty"`
	Signing
}

// Signing is what a signed request contains beside its question: the log that it is meant
// for, so that it cannot be used on another, and when it was signed.
type Signing struct {
	Log      string     `json:"log,omitempty"` // name of the log
	SignedAt *time.Time `json:"signedAt,omitempty"`
}

// ArchiveRequest asks for the removal of records First to Last, which the export with
// this manifest contains. One request handles a part; Next in the answer is where to
// continue.
type ArchiveRequest struct {
	First   uint64 `json:"first"`
	Last    uint64 `json:"last"`
	Export  string `json:"export"` // SHA-256 of the manifest, in hex
	Officer string `json:"officer"`
	Try     bool   `json:"try,omitempty"` // only check whether the request would be accepted
	Signing
}

// RemoveAnswer is the result of a request to remove or archive.
type RemoveAnswer struct {
	Status  string         `json:"status"`            // accepted, duplicate (it was removed before) or rejected
	Record  uint64         `json:"record,omitempty"`  // of the removal
	Removed uint64         `json:"removed,omitempty"` // records
	Kept    uint64         `json:"kept,omitempty"`    // records still needed: rules, and incidents that are not over
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

// StatsRow counts escalations. An escalation with several values of a dimension counts
// under each.
type StatsRow struct {
	By          string `json:"by"`
	Value       string `json:"value"` // a month is 2026-11, at +08:00, by when it was told
	Escalations uint64 `json:"escalations"`
	// Timed counts those with a duty that had a due time; Late counts those of them that
	// were told after it.
	Timed uint64 `json:"timed"`
	Late  uint64 `json:"late"`
	// Targeted counts those with a target for the desk (an import has none) that were
	// acknowledged or are past it. Of them, AcknowledgedLate were acknowledged after it,
	// and Overdue are not acknowledged.
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

// CertifyRequest asks the log to certify that a key signs receipts.
type CertifyRequest struct {
	Key string `json:"key"` // nkey of a server
}

// CertifyAnswer has the log's signed note, as evidence.SignedReceipt carries it.
type CertifyAnswer struct {
	Certificate string         `json:"certificate,omitempty"`
	Errors      []fault.Detail `json:"errors,omitempty"`
}
