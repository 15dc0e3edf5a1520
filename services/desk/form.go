package desk

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/schemas"
)

const (
	maxActBytes = 32 << 10 // of an act as sent
	maxYear     = 2200     // as for the times of a report, which are stored in nanoseconds
)

// schema is what an act may contain. Which kinds there are is the table of record kinds;
// what must agree with the register, the ledger and the clock is checked by act.
var schema = sync.OnceValue(func() *document.Schema {
	return document.MustCompile(schemas.Acts, "act.v1.json", map[string]func(string) error{
		"date-time": func(s string) error {
			if new(time.Time).UnmarshalText([]byte(s)) != nil {
				return errors.New("want a date and time with a zone, such as 2026-03-02T09:00:00+08:00")
			}
			return nil
		},
		"report-path": event.CheckReportPath,
	})
})

// form collects the faults of an act's own contents.
type form struct {
	act        event.DeskAct
	signing    api.Signing
	unreadable bool // it could not be read to the end
	faults     []fault.Detail
}

// add notes the first fault of a path.
func (f *form) add(path, format string, args ...any) {
	if slices.ContainsFunc(f.faults, func(d fault.Detail) bool { return d.Path == path }) {
		return
	}
	f.faults = append(f.faults, fault.Detail{Path: path, Message: fmt.Sprintf(format, args...)})
}

// readAct reads an act strictly and checks what needs no register, ledger or clock. It
// ignores a stamp from the sender: the server sets it.
func readAct(raw []byte) *form {
	f := &form{}
	if len(raw) > maxActBytes {
		f.unreadable = true
		f.add("$", "has %d bytes: an act has at most %d", len(raw), maxActBytes)
		return f
	}
	var in struct {
		event.DeskAct
		api.Signing
		At json.RawMessage `json:"at"` // ignored
	}
	faults, ok := document.ReadJSON(raw, schema(), &in)
	for _, d := range faults {
		f.add(d.Path, "%s", d.Message)
	}
	if f.unreadable = !ok; !ok {
		return f
	}
	f.act, f.signing = in.DeskAct, in.Signing
	a := &f.act
	f.checkKind()
	if a.Kind == event.KindTransferred && a.To != "" && a.To == a.Desk {
		f.add("$.to", "is the desk itself")
	}
	if a.DueAt != nil {
		due := a.DueAt.UTC()
		a.DueAt = &due // so that equal instants give equal acts
		if due.Year() < 1970 || due.Year() > maxYear {
			f.add("$.dueAt", "must lie between the years 1970 and %d", maxYear)
			a.DueAt = nil // it may have no JSON form
		}
	}
	return f
}

// checkKind checks that the act is one, and that it has no members that only other kinds
// have.
func (f *form) checkKind() {
	a := f.act
	var names []string
	for _, k := range event.Kinds {
		if !k.Act {
			continue
		}
		if names = append(names, k.Name); k.Name != a.Kind {
			continue
		}
		for member, given := range map[string]bool{"items": a.Items != nil, "dueAt": a.DueAt != nil, "grade": a.Grade != event.Ungraded, "to": a.To != ""} {
			if given && !slices.Contains(k.ActMembers, member) {
				f.add("$."+member, "has no meaning where the kind is %s", k.Name)
			}
		}
		return
	}
	f.add("$.kind", "want one of %s", strings.Join(names, ", "))
}
