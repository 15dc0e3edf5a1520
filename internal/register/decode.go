package register

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// maxBytes is more than a register of every facility of a country needs.
const maxBytes = 64 << 20

// Decode reads a register strictly and checks it without the packs. All faults are
// reported at once. CheckDuties checks it against the packs.
func Decode(raw []byte) (*Register, error) {
	r := &Register{Raw: raw, Remind: []float64{0.5, 0.9}, ClockTolerance: event.Duration(5 * time.Minute)} // the house's defaults
	var faults []fault.Detail
	root, ok := document.Parse(raw, maxBytes, &faults)
	if !ok {
		return nil, fault.Invalid("register", faults)
	}
	r.read(root)
	sum := sha256.Sum256(raw)
	r.SHA256 = hex.EncodeToString(sum[:])
	unreadable := make(map[string]bool, len(faults))
	for _, d := range faults {
		unreadable[d.Path] = true
		if list, _, ok := strings.Cut(d.Path, "["); ok {
			unreadable[list] = true
		}
	}
	own := r.index()
	document.Locate(raw, own)
	for _, d := range own {
		if !unreadable[d.Path] { // otherwise it would be reported as missing as well
			faults = append(faults, d)
		}
	}
	if len(faults) > 0 {
		return nil, fault.Invalid("register", faults)
	}
	return r, nil
}

func (r *Register) read(v document.Value) {
	v.Fields(document.Fields{
		"acknowledge":    into(&r.Acknowledge, duration),
		"fallback":       into(&r.Fallback, document.Value.Text),
		"remind":         into(&r.Remind, listOf(document.Value.Number)),
		"clockTolerance": into(&r.ClockTolerance, duration),
		"operators":      into(&r.Operators, listOf(readOperator)),
		"desks":          into(&r.Desks, listOf(readDesk)),
	})
}

func readName(v document.Value) (n Name) {
	v.Fields(document.Fields{
		"zh": into(&n.ZH, document.Value.Text),
		"en": into(&n.EN, document.Value.Text),
	})
	return n
}

func readOperator(v document.Value) (o Operator) {
	v.Fields(document.Fields{
		"id":         into(&o.ID, document.Value.Text),
		"name":       into(&o.Name, readName),
		"level":      into(&o.Level, document.Value.Text),
		"central":    into(&o.Central, document.Value.Bool),
		"office":     into(&o.Office, document.Value.Text),
		"facilities": into(&o.Facilities, listOf(readFacility)),
	})
	return o
}

func readFacility(v document.Value) (f Facility) {
	v.Fields(document.Fields{
		"id":         into(&f.ID, document.Value.Text),
		"name":       into(&f.Name, readName),
		"sector":     into(&f.Sector, document.Value.Text),
		"region":     into(&f.Region, document.Value.Text),
		"cii":        into(&f.CII, document.Value.Bool),
		"protection": into(&f.Protection, document.Value.Text),
		"classified": into(&f.Classified, document.Value.Bool),
	})
	return f
}

func readDesk(v document.Value) (d Desk) {
	v.Fields(document.Fields{
		"id":          into(&d.ID, document.Value.Text),
		"name":        into(&d.Name, readName),
		"role":        into(&d.Role, document.Value.Text),
		"level":       into(&d.Level, document.Value.Text),
		"region":      into(&d.Region, document.Value.Text),
		"sector":      into(&d.Sector, document.Value.Text),
		"languages":   into(&d.Languages, listOf(document.Value.Text)),
		"acknowledge": into(&d.Acknowledge, duration),
		"next":        into(&d.Next, document.Value.Text),
		"designated":  into(&d.Designated, document.Value.Bool),
		"grades":      into(&d.Grades, document.Value.Bool),
		"forward":     into(&d.Forward, document.Value.Text),
		"authority":   into(&d.Authority, document.Value.Text),
	})
	return d
}

// into reads a value into a field.
func into[T any](field *T, read func(document.Value) T) func(document.Value) {
	return func(v document.Value) { *field = read(v) }
}

// listOf reads every item of a list.
func listOf[T any](read func(document.Value) T) func(document.Value) []T {
	return func(v document.Value) (list []T) {
		for _, item := range v.Items() {
			list = append(list, read(item))
		}
		return list
	}
}

// duration reads an ISO 8601 duration.
func duration(v document.Value) event.Duration {
	before := v.Faults()
	text := v.Text()
	if v.Faults() > before {
		return 0
	}
	d, err := event.ParseDuration(text)
	if err != nil {
		v.Fail("%v", err)
	}
	return event.Duration(d)
}
