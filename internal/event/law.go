package event

// Instrument is an instrument of the law that speaks of such an incident at such a place,
// and whether its dates make it apply.
type Instrument struct {
	Statute string `json:"statute"`
	From    string `json:"from"` // its first day in force: 2025-11-01
	Basis   Basis  `json:"basis"`
}

// Basis is why an instrument applies to an incident, or does not.
type Basis string

// The bases. An instrument applies to what was discovered while it was in force, and to
// what lasts from its first moment in force on.
const (
	BasisDiscovered Basis = "discovered" // in force when the incident was discovered
	BasisContinuing Basis = "continuing" // came into force while the incident lasted
	BasisUndated    Basis = "undated"    // in force now; no report gives the discovery
	BasisNotYet     Basis = "not-yet"    // came or comes into force after the discovery, and after the incident ended
	BasisNoLonger   Basis = "no-longer"  // repealed before the discovery
)

// Applies reports whether the instrument applies.
func (b Basis) Applies() bool {
	return b == BasisDiscovered || b == BasisContinuing || b == BasisUndated
}

// Outlook is what the first report of an incident lets the operator expect, judged from
// that report alone. A receipt has it; what the decision was is in the record. It names no
// facility and no desk: a receipt must not show which facilities are CII.
type Outlook struct {
	// Law lists the instruments that speak of such an incident, and why each applies.
	Law []Instrument `json:"law,omitempty"`
	// Possible lists who would have to be told if facts that are not known were so.
	Possible []PossibleDuty `json:"possible,omitempty"`
}
