// Package render prints what people read: rows, stories, obligations and tables, in the
// Chinese or English of one list of words, and JSON for programs. It only formats: it
// asks no server, and reads no clock.
package render

import (
	"io"

	json "github.com/go-json-experiment/json/v1"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// Printer prints the output of one command line.
type Printer struct {
	Raw    io.Writer // for programs
	Out    io.Writer // for people
	ErrOut io.Writer
	Lang   string // zh or en
	// Citations has the Chinese of the citations of the program's own packs, for what a
	// server does not translate.
	Citations func() event.Citations
	// Exercise is true when the command runs in the drill, for output that does not show
	// it itself.
	Exercise bool
}

// JSON prints one object on each line and escapes hidden characters: the output may be
// read on a terminal, and means the same.
func (p *Printer) JSON(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = printable.Writer{Out: p.Raw}.Write(append(b, '\n'))
	return err
}
