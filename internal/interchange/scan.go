package interchange

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// maxText bounds one incident in bytes, so that an endless input cannot use up the
// memory.
const maxText = 32 << 20

const (
	jsonSpace = " \t\r\n"
	utf8BOM   = "\xef\xbb\xbf"
)

// piece is one JSON value of the input, or why it cannot be read.
type piece struct {
	text  []byte // valid until the next piece
	line  int    // line on which it begins, from 1
	path  string // $, or $[i] in an array
	fault string
}

// scanner splits an input into its JSON values: one after another, or the elements of
// arrays. After a value that is not JSON it continues at the next line that begins an
// object, so that the next incident is not affected.
type scanner struct {
	in      *replayReader
	dec     *jsontext.Decoder
	passed  int64 // offset for dec of the first byte that in keeps
	line    int   // line of that byte, from 1
	indent  int   // white space at the start of that line
	inArray bool
	index   int // of the next element
}

func newScanner(r io.Reader) *scanner {
	s := &scanner{in: &replayReader{r: skipBOM(r), limit: maxText}, line: 1}
	s.restart()
	return s
}

// skipBOM removes the byte order mark that Windows programs put before UTF-8.
func skipBOM(r io.Reader) *bufio.Reader {
	b := bufio.NewReaderSize(r, 1<<16)
	if head, _ := b.Peek(len(utf8BOM)); string(head) == utf8BOM {
		_, _ = b.Discard(len(utf8BOM)) // cannot fail: the bytes are buffered
	}
	return b
}

// restart gives the kept input to a new decoder, because one that has failed stays failed.
func (s *scanner) restart() {
	open := ""
	if s.inArray {
		open = "["
	}
	s.in.next = 0
	s.dec = jsontext.NewDecoder(io.MultiReader(strings.NewReader(open), s.in), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if s.inArray {
		_, _ = s.dec.ReadToken() // cannot fail: it is the bracket
	}
	s.passed = int64(len(open))
}

// next returns the next piece, or io.EOF, or an error of reading.
func (s *scanner) next() (piece, error) {
	for {
		s.pass(s.kept(s.dec.InputOffset()))
		kind := s.dec.PeekKind() // reads on to the next value
		s.pass(len(s.in.kept) - len(bytes.TrimLeft(s.in.kept, jsonSpace+",")))
		p := piece{line: s.line, path: "$"}
		if s.inArray {
			p.path = fmt.Sprintf("$[%d]", s.index)
		}
		var err error
		switch {
		case kind == '[' && !s.inArray:
			s.inArray, s.index = true, 0
			_, err = s.dec.ReadToken()
		case kind == ']' && s.inArray:
			s.inArray = false
			_, err = s.dec.ReadToken()
		default:
			if p.text, err = s.dec.ReadValue(); err == nil {
				s.index++
				return p, nil
			}
		}
		if err != nil {
			return s.broken(p, err)
		}
	}
}

// broken returns the fault of a value that is not JSON, and skips it.
func (s *scanner) broken(p piece, err error) (piece, error) {
	var bad *jsontext.SyntacticError
	switch {
	case errors.Is(err, errTooLong):
		p.fault = fmt.Sprintf("is longer than %d bytes", s.in.limit)
		return s.skip(p, len(s.in.kept))
	case !errors.As(err, &bad): // the end of the input, or an error of reading
		return piece{}, err
	case len(s.in.kept) == 0 && s.inArray:
		s.inArray = false
		s.restart()
		return piece{line: s.line, path: "$", fault: "the array is not closed"}, nil
	case errors.Is(bad, io.ErrUnexpectedEOF):
		p.fault = "is not JSON: ends in the middle"
		return s.skip(p, len(s.in.kept))
	}
	p.fault = "is not JSON: " + bad.Err.Error()
	at := max(s.kept(bad.ByteOffset), 0)
	if at == 0 && s.mayBegin() { // the separator before it is wrong
		s.restart()
		return p, nil
	}
	return s.skip(p, at)
}

// mayBegin reports whether an object begins with the kept input, or the array ends.
func (s *scanner) mayBegin() bool {
	return bytes.HasPrefix(s.in.kept, []byte("{")) || s.inArray && bytes.HasPrefix(s.in.kept, []byte("]"))
}

// skip passes over a value that is broken at an offset of the kept input, up to the next
// line that begins an object: any object where the value broke on its first line,
// otherwise one that is not indented more.
func (s *scanner) skip(p piece, at int) (piece, error) {
	anyIndent := !bytes.Contains(s.in.kept[:at], []byte("\n"))
	indent, last := s.indent, p.line
	for {
		err := s.nextLine()
		if errors.Is(err, io.EOF) || err == nil && s.mayBegin() && (anyIndent || s.indent <= indent) {
			break
		}
		if err != nil {
			return p, err
		}
		if !bytes.HasPrefix(s.in.kept, []byte("\n")) {
			last = s.line
		}
	}
	if last > p.line {
		p.fault += fmt.Sprintf("; lines %d to %d are lost", p.line, last)
	}
	s.restart()
	return p, nil
}

// nextLine moves to the first byte of the next line that is not white space, or to the
// end of that line.
func (s *scanner) nextLine() error {
	end := 0
	for end == 0 {
		if end = bytes.IndexByte(s.in.kept, '\n') + 1; end == 0 {
			s.pass(len(s.in.kept))
			if err := s.in.more(); err != nil {
				return err
			}
		}
	}
	s.pass(end)
	for {
		if blank := len(s.in.kept) - len(bytes.TrimLeft(s.in.kept, " \t\r")); blank < len(s.in.kept) {
			s.pass(blank)
			s.indent = blank
			return nil
		}
		if err := s.in.more(); err != nil {
			return err
		}
	}
}

// kept converts an offset of the decoder into one of the kept input.
func (s *scanner) kept(offset int64) int { return int(offset - s.passed) }

// pass drops the first n bytes of the kept input, and counts its lines.
func (s *scanner) pass(n int) {
	text := s.in.kept[:n]
	if line := bytes.LastIndexByte(text, '\n') + 1; line > 0 || s.line == 1 && s.indent == 0 {
		s.indent = len(text[line:]) - len(bytes.TrimLeft(text[line:], jsonSpace))
	}
	s.line += bytes.Count(text, []byte("\n"))
	s.in.drop(n)
	s.passed += int64(n)
}

// replayReader buffers its input, so that a broken value can be scanned again.
type replayReader struct {
	r     io.Reader
	limit int // of kept, in bytes
	kept  []byte
	next  int   // the byte of kept that Read continues with
	err   error // of r
}

var errTooLong = errors.New("interchange: a text is too long")

func (r *replayReader) Read(p []byte) (int, error) {
	if r.next == len(r.kept) {
		if err := r.more(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.kept[r.next:])
	r.next += n
	return n, nil
}

// more reads on, unless the limit is reached.
func (r *replayReader) more() error {
	switch {
	case len(r.kept) >= r.limit:
		return errTooLong
	case r.err != nil:
		return r.err
	}
	chunk := min(r.limit, 1<<16)
	r.kept = slices.Grow(r.kept, chunk)
	n, err := r.r.Read(r.kept[len(r.kept) : len(r.kept)+chunk])
	r.kept, r.err = r.kept[:len(r.kept)+n], err
	if n > 0 {
		return nil // the error comes after the bytes
	}
	return err
}

// drop forgets the first n bytes.
func (r *replayReader) drop(n int) {
	r.kept = r.kept[n:]
	r.next = max(r.next-n, 0)
}
