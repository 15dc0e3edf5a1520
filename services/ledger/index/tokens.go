package index

import (
	"errors"

	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
	"github.com/tocsin-project/tocsin/services/ledger/index/title"
)

// tokens calls yield with the postings of the tokens of some buckets.
func (r *reader) tokens(at place, first, end extract.Term, yield func(token uint64, p postings.List) error) error {
	if at.tail != nil {
		r.index.mu.RLock()
		defer r.index.mu.RUnlock()
		for t := first; t < end; t++ {
			for token, list := range at.tail.text[t] {
				if err := yield(token, postings.EncodeList(list)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return r.each(at, first, end, func(_ extract.Term, raw []byte) (err error) {
		broken := postings.Bucket(raw).Each(func(token uint64, p postings.List) bool {
			err = yield(token, p)
			return err == nil
		})
		return errors.Join(broken, err)
	})
}

// andToken keeps in s the titles that have a token.
func (r *reader) andToken(at place, k extract.Kind, token uint64, s *postings.Set) error {
	t := k.Term(title.Bucket(token))
	if at.tail != nil {
		r.index.mu.RLock()
		list := at.tail.text[t][token]
		r.index.mu.RUnlock()
		var have postings.Set
		for _, p := range list {
			have.Add(p)
		}
		s.And(&have)
		return nil
	}
	raw, err := r.stored(at, t)
	if err != nil {
		return err
	}
	found, err := postings.Bucket(raw).Find(token)
	if err != nil {
		return err
	}
	return found.And(s)
}

// andCharacter keeps in s the titles that have a character.
func (r *reader) andCharacter(at place, k extract.Kind, c rune, s *postings.Set) error {
	var have postings.Set
	first := k.Term(title.FirstBucket(c))
	err := r.tokens(at, first, first+title.CharacterBuckets, func(token uint64, p postings.List) error {
		if !title.BeginsWith(token, c) {
			return nil
		}
		return p.AddTo(&have)
	})
	s.And(&have)
	return err
}
