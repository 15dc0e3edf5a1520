package cloudevent

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/tocsin-project/tocsin/internal/document"
)

// maxSplitBytes bounds how much of one event is buffered while its end is searched for.
// It is far above MaxBytes, so that an event that is merely too large is refused as
// one event and the next is still read.
const maxSplitBytes = 16 << 20

// Split reads one JSON object, an array of them, or several of either one after
// another, such as JSON lines, and yields the bytes of each event in order; the receiver
// owns the slice. It buffers one event at a time, so the input may have any length.
//
// It only finds where each event ends; Parse decides whether it is valid. Where an
// object has no end, or something else is in its place, the rest of its line is yielded
// unchanged, to be refused, and reading continues with the next line: one broken line
// must not affect the valid ones after it. Only in an array is that an error, with line
// and offset, after yielding everything before it. An error of yield ends the reading and
// is returned unchanged.
func Split(r io.Reader, yield func(raw []byte) error) error {
	return newSplitter(r).run(func(raw []byte) error { return yield(bytes.Clone(raw)) })
}

type splitter struct {
	r         *bufio.Reader
	onlyArray bool  // the input must be one array
	limit     int   // bytes of one event
	offset    int64 // bytes read
	line      int   // of the next byte, from 1

	buf  []byte
	open []byte // brackets that are open in buf
}

func newSplitter(r io.Reader) *splitter {
	return &splitter{r: bufio.NewReaderSize(r, 64<<10), limit: maxSplitBytes, line: 1}
}

// errf formats an error with the position of the last byte read.
func (s *splitter) errf(format string, args ...any) error {
	return fmt.Errorf("line %d, offset %d: %w", s.line, max(0, s.offset-1), fmt.Errorf(format, args...))
}

// read returns the next byte. Errors of the underlying reader are final.
func (s *splitter) read() (byte, error) {
	c, err := s.r.ReadByte()
	if err != nil {
		return 0, err
	}
	s.offset++
	return c, nil
}

// token returns the next byte that is not space, or io.EOF.
func (s *splitter) token() (byte, error) {
	for {
		c, err := s.read()
		switch {
		case err != nil:
			return 0, err
		case c == '\n':
			s.line++
		case c != ' ' && c != '\t' && c != '\r':
			return c, nil
		}
	}
}

// run yields each event in a slice that the next one overwrites.
func (s *splitter) run(yield func([]byte) error) error {
	if mark, err := s.r.Peek(3); err == nil && string(mark) == "\uFEFF" {
		s.offset += 3 // editors on Windows write a byte order mark
		_, _ = s.r.Discard(3)
	} else if head, err := s.r.Peek(2); err == nil && document.IsUTF16(head) {
		return s.errf("the text %s", utf16Message)
	}
	for first := true; ; first = false {
		c, err := s.token()
		switch {
		case errors.Is(err, io.EOF) && first && s.onlyArray:
			return s.errf("it is empty")
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case s.onlyArray && !first:
			return s.errf("it is followed by more bytes")
		case c == '[':
			err = s.array(yield)
		case s.onlyArray:
			return s.errf("want an array, not %q", rune(c))
		default:
			err = s.lineEvent(c, yield)
		}
		if err != nil {
			return err
		}
	}
}

// broken is a value without an end.
type broken struct{ error }

// lineEvent reads an object outside of an array. It yields the rest of the line with
// anything that cannot be an object, and with an object that is followed by anything but
// another value.
func (s *splitter) lineEvent(c byte, yield func([]byte) error) error {
	s.buf, s.open = s.buf[:0], s.open[:0]
	var err error
	if c == '{' {
		err = s.balanced(c)
	} else {
		s.buf, err = append(s.buf, c), broken{}
	}
	whole := err == nil
	if whole {
		whole, err = s.nothingBehind()
	}
	switch {
	case errors.Is(err, io.EOF):
	case err != nil && !errors.As(err, new(broken)):
		return err
	case !whole && (len(s.buf) == 0 || s.buf[len(s.buf)-1] != '\n'):
		if err := s.restOfLine(); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return yield(bytes.TrimRight(s.buf, document.Space))
}

// nothingBehind reports whether the line ends after an object, or continues with another
// value. It appends the space to the buffer.
func (s *splitter) nothingBehind() (bool, error) {
	for {
		next, err := s.r.Peek(1)
		if err != nil {
			return errors.Is(err, io.EOF), err
		}
		switch next[0] {
		case '\n', '{', '[':
			return true, nil
		case ' ', '\t', '\r':
			c, _ := s.read()
			s.buf = append(s.buf, c)
		default:
			return false, nil
		}
	}
}

func (s *splitter) restOfLine() error {
	for {
		c, err := s.read()
		if err != nil {
			return err
		}
		if len(s.buf) == s.limit {
			return s.errf("an event is longer than %d bytes", s.limit)
		}
		if c == '\n' {
			s.line++
			return nil
		}
		s.buf = append(s.buf, c)
	}
}

// array yields the elements of an array whose opening bracket has been read.
func (s *splitter) array(yield func([]byte) error) error {
	for first := true; ; first = false {
		c, err := s.token()
		if err != nil {
			return s.unfinished(err, "an array")
		}
		if c == ']' && first {
			return nil
		}
		if bytes.IndexByte([]byte(",:]}"), c) >= 0 {
			return s.errf("an event is missing before %q", rune(c))
		}
		if err := s.event(c, yield); err != nil {
			return err
		}
		switch c, err = s.token(); {
		case err != nil:
			return s.unfinished(err, "an array")
		case c == ']':
			return nil
		case c != ',':
			return s.errf("a comma or ] is missing between events, before %q", rune(c))
		}
	}
}

func (s *splitter) unfinished(err error, what string) error {
	if errors.Is(err, io.EOF) {
		return s.errf("%s does not end", what)
	}
	return err
}

// event reads to the end of the value that begins with c, and yields it.
func (s *splitter) event(c byte, yield func([]byte) error) error {
	s.buf, s.open = s.buf[:0], s.open[:0]
	line, offset := s.line, s.offset-1
	var err error
	switch c {
	case '{', '[', '"':
		err = s.balanced(c)
	default:
		err = s.bare(c)
	}
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("line %d, offset %d: an event that begins here does not end", line, offset)
	case err != nil:
		return err
	}
	return yield(s.buf)
}

// balanced reads a string, or brackets with everything between them.
func (s *splitter) balanced(c byte) (err error) {
	for {
		if len(s.buf) == s.limit {
			return s.errf("an event is longer than %d bytes", s.limit)
		}
		s.buf = append(s.buf, c)
		switch c {
		case '\n':
			s.line++
			if s.anotherBegins() {
				return broken{s.errf("it does not end on its line")}
			}
		case '"':
			if err = s.text(); err != nil {
				return err
			}
		case '{', '[':
			s.open = append(s.open, c+2) // in ASCII, the closing bracket
		case '}', ']':
			if last := len(s.open) - 1; s.open[last] != c {
				return broken{s.errf("want %q, not %q", rune(s.open[last]), rune(c))}
			}
			s.open = s.open[:len(s.open)-1]
		}
		if len(s.open) == 0 {
			return nil
		}
		if c, err = s.read(); err != nil {
			return err
		}
	}
}

// anotherBegins reports, at the end of a line, whether the next line begins an object
// that cannot be part of the open one: the open one is then incomplete.
func (s *splitter) anotherBegins() bool {
	next, err := s.r.Peek(1)
	if err != nil || next[0] != '{' {
		return false
	}
	before := bytes.TrimRight(s.buf, document.Space)
	return bytes.IndexByte([]byte(":[,"), before[len(before)-1]) < 0
}

// text reads from after the opening quote to the closing one.
func (s *splitter) text() error {
	for escaped := false; ; {
		c, err := s.read()
		switch {
		case err != nil:
			return err
		case c == '\n':
			err := s.errf("a string does not end on its line")
			s.line++
			s.buf = append(s.buf, c)
			return broken{err}
		case len(s.buf) == s.limit:
			return s.errf("an event is longer than %d bytes", s.limit)
		}
		s.buf = append(s.buf, c)
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			return nil
		}
	}
}

// bare reads a number, a literal, or an attempt at one: Parse refuses it as an
// element of a batch.
func (s *splitter) bare(c byte) error {
	for {
		if len(s.buf) == s.limit {
			return s.errf("an event is longer than %d bytes", s.limit)
		}
		s.buf = append(s.buf, c)
		next, err := s.r.Peek(1)
		if err != nil {
			return err
		}
		switch next[0] {
		case ',', ']', '}', '{', '[', '"', ' ', '\t', '\r', '\n':
			return nil
		}
		c, _ = s.read()
	}
}
