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
	stamp := event.Field{At: ownTime(a), Record: seq}
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
		f.Value = begun(path, value, a.ReceivedAt)
		old, known := next.Fields[path]
		if known && !f.After(old) {
			continue
		}
		next.Fields[path] = f
		if !bytes.Equal(orNull(old.Value), f.Value) {
			changed = append(changed, path)
		}
	}
	slices.Sort(changed)
	return next, changed, nil
}

// begun moves what is said to begin after the receipt back to it: nobody can
// know it, and a sender's clock that runs ahead must not put off the moment at
// which desks are told. The report itself stands in its own record.
func begun(path string, value json.RawMessage, received time.Time) json.RawMessage {
	back := func(t *event.Times) bool {
		late := t.Since != nil && t.Since.After(received)
		if late {
			t.Since = &received
		}
		return late
	}
	var fact any
	moved := false
	switch path {
	case "facts.outage":
		var list []event.Outage
		if json.Unmarshal(value, &list) == nil {
			for i := range list {
				moved = back(&list[i].Times) || moved
			}
		}
		fact = list
	case "facts.siteUnreachable":
		var s event.SiteUnreachable
		moved = json.Unmarshal(value, &s) == nil && back(&s.Times)
		fact = s
	case "facts.defacement":
		var d event.Defacement
		moved = json.Unmarshal(value, &d) == nil && back(&d.Times)
		fact = d
	}
	if !moved {
		return value
	}
	raw, err := json.Marshal(fact)
	if err != nil {
		return value // what was read can be written
	}
	return raw
}

// ownTime is when the report says it was made, at most its receipt: a sender's
// clock that runs ahead must not outlive corrections.
func ownTime(a *event.Accepted) time.Time {
	if a.SentAt != nil && a.SentAt.Before(a.ReceivedAt) {
		return a.SentAt.UTC()
	}
	return a.ReceivedAt.UTC()
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
	var e struct {
		Data map[string]json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, fmt.Errorf("the report: %w", err)
	}
	out := make(map[string]json.RawMessage, len(e.Data))
	for name, value := range e.Data {
		if name != "facts" {
			out[name] = value
			continue
		}
		var facts map[string]json.RawMessage
		if err := json.Unmarshal(value, &facts); err != nil {
			return nil, fmt.Errorf("the report's facts: %w", err)
		}
		for fact, value := range facts {
			out["facts."+fact] = value
		}
	}
	for path, value := range out {
		var b bytes.Buffer
		if err := json.Compact(&b, value); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out[path] = b.Bytes()
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
