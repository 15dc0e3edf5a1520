package interchange

import (
	"bufio"
	"io"
	"slices"
)

// lineReader reads bytes, counts lines, notes the indentation, and can go back.
type lineReader struct {
	r        *bufio.Reader
	buffered []byte // bytes to read once more, before those of r
	at       int    // of the next byte in again
	line     int    // of the next byte, from 1
	indent   int    // white space at the start of the line
	text     bool   // the line has a byte other than white space
}

func newLineReader(r io.Reader) *lineReader { return &lineReader{r: skipBOM(r), line: 1} }

// skipBOM removes the byte order mark that Windows programs put before UTF-8.
func skipBOM(r io.Reader) *bufio.Reader {
	b := bufio.NewReaderSize(r, 1<<16)
	if head, _ := b.Peek(len(utf8BOM)); string(head) == utf8BOM {
		_, _ = b.Discard(len(utf8BOM)) // cannot fail: the bytes are buffered
	}
	return b
}

func (l *lineReader) next() (b byte, err error) {
	if l.at < len(l.buffered) {
		b = l.buffered[l.at]
		l.at++
	} else {
		l.buffered, l.at = nil, 0
		if b, err = l.r.ReadByte(); err != nil {
			return 0, err
		}
	}
	switch {
	case b == '\n':
		l.line, l.indent, l.text = l.line+1, 0, false
	case isSpace(b) && !l.text:
		l.indent++
	default:
		l.text = true
	}
	return b, nil
}

// unread puts back the last byte, which must not be white space.
func (l *lineReader) unread() {
	if l.at > 0 {
		l.at--
		return
	}
	_ = l.r.UnreadByte() // cannot fail: a byte was read last
}

// rewind puts back whole lines and the beginning of the one after them.
func (l *lineReader) rewind(text []byte) {
	l.buffered, l.at = append(slices.Clone(text), l.buffered[l.at:]...), 0
	l.indent, l.text = 0, false
	for _, b := range text {
		if b == '\n' {
			l.line--
		}
	}
}

// skipSpace returns the next byte that is not white space.
func (l *lineReader) skipSpace() (byte, error) {
	for {
		if b, err := l.next(); err != nil || !isSpace(b) {
			return b, err
		}
	}
}

// skipSpaceInLine returns the next byte that is not white space, or the line
// break.
func (l *lineReader) skipSpaceInLine() (byte, error) {
	for {
		if b, err := l.next(); err != nil || !isSpace(b) || b == '\n' {
			return b, err
		}
	}
}

// skipLine reads to the end of the line.
func (l *lineReader) skipLine() error {
	for {
		if b, err := l.next(); err != nil || b == '\n' {
			return err
		}
	}
}
