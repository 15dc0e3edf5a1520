package postings

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/s2"
)

// Titles are those of a block of a chunk, each once with the records that have it,
// compressed: the title's length, the title, the length of its list, and this. Most records of an
// incident have the same title.
type Titles []byte

// EncodeTitles returns the titles in an order, each with its positions.
func EncodeTitles(order []string, of map[string][]uint16) Titles {
	var plain []byte
	for _, title := range order {
		plain = appendTitle(plain, title, EncodeList(of[title]))
	}
	return s2.Encode(nil, plain)
}

func appendTitle(out []byte, title string, p List) []byte {
	out = append(binary.AppendUvarint(out, uint64(len(title))), title...)
	return append(binary.AppendUvarint(out, uint64(len(p))), p...)
}

// Each calls yield with every title.
func (t Titles) Each(yield func(title []byte, p List) error) error {
	rest, err := s2.Decode(nil, t)
	if err != nil {
		return fmt.Errorf("%w: titles: %w", ErrDamaged, err)
	}
	part := func() ([]byte, bool) {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return nil, false
		}
		out := rest[n : n+int(size)]
		rest = rest[n+int(size):]
		return out, true
	}
	for len(rest) > 0 {
		title, whole := part()
		p, more := part()
		if !whole || !more {
			return fmt.Errorf("%w: the length of a title", ErrDamaged)
		}
		if err := yield(title, List(p)); err != nil {
			return err
		}
	}
	return nil
}

// Without returns the titles without some positions, and whether any was in them.
func (t Titles) Without(gone *Set) (rest []byte, differs bool, err error) {
	var plain []byte
	err = t.Each(func(title []byte, p List) error {
		left, fewer, err := p.Without(gone)
		if len(left) > 0 {
			plain = appendTitle(plain, string(title), left)
		}
		differs = differs || fewer
		return err
	})
	if len(plain) == 0 {
		return nil, differs, err
	}
	return s2.Encode(nil, plain), differs, err
}
