package evidence

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"
)

// Hash is a SHA-256: of an entry, of a leaf, of a node.
type Hash [sha256.Size]byte

// String is the hash in standard base64, as checkpoints write it.
func (h Hash) String() string { return base64.StdEncoding.EncodeToString(h[:]) }

// MarshalText writes the hash in standard base64.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText writes, and nothing else.
func (h *Hash) UnmarshalText(text []byte) error {
	raw, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(raw) != len(h) {
		return fmt.Errorf("%q is not the base64 of a SHA-256", text)
	}
	copy(h[:], raw)
	return nil
}

// entryFormat begins what is hashed, so that the hash of an entry is never that
// of anything else.
const entryFormat = "tocsin/entry/1\n"

// engineHeader begins the names of headers that the engine adds and strips.
const engineHeader = "Nats-"

// EntryHash is what the log keeps of a record: the SHA-256 of
//
//	"tocsin/entry/1\n"
//	sequence                      8 bytes
//	subject                       4 bytes of length, bytes
//	number of header values       4 bytes
//	for each, by name, then as it came:
//	    name, value               4 bytes of length, bytes, each
//	body                          8 bytes of length, bytes
//
// with integers in big-endian order. Headers that begin with "Nats-" are left
// out, since the engine adds and strips them. The random salt among the others
// keeps the hash from telling the record to who can only guess at it.
func EntryHash(sequence uint64, subject string, header map[string][]string, body []byte) Hash {
	d := digest{sha256.New()}
	d.Write([]byte(entryFormat))
	d.uint64(sequence)
	d.text(subject)
	names := make([]string, 0, len(header))
	values := 0
	for name := range maps.Keys(header) {
		if !strings.HasPrefix(name, engineHeader) {
			names = append(names, name)
			values += len(header[name])
		}
	}
	slices.Sort(names)
	d.uint32(values)
	for _, name := range names {
		for _, value := range header[name] {
			d.text(name)
			d.text(value)
		}
	}
	d.uint64(uint64(len(body)))
	d.Write(body)
	var sum Hash
	d.Sum(sum[:0])
	return sum
}

type digest struct{ hash.Hash }

func (d digest) uint64(n uint64) { d.Write(binary.BigEndian.AppendUint64(nil, n)) }
func (d digest) uint32(n int)    { d.Write(binary.BigEndian.AppendUint32(nil, uint32(n))) }
func (d digest) text(s string)   { d.uint32(len(s)); d.Write([]byte(s)) }
