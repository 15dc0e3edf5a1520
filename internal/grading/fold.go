package grading

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/event"
)

// fold adds a report's statements to the known facts of its incident, and returns the
// paths of the facts that changed. A statement replaces an earlier one by the reports'
// own time, then by ledger order; so the order of folding does not matter, and a report
// that arrives late cannot undo a later one.
func fold(state event.State, seq uint64, a *event.Accepted) (event.State, []string, error) {
	stated, err := statementsOf(a.Event)
	if err != nil {
		return state, nil, err
	}
	next := state
	if next.Fields = maps.Clone(state.Fields); next.Fields == nil {
		next.Fields = make(map[string]event.Field, len(stated))
	}
	stamp := event.Field{At: a.OwnTime(), Record: seq}
	if a.Type == event.TypeWithdrawal {
		w := stamp
		if w.Value, err = json.Marshal(withdrawal(stated), event.JSON); err != nil {
			return state, nil, err
		}
		next.Withdrawn = later(w, next.Withdrawn)
	} else {
		next.Reported = later(stamp, next.Reported)
	}
	if a.Type == event.TypeFinal {
		next.Final = later(stamp, next.Final)
	}
	next.Stages = withStages(state.Stages, stated["stages"], a.ReceivedAt)
	switch imported := string(stated["imported"]); {
	case imported == "true":
		next.Archived = true
	case imported == "false", a.Type == event.TypeInitial:
		next.Live = true
	}
	changed := make([]string, 0, len(stated))
	for path, value := range stated {
		if notFacts[path] {
			continue
		}
		f := stamp
		old, known := next.Fields[path]
		f.Value = capBeginning(path, event.StrictTimes(path, value), old.Value, a.ReceivedAt)
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

// withStages adds the stages that a report says it is, which count from its receipt.
func withStages(known map[string]event.Stage, said jsontext.Value, at time.Time) map[string]event.Stage {
	var stages []string
	if json.Unmarshal(said, &stages, event.JSON) != nil || len(stages) == 0 {
		return known // absent or null
	}
	out := maps.Clone(known)
	if out == nil {
		out = make(map[string]event.Stage, len(stages))
	}
	for _, name := range stages {
		s, again := out[name]
		if !again || at.Before(s.First) {
			s.First = at
		}
		if at.After(s.Last) {
			s.Last = at
		}
		out[name] = s
	}
	return out
}

// capBeginning moves a beginning that is later than the receipt back to the receipt, or to the
// beginning known before: nobody can know the future, and a sender's clock that runs
// ahead must not postpone the moment at which desks are told, however often it is
// repeated. The report's own record is unchanged.
func capBeginning(path string, value, known jsontext.Value, received time.Time) jsontext.Value {
	switch path {
	case "facts.outage":
		return rewrite(value, known, func(list, before []event.Outage) (any, bool) {
			did := false
			for i := range list {
				j := slices.IndexFunc(before, func(b event.Outage) bool { return b.Facility == list[i].Facility && b.Scope == list[i].Scope })
				var t *event.Times
				if j >= 0 {
					t = &before[j].Times
				}
				did = moveBeginning(&list[i].Times, t, received) || did
			}
			return list, did
		})
	case "facts.siteUnreachable":
		return rewrite(value, known, func(s, before event.SiteUnreachable) (any, bool) {
			did := moveBeginning(&s.Times, &before.Times, received)
			return s, did
		})
	case "facts.defacement":
		return rewrite(value, known, func(d, before event.Defacement) (any, bool) {
			did := moveBeginning(&d.Times, &before.Times, received)
			return d, did
		})
	}
	return value
}

// moveBeginning moves a beginning that is after the receipt, and reports whether it did.
func moveBeginning(t, before *event.Times, received time.Time) bool {
	if t.Since == nil || !t.Since.After(received) {
		return false
	}
	t.Since = &received
	if before != nil && before.Since != nil && before.Until == nil && before.Since.Before(received) {
		t.Since = before.Since
	}
	return true
}

// rewrite decodes a fact and its known value, and re-encodes it if change changed it.
func rewrite[T any](value, known jsontext.Value, change func(now, before T) (any, bool)) jsontext.Value {
	var now, before T
	if json.Unmarshal(value, &now, event.JSON) != nil {
		return value
	}
	_ = json.Unmarshal(known, &before, event.JSON) // may be empty: no value known
	changed, did := change(now, before)
	if !did {
		return value
	}
	raw, err := json.Marshal(changed, event.JSON)
	if err != nil {
		return value // cannot happen: it was just decoded
	}
	return raw
}

// outdated returns the paths of a report's statements that were not taken over, because
// they are dated before the known ones.
func outdated(state event.State, seq uint64, a *event.Accepted) []string {
	stated, err := statementsOf(a.Event)
	if err != nil {
		return nil
	}
	var out []string
	for path, value := range stated {
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

// notFacts are the members of a report that describe the report itself.
var notFacts = map[string]bool{"containsNoStateSecrets": true, "stages": true, "reason": true, "duplicateOf": true, "imported": true}

// statements are the members of a report's data by path: each member of facts separately
// ("facts.outage", "facts.named.clients"), every other member whole.
type statements map[string]jsontext.Value

// statementsOf reads the statements of an event, without space between their tokens, so
// that equal statements have equal bytes.
func statementsOf(report jsontext.Value) (statements, error) {
	report = report.Clone()
	err := report.Compact()
	said := make(statements, 24)
	in := jsontext.NewDecoder(bytes.NewBuffer(report), event.JSON)
	if err == nil {
		err = eachMember(in, func(name string) error {
			if name == "data" {
				return said.read(in, "")
			}
			return in.SkipValue()
		})
	}
	if err != nil {
		return nil, fmt.Errorf("the report: %w", err)
	}
	return said, nil
}

// read adds the members of the next value, and for those that group facts what is inside.
func (s statements) read(in *jsontext.Decoder, prefix string) error {
	return eachMember(in, func(name string) error {
		if path := prefix + name; path == "facts" || path == "facts.named" {
			return s.read(in, path+".")
		}
		value, err := in.ReadValue()
		s[prefix+name] = value.Clone()
		return err
	})
}

// eachMember calls read before the value of each member of the next object, and read
// consumes the value. Null has no members.
func eachMember(in *jsontext.Decoder, read func(name string) error) error {
	switch begin, err := in.ReadToken(); {
	case err != nil:
		return err
	case begin.Kind() == jsontext.KindNull:
		return nil
	case begin.Kind() != jsontext.KindBeginObject:
		return errors.New("not a JSON object")
	}
	var err error
	for err == nil && in.PeekKind() != jsontext.KindEndObject {
		var name jsontext.Token
		if name, err = in.ReadToken(); err == nil {
			err = read(name.String())
		}
	}
	if err == nil {
		_, err = in.ReadToken()
	}
	return err
}

func withdrawal(stated statements) event.Withdrawal {
	var w event.Withdrawal
	for _, path := range []string{"reason", "cause", "other"} {
		if w.Reason == "" {
			_ = json.Unmarshal(stated[path], &w.Reason, event.JSON) // absent or null leaves it empty
		}
	}
	_ = json.Unmarshal(stated["duplicateOf"], &w.DuplicateOf, event.JSON)
	return w
}

func orNull(v jsontext.Value) jsontext.Value {
	if v == nil {
		return jsontext.Value("null")
	}
	return v
}
