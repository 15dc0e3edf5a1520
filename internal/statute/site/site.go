// Package site compares the site of a report with the kinds of sites of a statute pack: by
// its owner, its level and, of a platform, its size.
//
// It is pure. What a report leaves open stays open: it may mean several kinds, and only
// an answer that is the same for all of them is certain.
package site

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/event"
)

// What kinds of sites differ by.
var (
	Owners = []string{"party-government", "news", "enterprise", "platform"}
	Levels = []string{"central", "provincial", "prefecture", "other"}
	Sizes  = []string{"super-large", "large", "other"}
)

// Set is a set of kinds of sites: one bit for each owner, level and size.
type Set uint64

// All has every kind.
const All Set = 1<<48 - 1

// setOf returns the kinds with one of the owners, levels and sizes; an empty list stands
// for all.
func setOf(owners, levels, sizes []string) (set Set) {
	among := func(list []string, s string) bool { return len(list) == 0 || slices.Contains(list, s) }
	for i, owner := range Owners {
		for j, level := range Levels {
			for k, size := range Sizes {
				if among(owners, owner) && among(levels, level) && among(sizes, size) {
					set |= 1 << ((i*len(Levels)+j)*len(Sizes) + k)
				}
			}
		}
	}
	return set
}

// ofOwner, ofLevel and ofSize have the kinds with one property each.
var ofOwner, ofLevel, ofSize = byName(Owners, 0), byName(Levels, 1), byName(Sizes, 2)

func byName(names []string, property int) map[string]Set {
	out := make(map[string]Set, len(names))
	for _, name := range names {
		var lists [3][]string
		lists[property] = []string{name}
		out[name] = setOf(lists[0], lists[1], lists[2])
	}
	return out
}

// ofClass has the kinds that an earlier report may have meant by a class. The levels were
// those of portals and news sites; everything else was other.
var ofClass = map[string]Set{
	"central":    setOf([]string{"party-government", "news"}, []string{"central"}, nil),
	"provincial": setOf([]string{"party-government", "news"}, []string{"provincial"}, nil),
	"prefecture": setOf([]string{"party-government", "news"}, []string{"prefecture"}, nil),
	"other":      setOf([]string{"enterprise", "platform"}, nil, nil) | setOf([]string{"party-government", "news"}, []string{"other"}, nil),
}

// Of returns the kinds that a report may mean.
func Of(s *event.Site) Set {
	set := All
	narrow := func(by map[string]Set, name string) {
		if name != "" {
			set &= by[name]
		}
	}
	narrow(ofOwner, s.Owner)
	narrow(ofLevel, s.Level)
	narrow(ofSize, s.Size)
	if set&ofClass[s.Class] != 0 {
		set &= ofClass[s.Class]
	}
	return set
}

// Kinds are the kinds of sites that a line of a pack speaks of.
type Kinds struct {
	Set  Set // none written: all
	List []Kind
	Text string // as written
}

// Kind is one kind of site as written; what is left out does not matter.
type Kind struct {
	Owner, Level, Size words
}

// UnmarshalJSON reads one kind or a list of them: {owner, level, size}, each a word or a
// list of words.
func (k *Kinds) UnmarshalJSON(raw []byte) error {
	var list []Kind
	if raw[0] != '[' {
		raw = slices.Concat([]byte{'['}, raw, []byte{']'})
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	texts := make([]string, len(list))
	for i, one := range list {
		k.Set |= setOf(one.Owner, one.Level, one.Size)
		texts[i] = strings.Join(slices.DeleteFunc([]string{
			strings.Join(one.Owner, "/"), strings.Join(one.Level, "/"), strings.Join(one.Size, "/"),
		}, func(s string) bool { return s == "" }), " ")
	}
	k.List, k.Text = list, strings.Join(texts, "|")
	return nil
}

// words are one word or a list of words.
type words []string

// UnmarshalJSON reads either.
func (w *words) UnmarshalJSON(raw []byte) error {
	if raw[0] == '[' {
		return json.Unmarshal(raw, (*[]string)(w))
	}
	*w = make(words, 1)
	return json.Unmarshal(raw, &(*w)[0])
}
