package interchange

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
)

// maxText bounds one incident in bytes, so that an endless input cannot use up the
// memory.
const maxText = 32 << 20

const (
	jsonSpace = " \t\r\n"
	utf8BOM   = "\xef\xbb\xbf"
)

// piece is one JSON text of the input.
type piece struct {
	text  []byte // valid until the next piece
	line  int    // line on which it begins, from 1
	last  int    // last line that is lost with a broken text, or 0
	path  string // $, or $[i] in an array
	fault string // why there is no text; otherwise ""
}

// scanner splits an input into its JSON texts: objects, each on one line or on several,
// or the elements of arrays. After a broken text it continues at the next line that
// begins an object, so that the next one is not affected.
type scanner struct {
	in      *lineReader
	limit   int // of a text, in bytes
	inArray bool
	comma   bool // in an array: the last separator was a comma
	index   int  // of the next element
	buf     []byte
	queued  *piece // a fault between two texts
}

func newScanner(r io.Reader) *scanner {
	return &scanner{in: newLineReader(r), limit: maxText}
}

// next returns the next piece, or io.EOF, or an error of reading.
func (s *scanner) next() (piece, error) {
	if p := s.queued; p != nil {
		s.queued = nil
		return *p, nil
	}
	b, err := s.in.skipSpace()
	for err == nil && b == '[' && !s.inArray {
		s.inArray, s.comma, s.index = true, false, 0
		b, err = s.in.skipSpace()
	}
	switch {
	case errors.Is(err, io.EOF) && s.inArray:
		s.inArray = false
		return piece{line: s.in.line, path: "$", fault: "the array is not closed"}, nil
	case err != nil:
		return piece{}, err
	case !s.inArray:
		return s.read(piece{line: s.in.line, path: "$"}, b)
	}
	p := piece{line: s.in.line, path: fmt.Sprintf("$[%d]", s.index)}
	if b == ']' {
		s.inArray = false
		if !s.comma {
			return s.next()
		}
	}
	s.index++
	if b == ']' || b == ',' {
		p.fault = "a value is missing"
		return p, nil
	}
	return s.read(p, b)
}

// read reads the text that begins with the byte b.
func (s *scanner) read(p piece, b byte) (piece, error) {
	indent := s.in.indent
	s.buf = s.buf[:0]
	if b != '{' {
		s.in.unread()
		return s.rest(p)
	}
	var n nesting
	for {
		valid := n.step(b)
		s.keep(&p, b)
		if !valid {
			return s.broken(p, indent)
		}
		if n.outside() {
			return s.after(p)
		}
		var err error
		switch b, err = s.in.next(); {
		case errors.Is(err, io.EOF):
			return s.broken(p, indent)
		case err != nil:
			return piece{}, err
		}
	}
}

// after reads what follows an object, which should be a separator.
func (s *scanner) after(p piece) (piece, error) {
	b, err := s.in.skipSpaceInLine()
	if s.inArray && err == nil && b == '\n' {
		b, err = s.in.skipSpace()
	}
	switch {
	case errors.Is(err, io.EOF) || b == '\n':
	case err != nil:
		return piece{}, err
	case s.inArray && (b == ',' || b == ']'):
		s.separator(b)
	case b == '{':
		if s.inArray {
			s.queued = &piece{line: s.in.line, path: fmt.Sprintf("$[%d]", s.index), fault: "a comma is missing before the value"}
		}
		s.in.unread()
	default:
		s.in.unread()
		return s.rest(p)
	}
	p.text = bytes.Trim(s.buf, jsonSpace)
	return p, nil
}

// rest adds the rest of the line to the text, or in an array everything before the next
// separator.
func (s *scanner) rest(p piece) (piece, error) {
	var n nesting
	for {
		b, err := s.in.next()
		if err != nil && !errors.Is(err, io.EOF) {
			return piece{}, err
		}
		separates := s.inArray && n.outside() && (b == ',' || b == ']')
		if separates {
			s.separator(b)
		}
		if separates || errors.Is(err, io.EOF) || b == '\n' {
			p.text = bytes.Trim(s.buf, jsonSpace)
			if s.inArray && b == '\n' {
				err = s.lateSeparator()
			}
			return p, ignoreEOF(err)
		}
		n.step(b)
		s.keep(&p, b)
	}
}

// lateSeparator reads the separator at the beginning of a line, if there is one.
func (s *scanner) lateSeparator() error {
	b, err := s.in.skipSpace()
	switch {
	case err != nil:
		return err
	case b == ',' || b == ']':
		s.separator(b)
	default:
		s.in.unread()
	}
	return nil
}

func (s *scanner) separator(b byte) {
	s.comma = b == ','
	if b == ']' {
		s.inArray = false
	}
}

// broken ends a text that is not JSON, and skips to the next line that begins an object:
// any object when the text broke on its first line, otherwise one that is not indented
// more than the text.
func (s *scanner) broken(p piece, indent int) (piece, error) {
	s.comma = false
	p.text = bytes.Trim(s.buf, jsonSpace)
	if first := bytes.IndexByte(s.buf, '\n'); first >= 0 {
		unread := s.buf[first+1:]
		s.in.rewind(unread)
		if len(bytes.Trim(unread, jsonSpace+"{")) == 0 {
			indent = math.MaxInt
		}
	} else if s.in.text {
		if err := s.in.skipLine(); err != nil {
			return p, ignoreEOF(err)
		}
	}
	for {
		b, err := s.in.skipSpace()
		if err != nil {
			return p, ignoreEOF(err)
		}
		if s.in.indent <= indent && (b == '{' || b == ']' && s.inArray) {
			s.in.unread()
			return p, nil
		}
		p.last = s.in.line
		s.in.unread()
		if err := s.in.skipLine(); err != nil {
			return p, ignoreEOF(err)
		}
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// keep adds a byte to the text, unless the text is too long.
func (s *scanner) keep(p *piece, b byte) {
	if p.fault == "" && len(s.buf) == s.limit {
		p.fault = fmt.Sprintf("is longer than %d bytes", s.limit)
		s.buf = s.buf[:0]
	}
	if p.fault == "" {
		s.buf = append(s.buf, b)
	}
}
