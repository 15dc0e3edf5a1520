package extract

import (
	"fmt"
	"slices"
	"strings"
)

// Vocabulary has every term that has a name. It does no locking.
type Vocabulary struct {
	terms map[Named]Term
	names map[Kind][]string // by number
}

// NewVocabulary returns a vocabulary without terms.
func NewVocabulary() *Vocabulary {
	return &Vocabulary{terms: map[Named]Term{}, names: map[Kind][]string{}}
}

// Term returns the term of a name.
func (v *Vocabulary) Term(n Named) (t Term, known bool) {
	t, known = v.terms[n]
	return t, known
}

// Names returns the names of the terms of a kind, by number.
func (v *Vocabulary) Names(k Kind) []string { return v.names[k] }

// Add adds a name that has no term.
func (v *Vocabulary) Add(n Named) Term {
	t := n.Kind.Term(int64(len(v.names[n.Kind])))
	v.terms[n] = t
	v.names[n.Kind] = append(v.names[n.Kind], n.Value)
	return t
}

// Within returns the terms of a kind whose names have a prefix.
func (v *Vocabulary) Within(k Kind, prefix string) (terms []Term) {
	for i, name := range v.names[k] {
		if strings.HasPrefix(name, prefix) {
			terms = append(terms, k.Term(int64(i)))
		}
	}
	return terms
}

// TermsOf returns the permanent terms of an entry, all of which are known.
func (v *Vocabulary) TermsOf(e *Entry) ([]Term, error) {
	terms := slices.Clone(e.Flags)
	for _, n := range e.Named {
		t, known := v.terms[n]
		if !known {
			return nil, fmt.Errorf("%w: %q has no term", ErrDamaged, n.Value)
		}
		terms = append(terms, t)
	}
	return terms, nil
}
