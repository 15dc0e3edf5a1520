package event

import (
	"encoding"
	"encoding/json"
	"strconv"
	"time"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// parser is the inverse of renderer. Values that hold JSON are kept as they are.
type parser interface{ parse(raw []byte) error }

// Parse is the inverse of Render.
func Parse(raw []byte, into any) error {
	if p, can := into.(parser); can {
		return p.parse(raw)
	}
	return json.Unmarshal(raw, into)
}

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
			a.SentAt, err = pointed[time.Time](value)
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

func (r *Receipt) parse(raw []byte) error {
	return members(raw, func(name []byte, value json.RawMessage) (err error) {
		switch string(name) {
		case `"status"`:
			r.Status, err = textOf(value)
		case `"operator"`:
			r.Operator, err = textOf(value)
		case `"incident"`:
			r.Incident, err = textOf(value)
		case `"report"`:
			r.Report, err = textOf(value)
		case `"source"`:
			r.Source, err = textOf(value)
		case `"type"`:
			r.Type, err = textOf(value)
		case `"record"`:
			r.Record, err = numberOf(value)
		case `"entry"`:
			r.Entry, err = pointed[evidence.Hash](value)
		case `"digest"`:
			r.Digest, err = textOf(value)
		case `"receivedAt"`:
			r.ReceivedAt, err = pointed[time.Time](value)
		case `"errors"`:
			err = json.Unmarshal(value, &r.Errors)
		case `"warnings"`:
			err = json.Unmarshal(value, &r.Warnings)
		case `"late"`:
			err = json.Unmarshal(value, &r.Late)
		case `"exercise"`:
			err = json.Unmarshal(value, &r.Exercise)
		case `"durability"`:
			r.Durability, err = textOf(value)
		case `"signed"`:
			r.Signed, err = signedOf(value)
		}
		return err
	})
}

func signedOf(raw []byte) (*evidence.SignedReceipt, error) {
	if string(raw) == "null" {
		return nil, nil
	}
	s := new(evidence.SignedReceipt)
	return s, members(raw, func(name []byte, value json.RawMessage) (err error) {
		switch string(name) {
		case `"format"`:
			s.Format, err = textOf(value)
		case `"nonce"`:
			err = json.Unmarshal(value, &s.Nonce)
		case `"key"`:
			s.Key, err = textOf(value)
		case `"signature"`:
			err = json.Unmarshal(value, &s.Signature)
		case `"index"`:
			s.Index, err = numberOf(value)
		case `"size"`:
			s.Size, err = numberOf(value)
		case `"path"`:
			err = json.Unmarshal(value, &s.Path)
		case `"certificate"`:
			s.Certificate, err = textOf(value)
		}
		return err
	})
}

// pointed reads a value that is written as text, or null.
func pointed[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](raw []byte) (P, error) {
	if string(raw) == "null" {
		return nil, nil
	}
	text, err := textOf(raw)
	if err != nil {
		return nil, err
	}
	v := P(new(T))
	return v, v.UnmarshalText([]byte(text))
}

// numberOf reads a whole number.
func numberOf(raw []byte) (n uint64, err error) {
	if n, err = strconv.ParseUint(string(raw), 10, 64); err != nil {
		err = json.Unmarshal(raw, &n)
	}
	return n, err
}
