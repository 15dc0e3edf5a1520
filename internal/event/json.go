package event

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// JSON has the options with which the types of this package and of package api are
// encoded and decoded. A tag and a nil list mean what they mean to encoding/json, so that
// both write the same members; names are compared exactly, maps are sorted, and JSON
// inside a value, such as a report, keeps its spelling but for the space between tokens.
var JSON = json.JoinOptions(
	json.Deterministic(true),
	json.FormatNilSliceAsNull(true),
	json.FormatNilMapAsNull(true),
	jsonv1.OmitEmptyWithLegacySemantics(true),
	jsontext.PreserveRawStrings(true),
	jsontext.AllowDuplicateNames(true), // what may be sent is decided before it is recorded
	jsontext.AllowInvalidUTF8(true),
)

// factJSON is a fact without its stamp where that is the stamp of "reported".
type factJSON struct {
	Value  jsontext.Value `json:"value"`
	At     *time.Time     `json:"at,omitempty"`
	Record *uint64        `json:"record,omitempty"`
}

// MarshalJSON writes the known facts. A fact of the last report that upholds the
// incident, as most are, is written without its stamp, which is that of "reported".
func (s State) MarshalJSON() ([]byte, error) {
	fields := make(map[string]factJSON, len(s.Fields))
	for path, f := range s.Fields {
		out := factJSON{Value: jsontext.Value(f.Value)}
		if f.Record != s.Reported.Record || !f.At.Equal(s.Reported.At) {
			out.At, out.Record = &f.At, &f.Record
		}
		fields[path] = out
	}
	type plain State
	return json.Marshal(struct {
		Fields map[string]factJSON `json:"fields"`
		plain
	}{fields, plain(s)}, JSON)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *State) UnmarshalJSON(raw []byte) error {
	type plain State
	if err := json.Unmarshal(raw, (*plain)(s), JSON); err != nil {
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
