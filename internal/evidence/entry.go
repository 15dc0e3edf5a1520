package evidence

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// Hash is a SHA-256 of an entry, a leaf or a node.
type Hash [sha256.Size]byte

// String returns the hash in standard base64, as in checkpoints.
func (h Hash) String() string { return base64.StdEncoding.EncodeToString(h[:]) }

// MarshalText writes the hash in standard base64.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText accepts exactly what MarshalText writes.
func (h *Hash) UnmarshalText(text []byte) error {
	var raw [36]byte // the size that the decoder needs, with the padding
	// The decoder ignores line ends even when it is strict; the length does not.
	if len(text) != base64.StdEncoding.EncodedLen(len(h)) {
		return fmt.Errorf("%q is not the base64 of a SHA-256", text)
	}
	if n, err := strict64.Decode(raw[:], text); err != nil || n != len(h) {
		return fmt.Errorf("%q is not the base64 of a SHA-256", text)
	}
	copy(h[:], raw[:])
	return nil
}

var strict64 = base64.StdEncoding.Strict()

// Hashes are several hashes in one text.
type Hashes []Hash

// MarshalText writes the hashes, concatenated, in standard base64.
func (s Hashes) MarshalText() ([]byte, error) {
	raw := make([]byte, 0, len(s)*len(Hash{}))
	for _, h := range s {
		raw = append(raw, h[:]...)
	}
	return base64.StdEncoding.AppendEncode(nil, raw), nil
}

// UnmarshalText accepts exactly what MarshalText writes, up to the length of the longest
// path.
func (s *Hashes) UnmarshalText(text []byte) error {
	if len(text) > base64.StdEncoding.EncodedLen(maxPath*len(Hash{})) {
		return fmt.Errorf("more hashes than a path has")
	}
	raw, err := strict64.AppendDecode(nil, text)
	if err != nil || len(raw)%len(Hash{}) != 0 || len(text) != base64.StdEncoding.EncodedLen(len(raw)) {
		return fmt.Errorf("%q is not the base64 of SHA-256s", text)
	}
	*s = nil
	for ; len(raw) > 0; raw = raw[len(Hash{}):] {
		*s = append(*s, Hash(raw[:len(Hash{})]))
	}
	return nil
}

// entryFormat prefixes what is hashed, so that the hash of an entry is never that of
// anything else.
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
	names := Names(make([]string, 0, 16), header) // on the stack
	values := 0
	for _, name := range names {
		values += len(header[name])
	}
	head := make([]byte, 0, 1024)
	head = append(head, entryFormat...)
	head = binary.BigEndian.AppendUint64(head, sequence)
	head = appendText(head, subject)
	head = binary.BigEndian.AppendUint32(head, uint32(values))
	for _, name := range names {
		for _, value := range header[name] {
			head = appendText(appendText(head, name), value)
		}
	}
	head = binary.BigEndian.AppendUint64(head, uint64(len(body)))
	d := sha256.New()
	d.Write(head)
	d.Write(body)
	var sum Hash
	d.Sum(sum[:0])
	return sum
}

// Names appends the names of a record's own headers, sorted: those of the engine are not
// part of the record.
func Names(names []string, header map[string][]string) []string {
	for name := range header {
		if !strings.HasPrefix(name, engineHeader) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// DrillPrefix begins the subject of every record of a drill.
const DrillPrefix = "exercise."
