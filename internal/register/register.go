// Package register knows the operators, their facilities and the desks, and resolves a
// role that a statute names ("public security of the province") to the desk that has it.
//
// A register is read once, strictly, and never changes. Every duty that could apply to
// one of its facilities has a desk, or Load fails: a report without a recipient is found
// when the register is written, not when a grid goes dark. Which facilities are CII is
// confidential; nothing here prints it.
package register

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/event"
)

// Register is the content of a register.yaml.
type Register struct {
	// Acknowledge is the house's target for a desk, counted from reporting, where no due
	// time of the law applies or it has passed.
	Acknowledge event.Duration `json:"acknowledge"`
	// Fallback is the desk for a record without a known operator.
	Fallback string `json:"fallback"`
	// Remind are the fractions of a time at which somebody who owes something is
	// reminded. At the last one, a forward that the desk has not confirmed is sent.
	Remind []float64 `json:"remind"`
	// ClockTolerance is how far a sender's clock may differ from ours without a warning.
	ClockTolerance event.Duration `json:"clockTolerance"`

	Operators []Operator `json:"operators"`
	Desks     []Desk     `json:"desks"`

	SHA256 string `json:"-"` // hex, of Raw
	Raw    []byte `json:"-"`

	operators map[string]*Operator
	tokens    map[string]*Operator // by subject token
	desks     map[string]*Desk
}

// Name is a name in Chinese and English.
type Name struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// Operator is a party that must report.
type Operator struct {
	ID      string `json:"id"`
	Name    Name   `json:"name"`
	Level   string `json:"level"`   // national, province, prefecture, county
	Region  string `json:"region"`  // where it is, GB/T 2260, six digits; empty: where its facility is
	Central bool   `json:"central"` // a central organ or an affiliated unit
	Office  string `json:"office"`  // the desk of a central organ's own cyberspace body
	// Attributes are what packs ask of the operator, by the names that they declare without
	// "operator."; CheckDuties checks them.
	Attributes map[string]jsontext.Value `json:"attributes"`
	Facilities []Facility                `json:"facilities"`
}

// Facility is what an incident happens to. CII is the facility, not the operator (law.md
// §1).
type Facility struct {
	ID         string `json:"id"`
	Name       Name   `json:"name"`
	Sector     string `json:"sector"`
	Region     string `json:"region"` // GB/T 2260, six digits; elsewhere ISO 3166, such as DE or DE-BY
	CII        bool   `json:"cii"`
	Protection string `json:"protection"` // the desk of its protection department
	// Jurisdiction is whose law applies to it; empty: statute.Home. Days are counted in
	// Zone and by Calendar; empty: as the statute does.
	Jurisdiction string `json:"jurisdiction"`
	Zone         string `json:"zone"` // IANA
	Calendar     string `json:"calendar"`

	zone *time.Location // nil where Zone is empty
}

// Desk is where a department listens.
type Desk struct {
	ID     string `json:"id"`
	Name   Name   `json:"name"`
	Role   string `json:"role"`   // what a statute calls it; register.v1.json lists the roles
	Level  string `json:"level"`  // national, province, prefecture, county
	Region string `json:"region"` // as that of a facility; empty for national desks
	// Jurisdiction is where it is an authority; empty: statute.Home.
	Jurisdiction string         `json:"jurisdiction"`
	Sector       string         `json:"sector"`
	Languages    []string       `json:"languages"`
	Acknowledge  event.Duration `json:"acknowledge"` // the desk's own target, from reporting; 0: the due time
	Next         string         `json:"next"`        // the desk that is notified of silence
	Designated   bool           `json:"designated"`  // the department has named this channel
	Grades       bool           `json:"grades"`      // its department may set a grade (认定)
	Forward      string         `json:"forward"`     // automatic; confirm: a person at the desk confirms; empty: it forwards nothing
	Authority    string         `json:"authority"`   // the document that authorises forwarding
}

// Operator returns the operator with this id.
func (r *Register) Operator(id string) (*Operator, bool) {
	o, ok := r.operators[id]
	return o, ok
}

// OperatorByToken returns the operator whose id has this subject token.
func (r *Register) OperatorByToken(token string) (*Operator, bool) {
	o, ok := r.tokens[token]
	return o, ok
}

// Desk returns the desk with this id.
func (r *Register) Desk(id string) (*Desk, bool) {
	d, ok := r.desks[id]
	return d, ok
}

// Facility returns one of the operator's facilities.
func (o *Operator) Facility(id string) (*Facility, bool) {
	for i := range o.Facilities {
		if o.Facilities[i].ID == id {
			return &o.Facilities[i], true
		}
	}
	return nil, false
}

// Roles and levels that a statute or a desk may name.
const (
	RoleOperator       = "operator"
	RoleProtection     = "protection"
	RoleCyberspace     = "cyberspace"
	RoleOffice         = "cyberspace-office"
	RolePublicSecurity = "public-security"

	LevelOwn = "own" // the unit's own level

	// ForwardConfirm means that a person at the desk confirms each forward.
	ForwardConfirm = "confirm"
)

// Outranks reports whether a's level is above b's, such as a province's above a
// prefecture's. It ignores regions.
func Outranks(a, b *Desk) bool { return regionDigits[a.Level] < regionDigits[b.Level] }

// FirstRecipient returns the desk that reviews a record that could not be handled: the
// facility's protection department, or the provincial cyberspace department where there
// is none; the fallback where the operator or its facilities are unknown.
func (r *Register) FirstRecipient(operatorToken string, facilities []string) string {
	o, ok := r.OperatorByToken(operatorToken)
	if !ok {
		return r.Fallback
	}
	f := &o.Facilities[0]
	for _, id := range facilities {
		if named, ok := o.Facility(id); ok {
			f = named
			break
		}
	}
	if f.Protection != "" {
		return f.Protection
	}
	if d, err := r.Resolve(RoleCyberspace, "province", o, f); err == nil {
		return d.ID
	}
	return r.Fallback
}
