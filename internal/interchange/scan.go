package interchange

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxText bounds one incident in bytes, so that an input without an end cannot
// take all memory.
const maxText = 32 << 20

const (
	jsonSpace = " \t\r\n"
	utf8BOM   = "\xef\xbb\xbf"
)

// piece is one JSON text of the input.
type piece struct {
	text  []byte // valid until the next piece
	line  int    // where it begins, from 1
	path  string // $, or $[i] in an array
	fault string // why there is no text; "" when there is
}

type scanState int

const (
	inLines scanState = iota // one JSON text a line
	inArray                  // between the brackets of an array
	cut                      // the input ended within the array
	closed                   // behind the array
	ended
)

// scanner cuts an input into its JSON texts: the non-blank lines or, when the
// input begins with a bracket, the elements of one array. It looks only at
// strings and brackets, so that one bad element does not spoil the next.
type scanner struct {
	r     *bufio.Reader
	state scanState
	line  int // of the next byte, from 1
	index int // of the next element
	limit int // of a piece, in bytes
	buf   []byte
}

// newScanner skips a byte order mark and white space, and looks whether the
// input is an array. Its error is one of reading.
func newScanner(r io.Reader) (*scanner, error) {
	s := &scanner{r: skipBOM(r), line: 1, limit: maxText}
	b, err := s.skipSpace()
	switch {
	case err == io.EOF:
		s.state = ended
	case err != nil:
		return nil, err
	case b == '[':
		s.state = inArray
	default:
		return s, s.r.UnreadByte()
	}
	return s, nil
}

// skipBOM removes the byte order mark that Windows programs put before UTF-8.
func skipBOM(r io.Reader) *bufio.Reader {
	b := bufio.NewReaderSize(r, 1<<16)
	if head, _ := b.Peek(len(utf8BOM)); string(head) == utf8BOM {
		_, _ = b.Discard(len(utf8BOM)) // cannot fail: the bytes are buffered
	}
	return b
}

// next returns the next piece, or io.EOF, or an error of reading.
func (s *scanner) next() (piece, error) {
	switch s.state {
	case inLines:
		return s.nextLine()
	case inArray:
		return s.nextElement()
	case cut:
		s.state = ended
		return piece{line: s.line, path: "$", fault: "the array is not closed"}, nil
	case closed:
		s.state = ended
		if _, err := s.skipSpace(); err != nil {
			return piece{}, err
		}
		return piece{line: s.line, path: "$", fault: "text after the end of the array"}, nil
	default:
		return piece{}, io.EOF
	}
}

func (s *scanner) nextLine() (piece, error) {
	for {
		p := piece{line: s.line, path: "$"}
		s.buf = s.buf[:0]
		var err error
		for more := true; more; {
			var part []byte
			part, err = s.r.ReadSlice('\n')
			s.keep(&p, part)
			more = errors.Is(err, bufio.ErrBufferFull)
		}
		if err != nil && err != io.EOF {
			return piece{}, err
		}
		s.line++
		p.text = bytes.Trim(s.buf, jsonSpace)
		if len(p.text) > 0 || p.fault != "" {
			return p, nil
		}
		if err == io.EOF {
			s.state = ended
			return piece{}, io.EOF
		}
	}
}

// nextElement reads to the comma or bracket behind the next element.
func (s *scanner) nextElement() (piece, error) {
	p := piece{line: s.line, path: fmt.Sprintf("$[%d]", s.index)}
	s.buf = s.buf[:0]
	s.index++
	depth, inString, escaped, blank := 0, false, false, true
	for {
		b, err := s.r.ReadByte()
		if err == io.EOF {
			s.state = cut
			if blank {
				return s.next()
			}
			p.text = s.buf
			return p, nil
		}
		if err != nil {
			return piece{}, err
		}
		if blank && strings.IndexByte(jsonSpace, b) < 0 {
			p.line, blank = s.line, false
		}
		if b == '\n' {
			s.line++
		}
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped, inString = b == '\\', b != '"'
		case depth == 0 && (b == ',' || b == ']'):
			return s.endElement(p, b)
		case b == '"':
			inString = true
		case b == '{' || b == '[':
			depth++
		case (b == '}' || b == ']') && depth > 0:
			depth--
		}
		s.keep(&p, []byte{b})
	}
}

func (s *scanner) endElement(p piece, end byte) (piece, error) {
	p.text = bytes.Trim(s.buf, jsonSpace)
	blank := len(p.text) == 0 && p.fault == ""
	if end == ']' {
		s.state = closed
		if blank && s.index == 1 {
			return s.next() // an empty array
		}
	}
	if blank {
		p.fault = "a value is missing"
	}
	return p, nil
}

// keep adds bytes to the piece in hand, unless it grows too long.
func (s *scanner) keep(p *piece, part []byte) {
	if p.fault == "" && len(s.buf)+len(part) > s.limit {
		p.fault = fmt.Sprintf("is longer than %d bytes", s.limit)
		s.buf = s.buf[:0]
	}
	if p.fault == "" {
		s.buf = append(s.buf, part...)
	}
}

// skipSpace returns the next byte that is not white space.
func (s *scanner) skipSpace() (byte, error) {
	for {
		b, err := s.r.ReadByte()
		switch {
		case err != nil:
			return 0, err
		case b == '\n':
			s.line++
		case b != ' ' && b != '\t' && b != '\r':
			return b, nil
		}
	}
}
