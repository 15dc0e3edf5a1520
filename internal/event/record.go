package event

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// Format is the version of the records' format. Every record carries it, so that a
// decision can be reproduced after the format has changed.
const Format = "1"

// Headers of a record. A record is itself a CloudEvent in the binary mode of the NATS
// binding; Salt, Digest and Due are our own.
const (
	headerSpec    = "ce-specversion"
	headerID      = "ce-id"
	headerSource  = "ce-source"
	headerType    = "ce-type"
	headerTime    = "ce-time"
	headerContent = "ce-datacontenttype"
	headerFormat  = "Tocsin-Format"
	headerSalt    = "Tocsin-Salt"
	headerDigest  = "Tocsin-Digest"
	headerDue     = "Tocsin-Due" // of a timer; the engine copies it when the timer comes due
)

// Record is one entry of the ledger, or of the stream of rejected reports, before it is
// stored.
type Record struct {
	Subject string
	Time    time.Time // our own stamp
	Digest  string    // of what an outsider sent, without our stamps; empty for what we derive
	Salt    string    // random; tells our own retry from another process's record
	Due     time.Time // of a timer: when it comes due; zero for every other record
	Data    []byte    // JSON
	// Replaces is the sequence of the timer of the same subject that this one replaces;
	// 0: none.
	Replaces uint64
	// Beside are records that are stored in the same atomic batch as this one, or not at
	// all: what another service would make of it later. That service follows the record
	// all the same, and makes them if they were not stored. Empty: it would make none;
	// nil: that is left to it.
	Beside []Record
}

// Stored is a record as stored in its stream.
type Stored struct {
	Record
	Sequence uint64 // in its stream, from 1
	Wire     string // the subject as stored
	Header   nats.Header
	StoredAt time.Time // the engine's stamp
}

// NewRecord encodes v as a record that is stamped now.
func NewRecord(subject string, now time.Time, digest string, v any) (Record, error) {
	data, err := json.Marshal(v, JSON)
	if err != nil {
		return Record{}, fmt.Errorf("encode %s: %w", subject, err)
	}
	return RawRecord(subject, now, digest, data), nil
}

// RawRecord returns a record of JSON that is already encoded.
func RawRecord(subject string, now time.Time, digest string, data []byte) Record {
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails: it ends the process instead
	return Record{Subject: subject, Time: now, Digest: digest, Salt: hex.EncodeToString(salt[:]), Data: data}
}

// Message renders the record for the bus. Its headers name the realm as its subject does,
// so that a drill's record outside its stream is never mistaken for a real one.
func (r Record) Message(realm Realm) *nats.Msg {
	subject := realm.Wire(r.Subject)
	fields := make([][2]string, 0, 10) // on the stack
	fields = append(fields,
		[2]string{headerSpec, "1.0"},
		[2]string{headerID, subject},
		[2]string{headerSource, realm.source()},
		[2]string{headerType, "tocsin." + realm.Wire(typeOf(r.Subject)) + ".v" + Format},
		[2]string{headerTime, r.Time.UTC().Format(time.RFC3339Nano)},
		[2]string{headerContent, "application/json"},
		[2]string{headerFormat, Format},
		[2]string{headerSalt, r.Salt})
	if r.Digest != "" {
		fields = append(fields, [2]string{headerDigest, r.Digest})
	}
	if !r.Due.IsZero() {
		fields = append(fields, [2]string{headerDue, r.Due.UTC().Format(time.RFC3339Nano)})
	}
	h, values := make(nats.Header, len(fields)), make([]string, len(fields))
	for i, f := range fields {
		values[i] = f[1]
		h[f[0]] = values[i : i+1 : i+1]
	}
	return &nats.Msg{Subject: subject, Header: h, Data: r.Data}
}

func typeOf(subject string) string {
	if strings.HasPrefix(subject, "timer.") {
		return "timer"
	}
	switch a := ParseSubject(subject); a.Kind {
	case "":
		return "rejected"
	case KindRules:
		return KindRules
	default:
		return "incident." + a.Kind
	}
}

// Unwritten returns the record as it will be stored, without a sequence.
func (r Record) Unwritten(realm Realm) Stored {
	r.Time, r.Due, r.Beside = r.Time.UTC().Round(0), r.Due.UTC().Round(0), nil // as they are when decoded
	return Stored{Record: r, Wire: realm.Wire(r.Subject)}
}

// ReadStored reads what Message rendered and a stream delivers. It never fails: a
// foreign message is a record without stamps.
func ReadStored(realm Realm, wire string, h nats.Header, data []byte, seq uint64, at time.Time) Stored {
	return Stored{
		Record: Record{
			Subject: realm.Plain(wire), Time: timeIn(h, headerTime), Due: timeIn(h, headerDue),
			Digest: h.Get(headerDigest), Salt: h.Get(headerSalt), Data: data,
		},
		Sequence: seq, Wire: wire, Header: h, StoredAt: at.UTC(),
	}
}

// timeIn returns the time in a header, or zero. It does not parse an empty text, as of
// Tocsin-Due on anything but a timer: the error that time.Parse makes costs more than a
// time.
func timeIn(h nats.Header, name string) time.Time {
	text := h.Get(name)
	if text == "" {
		return time.Time{}
	}
	t, _ := time.Parse(time.RFC3339Nano, text)
	return t.UTC()
}

// Entry returns the hash under which the log has the record.
func (s Stored) Entry() evidence.Hash {
	return evidence.EntryHash(s.Sequence, s.Wire, s.Header, s.Data)
}

// Decode reads the body of a stored record.
func Decode[T any](s Stored) (*T, error) {
	v := new(T)
	if err := json.Unmarshal(s.Data, v, JSON); err != nil {
		return nil, s.unreadable(err)
	}
	return v, nil
}

func (s Stored) unreadable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("record %d (%s): %w", s.Sequence, s.Subject, err)
}
