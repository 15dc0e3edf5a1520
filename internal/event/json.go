package event

import (
	"errors"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// JSON has the options with which the types of this package and of package api are
// encoded and decoded. A tag and a nil list mean what they mean to encoding/json; names
// are compared exactly, maps are sorted, and JSON inside a value, such as a report, keeps
// its spelling but for the space between tokens. Where the options of encoding/json are
// needed, as for output that escapes HTML, package v1 of the library encodes these types:
// encoding/json itself does not call MarshalJSONTo.
var JSON = json.JoinOptions(
	json.Deterministic(true),
	json.FormatNilSliceAsNull(true),
	json.FormatNilMapAsNull(true),
	jsonv1.OmitEmptyWithLegacySemantics(true),
	jsontext.PreserveRawStrings(true),
	jsontext.AllowDuplicateNames(true), // what may be sent is decided before it is recorded
	jsontext.AllowInvalidUTF8(true),
)

// MarshalJSONTo writes the known facts.
func (s State) MarshalJSONTo(out *jsontext.Encoder) error {
	type plain State
	return json.MarshalEncode(out, &struct {
		Fields stateFields `json:"fields"`
		plain
	}{stateFields{&s}, plain(s)})
}

// stateFields are the facts of a state, sorted by path. A fact of the last report that
// upholds the incident, as most are, is written without its stamp, which is that of
// "reported".
type stateFields struct{ of *State }

// MarshalJSONTo writes the facts.
func (s stateFields) MarshalJSONTo(out *jsontext.Encoder) error {
	err := out.WriteToken(jsontext.BeginObject)
	for _, path := range slices.Sorted(maps.Keys(s.of.Fields)) {
		f := s.of.Fields[path]
		err = errors.Join(err, out.WriteToken(jsontext.String(path)))
		if f.Record == s.of.Reported.Record && f.At.Equal(s.of.Reported.At) {
			err = errors.Join(err, out.WriteToken(jsontext.BeginObject), out.WriteToken(jsontext.String("value")), json.MarshalEncode(out, f.Value), out.WriteToken(jsontext.EndObject))
		} else {
			err = errors.Join(err, json.MarshalEncode(out, &f))
		}
	}
	return errors.Join(err, out.WriteToken(jsontext.EndObject))
}

// UnmarshalJSONFrom reads what MarshalJSONTo writes.
func (s *State) UnmarshalJSONFrom(in *jsontext.Decoder) error {
	type plain State
	if err := json.UnmarshalDecode(in, (*plain)(s)); err != nil {
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
