package httpedge

import (
	"bufio"
	"context"
	"net/http"
	"time"

	"github.com/tocsin-project/tocsin/internal/share"
)

// Streams bounds the answers of one kind that go on for long. Each party has its share
// of them.
type Streams struct {
	places *share.Pool
	now    func() time.Time
}

// NewStreams allows limit answers at a time. now tells the machine's time.
func NewStreams(limit int, now func() time.Time) *Streams {
	return &Streams{places: share.NewPool(int64(limit)), now: now}
}

// Send answers with what write sends, however much it is, or with 503 where
// there are too many already, or 429 where the party uses its share. The context of
// write ends with the request and when the server begins to shut down. When write
// returns an error the connection is broken off, so that nobody takes what has come
// for all there is.
func (s *Streams) Send(w http.ResponseWriter, r *http.Request, contentType string, write func(context.Context, *Stream) error) {
	if !r.ProtoAtLeast(1, 1) {
		Fail(w, NewProblem(http.StatusHTTPVersionNotSupported, "this needs HTTP/1.1: in an older version nobody can see that an answer broke off"))
		return
	}
	party := Party(r)
	if err := s.places.Take(party, 1); err != nil {
		Fail(w, Full(err, "such answers are being sent"))
		return
	}
	defer s.places.Give(party, 1)
	leavePlace(r.Context())
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

// Stream takes an answer in parts.
type Stream struct {
	buffer  *bufio.Writer
	control *http.ResponseController
	now     func() time.Time
}

// Write takes a part of the answer. The peer has it after Flush at the latest.
func (s *Stream) Write(part []byte) (int, error) { return s.buffer.Write(part) }

// Flush sends what was written and gives the peer its time for the next part.
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

// allow gives the peer writeWait from now on.
func (s *Stream) allow() error { return s.control.SetWriteDeadline(s.now().Add(writeWait)) }
