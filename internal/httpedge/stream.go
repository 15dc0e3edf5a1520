package httpedge

import (
	"bufio"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/identity"
)

// Streams bounds the answers of one kind that go on for long.
type Streams struct {
	slots chan struct{}
	now   func() time.Time

	mu sync.Mutex
	of map[string]int // how many each has
}

// shareOf is which part of all such answers one identity may have at a time.
const shareOf = 4

// NewStreams allows limit answers at a time, and a quarter of them to one identity. now
// tells the machine's time.
func NewStreams(limit int, now func() time.Time) *Streams {
	return &Streams{slots: make(chan struct{}, limit), now: now, of: map[string]int{}}
}

// enter takes a place, where there is one.
func (s *Streams) enter(who identity.Identity) (leave func(), p *Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if who.ID != "" && s.of[who.String()] >= max(1, cap(s.slots)/shareOf) {
		return nil, NewProblem(http.StatusTooManyRequests, "too many such answers are being sent to you: end one of them")
	}
	select {
	case s.slots <- struct{}{}:
	default:
		return nil, NewProblem(http.StatusServiceUnavailable, "too many such answers are being sent: try again")
	}
	s.of[who.String()]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.of[who.String()]--; s.of[who.String()] == 0 {
			delete(s.of, who.String())
		}
		<-s.slots
	}, nil
}

// Send answers with what write sends, however much it is, or with 503 where
// there are too many already, or 429 where who asks has too many. The context of
// write ends with the request and when the server begins to shut down. When write
// returns an error the connection is broken off, so that nobody takes what has come
// for all there is.
func (s *Streams) Send(w http.ResponseWriter, r *http.Request, contentType string, write func(context.Context, *Stream) error) {
	if !r.ProtoAtLeast(1, 1) {
		Fail(w, NewProblem(http.StatusHTTPVersionNotSupported, "this needs HTTP/1.1: in an older version nobody can see that an answer broke off"))
		return
	}
	leave, full := s.enter(identity.Of(r.Context()))
	if full != nil {
		Fail(w, full)
		return
	}
	defer leave()
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
