package register

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/statute"
	"github.com/tocsin-project/tocsin/schemas"
)

// maxBytes is more than a register of every facility of a country needs.
const maxBytes = 64 << 20

// schema is what a register may contain: everything but what must differ from or agree
// with something else in it.
var schema = sync.OnceValue(func() *document.Schema {
	return document.MustCompile(schemas.Registers, "register.v1.json", map[string]func(string) error{
		"duration": func(s string) error { _, err := event.ParseDuration(s); return err },
		"zone":     func(s string) error { _, err := statute.ParseZone(s); return err },
	})
})

// Decode reads a register strictly and checks it without the packs. All faults are
// reported at once. CheckDuties checks it against the packs.
func Decode(raw []byte) (*Register, error) {
	sum := sha256.Sum256(raw)
	r := &Register{ClockTolerance: event.Duration(5 * time.Minute), Raw: raw, SHA256: hex.EncodeToString(sum[:])}
	doc := document.Read(raw, maxBytes, schema(), r)
	if r.Remind == nil {
		r.Remind = []float64{0.5, 0.9}
	}
	r.index(doc)
	if faults := doc.Faults(); len(faults) > 0 {
		return nil, fault.Invalid("register", faults)
	}
	return r, nil
}
