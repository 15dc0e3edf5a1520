// Package identity defines the identities and their permissions: one table, which every
// endpoint enforces, over NATS and HTTP alike.
//
// It does no I/O. Callers are authenticated by a NATS credential, a token or a
// certificate (package credential).
//
// What is learned of incidents serves the security of networks and nothing else, and must
// not leak (cn-cii-2021 art. 30, 46): so nobody has a permission that is not in the
// table.
package identity

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/event"
)

// Role is the role of an identity.
type Role string

// The roles.
const (
	Operator  Role = "operator"  // reports, and sees its own incidents
	Desk      Role = "desk"      // gets the escalations that it is owed, and acknowledges them
	Regulator Role = "regulator" // queries within its region and sector
	Admin     Role = "admin"     // runs the product
	// Trial is every caller of a server without identities, which listens on loopback
	// only. No credential has this role.
	Trial Role = "trial"
	// Service is the services themselves, in their own account.
	Service Role = "service"
)

// Roles are the roles that a credential may have.
var Roles = []Role{Operator, Desk, Regulator, Admin}

// Level is the level of a regulator: how much of the country its region is.
type Level string

// The levels.
const (
	National   Level = "national"
	Province   Level = "province"
	Prefecture Level = "prefecture"
)

// Identity is a caller. The id of an operator or a desk is its id in the register.
type Identity struct {
	Role   Role   `json:"role"`
	ID     string `json:"id"`
	Level  Level  `json:"level,omitempty"`  // of a regulator
	Region string `json:"region,omitempty"` // of a regulator below the national level: GB/T 2260
	Sector string `json:"sector,omitempty"` // of a regulator of one sector
	// Screens are the screens of a desk: each follows the desk through a consumer of its
	// own.
	Screens []string `json:"screens,omitempty"`
}

// DefaultScreen is the screen of a desk whose credential names none.
const DefaultScreen = "default"

// MaxScreens bounds the screens of a desk.
const MaxScreens = 32

// Internal is the identity under which one service sends requests to another.
var Internal = Identity{Role: Service, ID: "tocsin"}

// Anyone is the identity of callers of a server without identities.
var Anyone = Identity{Role: Trial}

// String returns ROLE/ID, the form in which records name an actor.
func (i Identity) String() string {
	if i.Role == Trial {
		return string(Trial)
	}
	return string(i.Role) + "/" + i.ID
}

// IsZero reports whether there is no identity.
func (i Identity) IsZero() bool { return i.Role == "" }

var (
	plainID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	region  = regexp.MustCompile(`^[1-9][0-9]{5}$`)
)

// Check returns what is wrong with a new identity. A regulator must give its level, so
// that one whose region was forgotten is not responsible for the whole country.
func (i Identity) Check() error {
	switch {
	case !slices.Contains(Roles, i.Role):
		return fmt.Errorf("%q is not a role: want operator, desk, regulator or admin", i.Role)
	case !plainID.MatchString(i.ID):
		return fmt.Errorf("%q is not an id: want 1 to 64 letters, digits, - and _", i.ID)
	case i.Role != Regulator && (i.Level != "" || i.Region != "" || i.Sector != ""):
		return fmt.Errorf("only a regulator has a level, a region and a sector, not %s", i)
	case i.Role == Desk:
		return i.checkScreens()
	case len(i.Screens) > 0:
		return fmt.Errorf("only a desk has screens, not %s", i)
	case i.Role != Regulator:
		return nil
	}
	return i.checkLevel()
}

func (i Identity) checkScreens() error {
	if len(i.Screens) == 0 || len(i.Screens) > MaxScreens {
		return fmt.Errorf("a desk has 1 to %d screens, and %s has %d", MaxScreens, i, len(i.Screens))
	}
	for _, s := range i.Screens {
		if !plainID.MatchString(s) {
			return fmt.Errorf("%q is not the name of a screen: want 1 to 64 letters, digits, - and _", s)
		}
	}
	return nil
}

func (i Identity) checkLevel() error {
	if i.Region != "" && !region.MatchString(i.Region) {
		return fmt.Errorf("%q is not a region: want six digits of GB/T 2260, such as 650000", i.Region)
	}
	switch i.Level {
	case National:
		if i.Region != "" {
			return fmt.Errorf("a regulator of the national level has no region, and %s has %s", i, i.Region)
		}
	case Province:
		if !strings.HasSuffix(i.Region, "0000") {
			return fmt.Errorf("a regulator of a province needs its region, such as 650000, and %s has %q", i, i.Region)
		}
	case Prefecture:
		if i.Region == "" || !strings.HasSuffix(i.Region, "00") || strings.HasSuffix(i.Region, "0000") {
			return fmt.Errorf("a regulator of a prefecture needs its region, such as 650100, and %s has %q", i, i.Region)
		}
	default:
		return fmt.Errorf("a regulator needs its level: national, province or prefecture")
	}
	return nil
}

// Scope is what an identity may see of the record: everything that matches all non-empty
// fields. With None it is nothing.
type Scope struct {
	None     bool
	Operator string // the incidents of this operator
	Desk     string // this desk's escalations and their incidents
	Region   string // incidents at facilities in this region, …
	Sector   string // … and of this sector
}

// IsAll reports whether everything may be seen.
func (s Scope) IsAll() bool { return s == Scope{} }

// Scope returns what the identity may see.
func (i Identity) Scope() Scope {
	if i.ID == "" && i.Role != Trial || i.Role == Regulator && i.Level == "" {
		return Scope{None: true} // an empty field would mean everything
	}
	switch i.Role {
	case Operator:
		return Scope{Operator: i.ID}
	case Desk:
		return Scope{Desk: i.ID}
	case Regulator:
		return Scope{Region: i.Region, Sector: i.Sector}
	case Admin, Trial, Service:
		return Scope{}
	}
	return Scope{None: true}
}

type key struct{}

// With returns a context of work for an identity.
func With(ctx context.Context, caller Identity) context.Context {
	return context.WithValue(ctx, key{}, caller)
}

// Of returns the identity that work is done for; without one, the zero identity, which
// has no permissions.
func Of(ctx context.Context) Identity {
	caller, _ := ctx.Value(key{}).(Identity)
	return caller
}

// Subject returns the subject on which an identity's requests to an endpoint arrive,
// and which thereby authenticates the caller: no client can send to it; only the import
// of its own account maps what it sends to the endpoint.
func (i Identity) Subject(endpoint string) string {
	return callerPrefix + string(i.Role) + "." + event.Token(i.ID) + "." + endpoint
}

const callerPrefix = "by."

// RequestWildcard returns a wildcard for the subjects that Subject makes for an endpoint.
func RequestWildcard(endpoint string) string { return callerPrefix + "*.*." + endpoint }

// ParseSubject parses a subject made by Subject.
func ParseSubject(subject string) (role Role, token, endpoint string, ok bool) {
	rest, ok := strings.CutPrefix(subject, callerPrefix)
	if !ok {
		return "", "", "", false
	}
	parts := strings.SplitN(rest, ".", 3)
	if len(parts) != 3 {
		return "", "", "", false
	}
	return Role(parts[0]), parts[1], parts[2], true
}
