package listener

// ranking finds a peer with the most connections in a stage, in constant time.
type ranking struct {
	levels []map[*peer]struct{} // peers by number of connections
}

// move updates a peer's number of connections.
func (r *ranking) move(p *peer, before, now int) {
	if before > 0 {
		delete(r.levels[before], p)
	}
	for len(r.levels) <= now {
		r.levels = append(r.levels, nil)
	}
	if now == 0 {
		return
	}
	if r.levels[now] == nil {
		r.levels[now] = map[*peer]struct{}{}
	}
	r.levels[now][p] = struct{}{}
}

// top returns a peer with the highest number, or nil if no peer has any.
func (r *ranking) top() *peer {
	for last := len(r.levels) - 1; last > 0; last-- {
		for p := range r.levels[last] {
			return p
		}
		r.levels = r.levels[:last]
	}
	return nil
}
