package classifier

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// fold adds what a report says to what is known of its incident, and returns
// the paths of the facts that changed. A statement replaces an earlier one by
// the reports' own time, then by ledger order; so the order of folding does not
// matter, and a report that arrives late cannot undo a later one.
func fold(state event.State, seq uint64, a *event.Accepted) (event.State, []string, error) {
	fields, err := statements(a.Event)
	if err != nil {
		return state, nil, err
	}
	next := state
	next.Fields = maps.Clone(state.Fields)
	if next.Fields == nil {
		next.Fields = map[string]event.Field{}
	}
	stamp := event.Field{At: a.OwnTime(), Record: seq}
	if a.Type == event.TypeWithdrawal {
		w := stamp
		if w.Value, err = json.Marshal(withdrawal(fields)); err != nil {
			return state, nil, err
		}
		next.Withdrawn = later(w, next.Withdrawn)
	} else {
		next.Reported = later(stamp, next.Reported)
	}
	if a.Type == event.TypeFinal {
		next.Final = later(stamp, next.Final)
	}
	switch imported := string(fields["imported"]); {
	case imported == "true":
		next.Archived = true
	case imported == "false", a.Type == event.TypeInitial:
		next.Live = true
	}
	changed := []string{}
	for path, value := range fields {
		if notFacts[path] {
			continue
		}
		f := stamp
		old, known := next.Fields[path]
		f.Value = begun(path, value, old.Value, a.ReceivedAt)
		if known && !f.After(old) {
			continue
		}
		f.Value = bytes.Clone(f.Value) // and not the whole report with it
		next.Fields[path] = f
		if !bytes.Equal(orNull(old.Value), f.Value) {
			changed = append(changed, path)
		}
	}
	slices.Sort(changed)
	return next, changed, nil
}

// begun moves what is said to begin after the receipt back to it, or to where
// it began by what was known: nobody can know the future, and a sender's clock
// that runs ahead must not put off the moment at which desks are told, however
// often it says so. The report itself stands in its own record.
func begun(path string, value, known json.RawMessage, received time.Time) json.RawMessage {
	back := func(t, before *event.Times) bool {
		if t.Since == nil || !t.Since.After(received) {
			return false
		}
		t.Since = &received
		if before != nil && before.Since != nil && before.Until == nil && before.Since.Before(received) {
			t.Since = before.Since
		}
		return true
	}
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
				did = back(&list[i].Times, t) || did
			}
			return list, did
		})
	case "facts.siteUnreachable":
		return moved(value, known, func(s, before event.SiteUnreachable) (any, bool) {
			did := back(&s.Times, &before.Times)
			return s, did
		})
	case "facts.defacement":
		return moved(value, known, func(d, before event.Defacement) (any, bool) {
			did := back(&d.Times, &before.Times)
			return d, did
		})
	}
	return value
}

// moved reads a fact and what was known of it, and writes it anew where change
// has changed it.
func moved[T any](value, known json.RawMessage, change func(now, before T) (any, bool)) json.RawMessage {
	var now, before T
	if json.Unmarshal(value, &now) != nil {
		return value
	}
	_ = json.Unmarshal(known, &before) // nothing was known
	changed, did := change(now, before)
	if !did {
		return value
	}
	raw, err := json.Marshal(changed)
	if err != nil {
		return value // what was read can be written
	}
	return raw
}

// outdated are the paths of what a report says that is dated before what is
// known, and was not taken over.
func outdated(state event.State, seq uint64, a *event.Accepted) []string {
	fields, err := statements(a.Event)
	if err != nil {
		return nil
	}
	var out []string
	for path, value := range fields {
		if f, known := state.Fields[path]; known && f.Record != seq && !bytes.Equal(f.Value, value) {
			out = append(out, path)
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

// notFacts are the parts of a report that speak of the report itself.
var notFacts = map[string]bool{"containsNoStateSecrets": true, "reason": true, "duplicateOf": true, "imported": true}

// statements returns what a report's data says, by path: members of facts each
// by themselves, everything else whole.
func statements(raw json.RawMessage) (map[string]json.RawMessage, error) {
	raw, err := event.Compact(raw) // so that the same statement is the same bytes
	if err != nil {
		return nil, fmt.Errorf("the report: %w", err)
	}
	out := map[string]json.RawMessage{}
	fact := func(name string, value json.RawMessage) error {
		out["facts."+name] = value
		return nil
	}
	err = event.Members(raw, func(name string, data json.RawMessage) error {
		if name != "data" {
			return nil
		}
		return event.Members(data, func(name string, value json.RawMessage) error {
			if name == "facts" {
				return event.Members(value, fact)
			}
			out[name] = value
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("the report: %w", err)
	}
	return out, nil
}

func withdrawal(fields map[string]json.RawMessage) event.Withdrawal {
	var w event.Withdrawal
	for _, path := range []string{"reason", "cause", "other"} {
		if w.Reason == "" {
			_ = json.Unmarshal(fields[path], &w.Reason) // absent or null leaves it empty
		}
	}
	_ = json.Unmarshal(fields["duplicateOf"], &w.DuplicateOf)
	return w
}

func orNull(v json.RawMessage) json.RawMessage {
	if v == nil {
		return json.RawMessage("null")
	}
	return v
}
