package grading

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// fold adds a report's statements to the known facts of its incident, and returns the
// paths of the facts that changed. A statement replaces an earlier one by the reports'
// own time, then by ledger order; so the order of folding does not matter, and a report
// that arrives late cannot undo a later one.
func fold(state event.State, seq uint64, a *event.Accepted) (event.State, []string, error) {
	said, err := statements(a.Event)
	if err != nil {
		return state, nil, err
	}
	next := state
	if next.Fields = maps.Clone(state.Fields); next.Fields == nil {
		next.Fields = make(map[string]event.Field, len(said))
	}
	stamp := event.Field{At: a.OwnTime(), Record: seq}
	if a.Type == event.TypeWithdrawal {
		w := stamp
		if w.Value, err = json.Marshal(withdrawal(said)); err != nil {
			return state, nil, err
		}
		next.Withdrawn = later(w, next.Withdrawn)
	} else {
		next.Reported = later(stamp, next.Reported)
	}
	if a.Type == event.TypeFinal {
		next.Final = later(stamp, next.Final)
	}
	switch imported := string(said.of("imported")); {
	case imported == "true":
		next.Archived = true
	case imported == "false", a.Type == event.TypeInitial:
		next.Live = true
	}
	changed := make([]string, 0, len(said))
	for _, s := range said {
		path := s.path
		if notFacts[path] {
			continue
		}
		f := stamp
		old, known := next.Fields[path]
		f.Value = begun(path, event.StrictTimes(path, s.value), old.Value, a.ReceivedAt)
		if known && !f.After(old) {
			continue
		}
		f.Value = bytes.Clone(f.Value) // do not retain the whole report
		next.Fields[path] = f
		if !bytes.Equal(orNull(old.Value), f.Value) {
			changed = append(changed, path)
		}
	}
	slices.Sort(changed)
	return next, changed, nil
}

// begun moves a beginning that is later than the receipt back to the receipt, or to the
// beginning known before: nobody can know the future, and a sender's clock that runs
// ahead must not postpone the moment at which desks are told, however often it is
// repeated. The report's own record is unchanged.
func begun(path string, value, known json.RawMessage, received time.Time) json.RawMessage {
	switch path {
	case "facts.outage":
		return moved(value, known, func(list, before []event.Outage) (any, bool) {
			did := false
			for i := range list {
				j := slices.IndexFunc(before, func(b event.Outage) bool { return b.Facility == list[i].Facility && b.Scope == list[i].Scope })
				var t *event.Times
				if j >= 0 {
					t = &before[j].Times
				}
				did = back(&list[i].Times, t, received) || did
			}
			return list, did
		})
	case "facts.siteUnreachable":
		return moved(value, known, func(s, before event.SiteUnreachable) (any, bool) {
			did := back(&s.Times, &before.Times, received)
			return s, did
		})
	case "facts.defacement":
		return moved(value, known, func(d, before event.Defacement) (any, bool) {
			did := back(&d.Times, &before.Times, received)
			return d, did
		})
	}
	return value
}

// back moves a beginning that is after the receipt, and reports whether it did.
func back(t, before *event.Times, received time.Time) bool {
	if t.Since == nil || !t.Since.After(received) {
		return false
	}
	t.Since = &received
	if before != nil && before.Since != nil && before.Until == nil && before.Since.Before(received) {
		t.Since = before.Since
	}
	return true
}

// moved decodes a fact and its known value, and re-encodes it if change changed it.
func moved[T any](value, known json.RawMessage, change func(now, before T) (any, bool)) json.RawMessage {
	var now, before T
	if json.Unmarshal(value, &now) != nil {
		return value
	}
	_ = json.Unmarshal(known, &before) // may be empty: no value known
	changed, did := change(now, before)
	if !did {
		return value
	}
	raw, err := json.Marshal(changed)
	if err != nil {
		return value // cannot happen: it was just decoded
	}
	return raw
}

// outdated returns the paths of a report's statements that were not taken over, because
// they are dated before the known ones.
func outdated(state event.State, seq uint64, a *event.Accepted) []string {
	said, err := statements(a.Event)
	if err != nil {
		return nil
	}
	var out []string
	for _, s := range said {
		if f, known := state.Fields[s.path]; known && f.Record != seq && !bytes.Equal(f.Value, s.value) {
			out = append(out, s.path)
		}
	}
	slices.Sort(out)
	return out
}

func later(a, b event.Field) event.Field {
	if a.After(b) {
		return a
	}
	return b
}

// notFacts are the members of a report that describe the report itself.
var notFacts = map[string]bool{"containsNoStateSecrets": true, "reason": true, "duplicateOf": true, "imported": true}

// statement is one member of a report.
type statement struct {
	path  string
	value json.RawMessage
}

type said []statement

// of returns the value under a path, or nil.
func (s said) of(path string) json.RawMessage {
	for _, st := range s {
		if st.path == path {
			return st.value
		}
	}
	return nil
}

// statements splits a report's data by path: each member of facts separately, every other
// member whole.
func statements(raw json.RawMessage) (said, error) {
	raw, err := event.Compact(raw) // so that equal statements have equal bytes
	if err != nil {
		return nil, fmt.Errorf("the report: %w", err)
	}
	out := make(said, 0, 24)
	fact := func(name string, value json.RawMessage) error {
		out = append(out, statement{"facts." + name, value})
		return nil
	}
	data, err := event.Member(raw, "data")
	if err == nil && data != nil {
		err = event.Members(data, func(name string, value json.RawMessage) error {
			if name == "facts" {
				return event.Members(value, fact)
			}
			out = append(out, statement{name, value})
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("the report: %w", err)
	}
	return out, nil
}

func withdrawal(s said) event.Withdrawal {
	var w event.Withdrawal
	for _, path := range []string{"reason", "cause", "other"} {
		if w.Reason == "" {
			_ = json.Unmarshal(s.of(path), &w.Reason) // absent or null leaves it empty
		}
	}
	_ = json.Unmarshal(s.of("duplicateOf"), &w.DuplicateOf)
	return w
}

func orNull(v json.RawMessage) json.RawMessage {
	if v == nil {
		return json.RawMessage("null")
	}
	return v
}
