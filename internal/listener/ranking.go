package listener

// ranking finds a peer that has most connections of a kind, in constant time.
type ranking struct {
	levels []map[*peer]struct{} // peers by how many connections they have
}

// move notes that a peer has another number of connections than before.
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

// top returns a peer with the highest number, or nil where no peer has any.
func (r *ranking) top() *peer {
	for last := len(r.levels) - 1; last > 0; last-- {
		for p := range r.levels[last] {
			return p
		}
		r.levels = r.levels[:last]
	}
	return nil
}
