package httpedge

import (
	"io"
	"net/http"

	"github.com/tocsin-project/tocsin/internal/share"
)

// uncountedBody is how much of a body is read without a reservation: about what a
// connection costs anyway, and more than most reports have.
const uncountedBody = 16 << 10

// Body is the body of a request, in memory that the parties share.
type Body struct {
	Bytes    []byte
	memory   *share.Pool
	party    string
	reserved int64
}

// ReadBody reads the body of a request. It reserves memory as the bytes arrive, not as
// they are announced, so that a slow sender holds only what it has sent. Beyond maxBytes
// the error is *http.MaxBytesError, with the bytes read so far in Bytes; if there is no
// room it is one of share.Pool's, and the connection is closed. The caller releases the
// body, also after an error.
func ReadBody(w http.ResponseWriter, r *http.Request, memory *share.Pool, party string, maxBytes int64) (*Body, error) {
	b := &Body{memory: memory, party: party}
	in := http.MaxBytesReader(w, r.Body, maxBytes)
	known := r.ContentLength
	if known < 0 || known > maxBytes {
		known = maxBytes
	}
	b.Bytes = make([]byte, 0, min(known+1, uncountedBody)) // one more to detect the end
	for {
		n, err := in.Read(b.Bytes[len(b.Bytes):cap(b.Bytes)])
		b.Bytes = b.Bytes[:len(b.Bytes)+n]
		switch {
		case err == io.EOF:
			return b, nil
		case err != nil:
			return b, err
		case len(b.Bytes) < cap(b.Bytes):
			continue
		}
		if err := b.grow(known + 1); err != nil {
			w.Header().Set("Connection", "close")
			return b, err
		}
	}
}

// grow makes room for more, up to most bytes in all.
func (b *Body) grow(limit int64) error {
	next := min(4*int64(cap(b.Bytes)), max(limit, int64(cap(b.Bytes))+1))
	if err := b.memory.Take(b.party, next-b.reserved); err != nil {
		return err
	}
	b.reserved = next
	b.Bytes = append(make([]byte, 0, next), b.Bytes...)
	return nil
}

// Release returns the memory. The bytes must not be used afterwards.
func (b *Body) Release() {
	if b.reserved > 0 {
		b.memory.Give(b.party, b.reserved)
	}
	b.Bytes, b.reserved = nil, 0
}
