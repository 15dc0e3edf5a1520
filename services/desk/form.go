package desk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// Bounds of an act as sent. An answer that lists every fault must fit a message.
const (
	maxActBytes = 32 << 10
	maxMembers  = 100
	maxID       = 200  // characters
	maxReason   = 2000 // characters
	maxYear     = 2200 // as for the times of a report, which are stored in nanoseconds
)

// form collects the faults of an act's own contents.
type form struct {
	act    event.DeskAct
	said   api.Signing
	given  map[string]bool // the members that have a value
	broken bool            // it could not be read to the end
	faults []fault.Detail
}

// add notes the first fault of a path. The root may have several: it is the path of all
// unknown members.
func (f *form) add(path, format string, args ...any) {
	if path != "$" && slices.ContainsFunc(f.faults, func(d fault.Detail) bool { return d.Path == path }) {
		return
	}
	f.faults = append(f.faults, fault.Detail{Path: path, Message: fmt.Sprintf(format, args...)})
}

// readAct reads an act strictly and checks what needs no register, ledger or clock. It
// ignores a stamp from the sender: the server sets it.
func readAct(raw []byte) *form {
	f := &form{given: map[string]bool{}}
	var err error
	switch {
	case len(raw) > maxActBytes:
		err = fmt.Errorf("it has %d bytes, and at most %d are taken", len(raw), maxActBytes)
	case !utf8.Valid(raw):
		err = errors.New("it is not UTF-8")
	default:
		err = f.members(raw)
	}
	if err != nil {
		f.broken, f.faults = true, nil
		f.add("$", "is not an act of a desk: %v", err)
		return f
	}
	f.check()
	return f
}

// members reads the members one by one, so that every unknown, repeated or mistyped one
// is reported.
func (f *form) members(raw []byte) error {
	a := &f.act
	var stamp json.RawMessage
	known := map[string]struct {
		into any
		want string
	}{
		"kind": {&a.Kind, "a string"}, "id": {&a.ID, "a string"}, "desk": {&a.Desk, "a string"},
		"operator": {&a.Operator, "a string"}, "incident": {&a.Incident, "a string"},
		"officer": {&a.Officer, "a string"}, "reason": {&a.Reason, "a string"}, "to": {&a.To, "a string"},
		"log": {&f.said.Log, "a string"}, "signedAt": {&f.said.SignedAt, "a date and time with a zone, such as 2026-03-02T09:00:00+08:00"},
		"at": {&stamp, ""}, "items": {&a.Items, "a list of strings"}, "grade": {&a.Grade, "the id of a grade, such as major"},
		"dueAt": {&a.DueAt, "a date and time with a zone, such as 2026-03-02T09:00:00+08:00"},
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errors.New("want a JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		name, _ := t.(string) // the decoder accepts nothing else
		m, ok := known[name]
		switch {
		case len(seen) == maxMembers:
			return fmt.Errorf("it has more than %d members", maxMembers)
		case seen[name]:
			f.add("$", "holds %q twice", name)
		case !ok:
			f.add("$", "holds %q, which no act has", name)
		case json.Unmarshal(value, m.into) != nil:
			f.add("$."+name, "want %s", m.want)
		default:
			f.given[name] = string(value) != "null"
		}
		seen[name] = true
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something stands behind it")
	}
	return nil
}

// check checks that the act has the members that its kind needs, and no others.
func (f *form) check() {
	a := &f.act
	for _, m := range []struct{ name, value string }{{"desk", a.Desk}, {"operator", a.Operator}, {"incident", a.Incident}} {
		if m.value == "" {
			f.add("$."+m.name, "is required")
		}
	}
	switch {
	case strings.TrimSpace(a.ID) == "":
		f.add("$.id", "is required: a name for this act, so that sending it again changes nothing")
	case utf8.RuneCountInString(a.ID) > maxID:
		f.add("$.id", "has more than %d characters", maxID)
	case strings.ContainsFunc(a.ID, unicode.IsControl):
		f.add("$.id", "holds characters that cannot be shown")
	}
	if why := badOfficer(a.Officer); why != "" {
		f.add("$.officer", "%s", why)
	}
	f.checkReason()
	f.checkKind()
	switch a.Kind {
	case event.KindAsked:
		f.checkItems()
		if a.DueAt == nil {
			f.add("$.dueAt", "is required: until when the operator is to answer")
		}
	case event.KindDetermined:
		if a.Grade == event.Ungraded {
			f.add("$.grade", "is required: one of especially-grave, major, relatively-large and general")
		}
	case event.KindTransferred:
		switch a.To {
		case "":
			f.add("$.to", "is required: the competent desk")
		case a.Desk:
			f.add("$.to", "is the desk itself")
		}
	}
	if a.DueAt != nil {
		due := a.DueAt.UTC()
		a.DueAt = &due // so that equal instants give equal acts
		if due.Year() < 1970 || due.Year() > maxYear {
			f.add("$.dueAt", "must lie between the years 1970 and %d", maxYear)
			a.DueAt = nil // it may have no JSON form
		}
	}
}

func (f *form) checkKind() {
	var names []string
	for _, k := range event.Kinds {
		if !k.Act {
			continue
		}
		if names = append(names, k.Name); k.Name != f.act.Kind {
			continue
		}
		for _, m := range []string{"items", "dueAt", "grade", "to"} {
			if f.given[m] && !slices.Contains(k.ActMembers, m) {
				f.add("$."+m, "says nothing where the kind is %s", k.Name)
			}
		}
		return
	}
	f.add("$.kind", "want one of %s", strings.Join(names, ", "))
}

func (f *form) checkReason() {
	reason := f.act.Reason
	switch {
	case strings.TrimSpace(reason) == "" && f.act.Kind != event.KindConfirmed:
		f.add("$.reason", "is required")
	case utf8.RuneCountInString(reason) > maxReason:
		f.add("$.reason", "has more than %d characters", maxReason)
	case strings.ContainsFunc(reason, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' }):
		f.add("$.reason", "holds characters that cannot be shown")
	}
}

func (f *form) checkItems() {
	switch n := len(f.act.Items); {
	case n == 0:
		f.add("$.items", "is required: what the operator is to tell, such as cause or facts.directLoss")
	case n > len(event.ReportPaths):
		f.add("$.items", "has %d entries; a report tells %d facts", n, len(event.ReportPaths))
		return
	}
	for i, item := range f.act.Items {
		switch {
		case !slices.Contains(event.ReportPaths, item):
			f.add(fmt.Sprintf("$.items[%d]", i), "no report has %q: want paths such as cause or facts.directLoss", item)
		case slices.Index(f.act.Items, item) < i:
			f.add(fmt.Sprintf("$.items[%d]", i), "%q is used twice", item)
		}
	}
}
