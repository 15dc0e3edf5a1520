package statute

import (
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/event"
)

// Whose site it is, at which level, and how large a platform is.
var (
	siteOwners = []string{"party-government", "news", "enterprise", "platform"}
	siteLevels = []string{"central", "provincial", "prefecture", "other"}
	siteSizes  = []string{"super-large", "large", "other"}
)

// sites is a set of kinds of sites: one bit for each owner, level and size.
type sites uint64

const everySite sites = 1<<48 - 1

// sitesOf returns the kinds of sites with one of the owners, levels and sizes; an empty
// list stands for all.
func sitesOf(owners, levels, sizes []string) (set sites) {
	among := func(list []string, s string) bool { return len(list) == 0 || slices.Contains(list, s) }
	for i, owner := range siteOwners {
		for j, level := range siteLevels {
			for k, size := range siteSizes {
				if among(owners, owner) && among(levels, level) && among(sizes, size) {
					set |= 1 << ((i*len(siteLevels)+j)*len(siteSizes) + k)
				}
			}
		}
	}
	return set
}

// ofOwner, ofLevel and ofSize have the kinds of sites with one property each.
var ofOwner, ofLevel, ofSize = byName(siteOwners, 0), byName(siteLevels, 1), byName(siteSizes, 2)

func byName(names []string, property int) map[string]sites {
	out := make(map[string]sites, len(names))
	for _, name := range names {
		var lists [3][]string
		lists[property] = []string{name}
		out[name] = sitesOf(lists[0], lists[1], lists[2])
	}
	return out
}

// ofClass has the kinds of sites that an earlier report may have meant by a class. The
// levels were those of portals and news sites; everything else was other.
var ofClass = map[string]sites{
	"central":    sitesOf([]string{"party-government", "news"}, []string{"central"}, nil),
	"provincial": sitesOf([]string{"party-government", "news"}, []string{"provincial"}, nil),
	"prefecture": sitesOf([]string{"party-government", "news"}, []string{"prefecture"}, nil),
	"other":      sitesOf([]string{"enterprise", "platform"}, nil, nil) | sitesOf([]string{"party-government", "news"}, []string{"other"}, nil),
}

// couldBe returns the kinds of sites that a report may mean.
func couldBe(s *event.Site) sites {
	set := everySite
	narrow := func(by map[string]sites, name string) {
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

// has reports whether a site is in the set: unknown where the report leaves open which of
// two kinds it is, one in the set and one not.
func (set sites) has(s *event.Site) Verdict {
	switch could := couldBe(s); {
	case set == 0 || could&^set == 0:
		return True
	case could&set == 0:
		return False
	default:
		return Unknown
	}
}

// every returns the kinds that a narrowing allows; none written means all.
func (set sites) every() sites {
	if set == 0 {
		return everySite
	}
	return set
}

// siteJSON is one kind of site as a pack has it.
type siteJSON struct {
	Owner oneOrMore[string] `json:"owner"`
	Level oneOrMore[string] `json:"level"`
	Size  oneOrMore[string] `json:"size"`
}

func (s siteJSON) String() string {
	var words []string
	for _, list := range [][]string{s.Owner, s.Level, s.Size} {
		if len(list) > 0 {
			words = append(words, strings.Join(list, "/"))
		}
	}
	return strings.Join(words, " ")
}

// sitesIn reads the kinds of sites of a pack, and their text for people.
func sitesIn(list oneOrMore[siteJSON]) (set sites, text string) {
	words := make([]string, len(list))
	for i, s := range list {
		set |= sitesOf(s.Owner, s.Level, s.Size)
		words[i] = s.String()
	}
	return set, strings.Join(words, "|")
}
