package endpoint

import (
	"slices"

	"github.com/tocsin-project/tocsin/internal/share"
)

// MaxMemory is the default limit, in bytes, of requests in flight over NATS and HTTP; each
// party has its share of it.
const MaxMemory = 256 << 20

// places are the free places at an endpoint. Unnamed requests count as one party, since a
// client can invent any name; within that each connection has a share.
type places struct{ all, unnamed *share.Pool }

func newPlaces(limit int) places {
	return places{share.NewPool(int64(limit)), share.NewPool(int64(max(1, limit/2)))}
}

// takePlace takes a place at an endpoint, and memory for the request.
func (s *Server) takePlace(at places, r Request) (leave func(), err error) {
	var give []func()
	leave = func() {
		for _, g := range slices.Backward(give) {
			g()
		}
	}
	take := func(pool *share.Pool, party string, n int64) {
		if err == nil {
			if err = pool.Take(party, n); err == nil {
				give = append(give, func() { pool.Give(party, n) })
			}
		}
	}
	if r.Party == unnamed {
		take(at.unnamed, connectionOf(r.Reply), 1)
	}
	take(at.all, r.Party, 1)
	take(s.cfg.Memory, r.Party, r.size())
	if err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

// size returns the size of a request in bytes.
func (r Request) size() int64 {
	size := len(r.Data)
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v)
		}
	}
	return int64(size)
}
