// Package identity says who may speak and what each may: one table, which every
// door holds, over NATS and over HTTP alike.
//
// It does no I/O. Who somebody is, is found out by what proves it: a credential of
// NATS, a token, a certificate (package credential).
//
// What is learned of incidents serves the security of networks and nothing else,
// and must not leak (cn-cii-2021 art. 30, 46): so nobody may anything that a line
// of the table does not say.
package identity

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/event"
)

// Role is what somebody is to the product.
type Role string

// The roles.
const (
	Operator  Role = "operator"  // reports, and sees its own incidents
	Desk      Role = "desk"      // is told of what it is owed, and acknowledges that
	Regulator Role = "regulator" // asks, within its region and sector
	Admin     Role = "admin"     // runs the product
	// Trial is everybody who reaches a server without identities, which listens on
	// loopback only. Nobody has a credential of this role.
	Trial Role = "trial"
	// Service is the services themselves, in the account that is theirs.
	Service Role = "service"
)

// Roles are those that a credential may have.
var Roles = []Role{Operator, Desk, Regulator, Admin}

// Level is how high a regulator stands: how much of the country its region is.
type Level string

// The levels.
const (
	National   Level = "national"
	Province   Level = "province"
	Prefecture Level = "prefecture"
)

// Identity is somebody who may speak. The id of an operator or a desk is that of
// the register.
type Identity struct {
	Role   Role   `json:"role"`
	ID     string `json:"id"`
	Level  Level  `json:"level,omitempty"`  // of a regulator
	Region string `json:"region,omitempty"` // of a regulator below the national level: GB/T 2260
	Sector string `json:"sector,omitempty"` // of a regulator of one sector
	// Screens are those that a desk has: each follows the desk through a consumer of
	// its own.
	Screens []string `json:"screens,omitempty"`
}

// DefaultScreen is the screen of a desk whose credential names none.
const DefaultScreen = "default"

// MaxScreens bounds the screens of a desk.
const MaxScreens = 32

// Ours is the identity under which one service asks another.
var Ours = Identity{Role: Service, ID: "tocsin"}

// Anyone is the identity of those who reach a server without identities.
var Anyone = Identity{Role: Trial}

// String is ROLE/ID, as records name who did what.
func (i Identity) String() string {
	if i.Role == Trial {
		return string(Trial)
	}
	return string(i.Role) + "/" + i.ID
}

// IsZero reports whether it is nobody.
func (i Identity) IsZero() bool { return i.Role == "" }

var (
	plainID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	region  = regexp.MustCompile(`^[1-9][0-9]{5}$`)
)

// Check names what is wrong with an identity that somebody shall have. A regulator
// says its level, so that one whose region was forgotten is not one of the whole
// country.
func (i Identity) Check() error {
	switch {
	case !slices.Contains(Roles, i.Role):
		return fmt.Errorf("%q is no role: want operator, desk, regulator or admin", i.Role)
	case !plainID.MatchString(i.ID):
		return fmt.Errorf("%q is no id: want 1 to 64 letters, digits, - and _", i.ID)
	case i.Role != Regulator && (i.Level != "" || i.Region != "" || i.Sector != ""):
		return fmt.Errorf("a level, a region and a sector are of a regulator, not of %s", i)
	case i.Role == Desk:
		return i.checkScreens()
	case len(i.Screens) > 0:
		return fmt.Errorf("a screen is of a desk, not of %s", i)
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
			return fmt.Errorf("%q is no name for a screen: want 1 to 64 letters, digits, - and _", s)
		}
	}
	return nil
}

func (i Identity) checkLevel() error {
	if i.Region != "" && !region.MatchString(i.Region) {
		return fmt.Errorf("%q is no region: want six digits of GB/T 2260, such as 650000", i.Region)
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

// Sight is what of the record somebody may see: everything that has all of its
// parts that are not empty. With None it is nothing.
type Sight struct {
	None     bool
	Operator string // the incidents of this operator
	Desk     string // what this desk was told, and the incidents that it was told of
	Region   string // incidents at facilities in this region, …
	Sector   string // … and of this sector
}

// IsAll reports whether it is everything.
func (s Sight) IsAll() bool { return s == Sight{} }

// Sight is what the identity may see.
func (i Identity) Sight() Sight {
	if i.ID == "" && i.Role != Trial || i.Role == Regulator && i.Level == "" {
		return Sight{None: true} // an empty part of a sight would be everything
	}
	switch i.Role {
	case Operator:
		return Sight{Operator: i.ID}
	case Desk:
		return Sight{Desk: i.ID}
	case Regulator:
		return Sight{Region: i.Region, Sector: i.Sector}
	case Admin, Trial, Service:
		return Sight{}
	}
	return Sight{None: true}
}

type key struct{}

// With returns a context of what is done for somebody.
func With(ctx context.Context, who Identity) context.Context {
	return context.WithValue(ctx, key{}, who)
}

// Of returns for whom something is done; nobody, where nothing says so, and nobody
// may anything.
func Of(ctx context.Context) Identity {
	who, _ := ctx.Value(key{}).(Identity)
	return who
}

// Subject is where what an identity asks for arrives, and by whose word who asks: no
// client can send there, only what the import of its own account makes of what it
// sends to the door.
func (i Identity) Subject(door string) string {
	return askedBy + string(i.Role) + "." + event.Token(i.ID) + "." + door
}

const askedBy = "by."

// AskedBy matches a door's subjects as Subject makes them.
func AskedBy(door string) string { return askedBy + "*.*." + door }

// OfSubject takes apart what Subject makes.
func OfSubject(subject string) (role Role, token, door string, ok bool) {
	rest, ok := strings.CutPrefix(subject, askedBy)
	if !ok {
		return "", "", "", false
	}
	parts := strings.SplitN(rest, ".", 3)
	if len(parts) != 3 {
		return "", "", "", false
	}
	return Role(parts[0]), parts[1], parts[2], true
}
