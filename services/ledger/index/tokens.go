package index

import "errors"

// tokens calls yield with the postings of the tokens of some buckets.
func (r *reader) tokens(at place, first, end term, yield func(token uint64, p postings) error) error {
	if at.tail != nil {
		r.index.mu.RLock()
		defer r.index.mu.RUnlock()
		for t := first; t < end; t++ {
			for token, list := range at.tail.text[t] {
				if err := yield(token, encodeList(list)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return r.each(at, first, end, func(_ term, raw []byte) (err error) {
		broken := bucket(raw).each(func(token uint64, p postings) bool {
			err = yield(token, p)
			return err == nil
		})
		return errors.Join(broken, err)
	})
}

// andToken keeps in s the titles that have a token.
func (r *reader) andToken(at place, k kind, token uint64, s *set) error {
	t := k.term(bucketOf(token))
	if at.tail != nil {
		r.index.mu.RLock()
		list := at.tail.text[t][token]
		r.index.mu.RUnlock()
		var have set
		for _, p := range list {
			have.add(p)
		}
		s.and(&have)
		return nil
	}
	raw, err := r.postings(at, t)
	if err != nil {
		return err
	}
	found, err := bucket(raw).find(token)
	if err != nil {
		return err
	}
	return found.and(s)
}

// andCharacter keeps in s the titles that have a character.
func (r *reader) andCharacter(at place, k kind, c rune, s *set) error {
	var have set
	first := k.term(firstBucket(c))
	err := r.tokens(at, first, first+1<<secondBits, func(token uint64, p postings) error {
		if token&wordToken != 0 || rune(token>>runeBits) != c {
			return nil
		}
		return p.addTo(&have)
	})
	s.and(&have)
	return err
}
