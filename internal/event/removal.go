package event

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// Damage is a difference between what a checkpoint has certified and what is stored.
type Damage struct {
	Kind    string    `json:"kind"`
	First   uint64    `json:"first,omitempty"` // ledger sequences; 0 where no record can be named
	Last    uint64    `json:"last,omitempty"`
	Detail  string    `json:"detail"`
	FoundAt time.Time `json:"foundAt"`
}

// The kinds of damage.
const (
	DamageCut     = "cut"     // the stream ends before the last certified record: its tail was lost, or it is an older copy
	DamageMissing = "missing" // a record is missing, and no removal covers it
	DamageChanged = "changed" // a record differs from the certified one
	DamageTree    = "tree"    // a tile or checkpoint differs from what was signed, or is older
)

// Removal is the record that other records were removed, and by what right. It carries
// the hashes of their entries, so that every other proof and a rebuilt tree remain valid.
// Its subject is RemovedSubject of First.
type Removal struct {
	First uint64 `json:"first"` // ledger sequence of the first record removed
	// Entries are the hashes of that record and those that follow; a zero hash marks a
	// record that is kept.
	Entries []evidence.Hash `json:"entries"`
	Basis   string          `json:"why"` // order or retention
	Order   string          `json:"order,omitempty"`
	Export  string          `json:"export,omitempty"` // SHA-256 of the manifest of the export that holds them, in hex
	Officer string          `json:"officer"`
	Reason  string          `json:"reason,omitempty"`
	At      time.Time       `json:"at"`
	// Of a removal by order: the incident that the record belonged to, and the record's
	// type.
	Operator string `json:"operator,omitempty"` // tokens, as the subject had them
	Incident string `json:"incident,omitempty"`
	Type     string `json:"type,omitempty"`
	// Subject is SubjectHash of the record's subject. It identifies the same report when
	// it is sent again.
	Subject string `json:"subject,omitempty"`
	// Signed is the administrator's request with its signature, where there are
	// identities.
	Signed *evidence.SignedAct `json:"signed,omitempty"`
}

// SubjectHash returns the SHA-256 of a subject, in hex.
func SubjectHash(subject string) string {
	sum := sha256.Sum256([]byte(subject))
	return hex.EncodeToString(sum[:])
}

// Last returns the ledger sequence of the last record removed.
func (r *Removal) Last() uint64 { return r.First + uint64(len(r.Entries)) - 1 }

// Entry returns the hash of a record's entry if it is one of those removed.
func (r *Removal) Entry(record uint64) (evidence.Hash, bool) {
	if record < r.First || record > r.Last() || len(r.Entries) == 0 {
		return evidence.Hash{}, false
	}
	h := r.Entries[record-r.First]
	return h, h != evidence.Hash{}
}

// Count returns the number of records removed.
func (r *Removal) Count() (n uint64) {
	for _, h := range r.Entries {
		if h != (evidence.Hash{}) {
			n++
		}
	}
	return n
}

// MaxRemoved bounds the records that one removal covers: its own record stays well below a
// NATS reply of 1 MiB.
const MaxRemoved = 1000

// AppliesAt reports whether a removal that is stored at a sequence removes anything: it
// names at least one record, all of them earlier, and covers no more than MaxRemoved.
func (r *Removal) AppliesAt(sequence uint64) bool {
	n := len(r.Entries)
	return n > 0 && n <= MaxRemoved && r.First < sequence && r.Last() < sequence && r.Count() > 0
}

// The reasons of a removal.
const (
	BasisOrder     = "order"
	BasisRetention = "retention"
)
