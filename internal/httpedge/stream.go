package httpedge

import (
	"bufio"
	"context"
	"net/http"
	"time"

	"github.com/tocsin-project/tocsin/internal/share"
)

// Streams bounds the long streams of one kind. Each party has its share of them.
type Streams struct {
	slots *share.Pool
	now   func() time.Time
}

// NewStreams allows limit concurrent streams. now returns the machine's time.
func NewStreams(limit int, now func() time.Time) *Streams {
	return &Streams{slots: share.NewPool(int64(limit)), now: now}
}

// Send streams what write sends, of any length. It answers 503 if there are too many
// streams, or 429 if the party has used its share. The context of write ends with the
// request and when the server begins to shut down. If write returns an error the
// connection is aborted, so that the client does not take a part for the whole.
func (s *Streams) Send(w http.ResponseWriter, r *http.Request, contentType string, write func(context.Context, *Stream) error) {
	if !r.ProtoAtLeast(1, 1) {
		Write(w, NewProblem(http.StatusHTTPVersionNotSupported, "HTTP/1.1 is required: an older version cannot show that an answer is incomplete"))
		return
	}
	party := Party(r)
	if err := s.slots.Take(party, 1); err != nil {
		Write(w, Full(err, "streams are open"))
		return
	}
	defer s.slots.Give(party, 1)
	releaseSlot(r.Context())
	ctx, cancel := UntilStop(r.Context())
	defer cancel()
	w.Header().Set("Content-Type", contentType)
	if r.Method == http.MethodHead {
		return
	}
	out := &Stream{bufio.NewWriterSize(w, 32<<10), http.NewResponseController(w), s.now}
	err := out.allow()
	if err == nil {
		err = write(ctx, out)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

// Stream writes an answer in parts.
type Stream struct {
	buffer  *bufio.Writer
	control *http.ResponseController
	now     func() time.Time
}

// Write adds a part of the answer. It is sent by the next Flush at the latest.
func (s *Stream) Write(part []byte) (int, error) { return s.buffer.Write(part) }

// Flush sends what was written and restarts the peer's time limit.
func (s *Stream) Flush() error {
	if err := s.allow(); err != nil {
		return err
	}
	if err := s.buffer.Flush(); err != nil {
		return err
	}
	if err := s.control.Flush(); err != nil {
		return err
	}
	return s.allow()
}

// allow sets the write deadline to writeTimeout from now.
func (s *Stream) allow() error { return s.control.SetWriteDeadline(s.now().Add(writeTimeout)) }
