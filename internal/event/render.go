package event

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// renderer is the body of a record that holds JSON which was read already: it puts
// that in its place as it is, where an encoder would read it again, twice.
type renderer interface{ render() ([]byte, error) }

func (a *Accepted) render() ([]byte, error) {
	type plain Accepted
	head, err := json.Marshal(struct {
		*plain
		Event *struct{} `json:"event,omitempty"`
	}{plain: (*plain)(a)})
	if err != nil {
		return nil, err
	}
	raw, err := Compact(a.Event)
	if err != nil {
		return nil, err
	}
	return join(head, "event", raw), nil
}

// parser is the inverse of renderer: of what holds JSON, that is left as it is.
type parser interface{ parse(raw []byte) error }

func (a *Accepted) parse(raw []byte) error {
	return members(raw, func(name []byte, value json.RawMessage) (err error) {
		switch string(name) {
		case `"operator"`:
			a.Operator, err = textOf(value)
		case `"incident"`:
			a.Incident, err = textOf(value)
		case `"report"`:
			a.Report, err = textOf(value)
		case `"source"`:
			a.Source, err = textOf(value)
		case `"type"`:
			a.Type, err = textOf(value)
		case `"sentAt"`:
			err = json.Unmarshal(value, &a.SentAt)
		case `"receivedAt"`:
			err = a.ReceivedAt.UnmarshalJSON(value)
		case `"digest"`:
			a.Digest, err = textOf(value)
		case `"late"`:
			err = json.Unmarshal(value, &a.Late)
		case `"warnings"`:
			err = json.Unmarshal(value, &a.Warnings)
		case `"event"`:
			a.Event = value
		}
		return err
	})
}

func (g *Graded) render() ([]byte, error) {
	type plain Graded
	head, err := json.Marshal(struct {
		*plain
		State *struct{} `json:"state,omitempty"`
	}{plain: (*plain)(g)})
	if err != nil {
		return nil, err
	}
	state, err := g.State.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return join(head, "state", state), nil
}

// join appends a member to an object that has others.
func join(object []byte, name string, value []byte) []byte {
	out := slices.Grow(object[:len(object)-1], len(name)+len(value)+5)
	out = append(append(append(out, `,"`...), name...), `":`...)
	return append(append(out, value...), '}')
}

// MarshalJSON writes what is known, in the order of its paths. A fact that was said
// by the last report that upholds the incident, as most are, goes without its stamp,
// which is that of "reported".
func (s State) MarshalJSON() ([]byte, error) {
	type plain State
	rest, err := json.Marshal(struct {
		plain
		Fields *struct{} `json:"fields,omitempty"`
	}{plain: plain(s)})
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(rest)+1024), `{"fields":{`...)
	for _, path := range slices.Sorted(maps.Keys(s.Fields)) {
		f := s.Fields[path]
		if out[len(out)-1] != '{' {
			out = append(out, ',')
		}
		out = append(append(appendQuoted(out, path), `:{"value":`...), orNone(f.Value)...)
		if f.Record != s.Reported.Record || !f.At.Equal(s.Reported.At) {
			stamp, err := json.Marshal(struct {
				At     time.Time `json:"at"`
				Record uint64    `json:"record"`
			}{f.At, f.Record})
			if err != nil {
				return nil, err
			}
			out = append(append(out, ','), stamp[1:len(stamp)-1]...)
		}
		out = append(out, '}')
	}
	if out = append(out, '}'); len(rest) > len("{}") {
		out = append(append(out, ','), rest[1:len(rest)-1]...)
	}
	return append(out, '}'), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *State) UnmarshalJSON(raw []byte) error {
	type plain State
	if err := json.Unmarshal(raw, (*plain)(s)); err != nil {
		return err
	}
	for path, f := range s.Fields {
		if f.Record == 0 && f.At.IsZero() {
			f.At, f.Record = s.Reported.At, s.Reported.Record
			s.Fields[path] = f
		}
	}
	return nil
}

func orNone(value json.RawMessage) json.RawMessage {
	if len(value) == 0 {
		return json.RawMessage("null")
	}
	return value
}

// appendQuoted appends a text as JSON.
func appendQuoted(out []byte, text string) []byte {
	if isPlain(text) {
		return append(append(append(out, '"'), text...), '"')
	}
	raw, err := json.Marshal(text)
	if err != nil {
		panic(err) // every string can be encoded
	}
	return append(out, raw...)
}

// Compact is well-formed JSON without space between its tokens.
func Compact(raw json.RawMessage) (json.RawMessage, error) {
	if isCompact(raw) {
		return raw, nil
	}
	var out bytes.Buffer
	err := json.Compact(&out, raw)
	return out.Bytes(), err
}

func isCompact(raw []byte) bool {
	c := cutter{raw: raw, whole: true}
	for c.whole && c.at < len(raw) {
		switch {
		case c.next() == '"':
			c.text()
		case strings.IndexByte(jsonSpace, c.next()) >= 0:
			return false
		default:
			c.at++
		}
	}
	return c.whole
}
