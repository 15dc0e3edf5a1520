// Package title finds titles by the words of a query, Chinese or in letters. It decides
// what two readers consider equal, by which tokens a title is indexed, and whether a title
// contains a word; it stores nothing.
package title

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Chinese is written without spaces, and where a word ends is a matter of opinion. So it
// is not divided into words: a title is found by each of its characters and each pair of
// adjacent ones. Text in letters is found by whole words.

// script is how a character takes part in a word.
type script int

const (
	between   script = iota // it separates words
	lettered                // it makes words with its neighbours
	character               // it is a word on its own, as in Chinese
)

func scriptOf(r rune) script {
	switch {
	case r < utf8.RuneSelf:
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' {
			return lettered
		}
		return between
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) || r == 'ー':
		return character
	case unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r):
		return lettered
	}
	return between
}

// Fold unifies what readers consider equal: full and half width, capital and small
// letters, composed and decomposed (NFKC).
func Fold(s string) string {
	return norm.NFKC.String(strings.ToLower(norm.NFKC.String(s)))
}

// Words returns the words of a query, folded: the text between spaces and punctuation.
func Words(text string) []string {
	return strings.FieldsFunc(Fold(text), func(r rune) bool { return scriptOf(r) == between })
}

// Contains reports whether a folded title contains every word, each contiguous, and words
// in letters not as a part of a longer word.
func Contains(title string, words []string) bool {
	for _, w := range words {
		if !standsIn(title, w) {
			return false
		}
	}
	return true
}

func standsIn(title, word string) bool {
	first, _ := utf8.DecodeRuneInString(word)
	last, _ := utf8.DecodeLastRuneInString(word)
	for from := 0; ; {
		i := strings.Index(title[from:], word)
		if i < 0 {
			return false
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(title[:i])
		after, _ := utf8.DecodeRuneInString(title[i+len(word):])
		if !(i > 0 && glued(before, first)) && !(i+len(word) < len(title) && glued(last, after)) {
			return true
		}
		_, size := utf8.DecodeRuneInString(title[i:])
		from = i + size
	}
}

// glued reports whether two adjacent characters are of one word.
func glued(a, b rune) bool { return scriptOf(a) == lettered && scriptOf(b) == lettered }

// A token is what a title is found by: two adjacent characters, the last character of a
// run with nothing after it, or a word in letters.
const (
	runeBits   = 21
	wordToken  = 1 << 63 // marks a token that is the hash of a word in letters
	textShift  = 12      // 4096 buckets of tokens
	secondBits = 4       // of a bucket's number, from the second character

	// CharacterBuckets is in how many adjacent buckets the tokens are that begin with one
	// character.
	CharacterBuckets = 1 << secondBits
)

func pairToken(first, second rune) uint64 { return uint64(first)<<runeBits | uint64(second) }

// letterToken returns the beginning of the SHA-256 of a word, so that nobody can
// construct a word that is found for another.
func letterToken(word string) uint64 {
	h := sha256.Sum256([]byte(word))
	return binary.BigEndian.Uint64(h[:]) | wordToken
}

// Bucket returns the bucket of a token. Tokens with the same first character are in
// adjacent buckets, 1<<secondBits of them from firstBucket on.
func Bucket(token uint64) int64 {
	if token&wordToken != 0 {
		return int64(token>>20) & (1<<textShift - 1)
	}
	return FirstBucket(rune(token>>runeBits)) | int64(spread(rune(token&(1<<runeBits-1)))>>(32-secondBits))
}

// FirstBucket returns the first of the CharacterBuckets buckets with the tokens that begin
// with a character.
func FirstBucket(first rune) int64 {
	return int64(spread(first)>>(32-textShift+secondBits)) << secondBits
}

// BeginsWith reports whether a token is a character, alone or with another one after it.
func BeginsWith(token uint64, c rune) bool { return token&wordToken == 0 && rune(token>>runeBits) == c }

func spread(r rune) uint32 { return uint32(r) * 2654435761 } // Knuth's multiplicative hash

// Tokens returns the tokens of a folded title, each once, in no order.
func Tokens(title string) (tokens []uint64) {
	seen := map[uint64]bool{}
	eachToken(title, func(token uint64) {
		if !seen[token] {
			seen[token] = true
			tokens = append(tokens, token)
		}
	})
	return tokens
}

func eachToken(title string, yield func(uint64)) {
	word := -1        // start of the word, or -1
	before := rune(0) // the character before, or 0
	end := func(at int) {
		if word >= 0 {
			yield(letterToken(title[word:at]))
			word = -1
		}
	}
	endRun := func() {
		if before != 0 {
			yield(pairToken(before, 0))
			before = 0
		}
	}
	for i, r := range title {
		switch scriptOf(r) {
		case lettered:
			endRun()
			if word < 0 {
				word = i
			}
		case character:
			end(i)
			if before != 0 {
				yield(pairToken(before, r))
			}
			before = r
		default:
			end(i)
			endRun()
		}
	}
	end(len(title))
	endRun()
}

// Lookup returns what titles with the words are found by: tokens that must all be in the
// title, and characters that are a run of their own in the query.
func Lookup(words []string) (tokens []uint64, characters []rune) {
	seen := map[uint64]bool{}
	for _, w := range words {
		before := uint64(0) // the previous token, if it was a pair
		eachToken(w, func(token uint64) {
			pair := token&wordToken == 0 && token&(1<<runeBits-1) != 0
			last := token&wordToken == 0 && !pair
			switch {
			case last && before != 0: // the previous pair contains it
			case seen[token]:
			case last:
				characters = append(characters, rune(token>>runeBits))
				seen[token] = true
			default:
				tokens = append(tokens, token)
				seen[token] = true
			}
			before = 0
			if pair {
				before = token
			}
		})
	}
	return tokens, characters
}

// Exact reports whether a title that has the tokens certainly has the words.
func Exact(words []string) bool {
	for _, w := range words {
		letters, characters := false, false
		for _, r := range w {
			letters = letters || scriptOf(r) == lettered
			characters = characters || scriptOf(r) == character
		}
		if characters && (letters || utf8.RuneCountInString(w) > 2) {
			return false
		}
	}
	return true
}
