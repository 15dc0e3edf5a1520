// Package sourcetext holds quotes to the text of an instrument.
//
// A quote is found only where its words are: forms of another width and white space
// within Chinese do not count, every other character does. Reading a text never alters
// it, and the same text and quote give the same answer.
package sourcetext

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// Text is the text of an instrument, by article.
type Text []article

// article is a part of a text: its number as it is printed, and its words as plain
// returns them.
type article struct{ number, words string }

// articleHeading is the beginning of a line that opens an article.
var articleHeading = regexp.MustCompile(`^(第[零〇一二三四五六七八九十百]+条|(Article|Section)\s+[0-9]+)`)

var citedArticle = regexp.MustCompile(`第[零〇一二三四五六七八九十百]+条`)

// ArticleOf returns the number of the article in a Chinese citation, or "".
func ArticleOf(citation string) string { return citedArticle.FindString(citation) }

// Read reads the text of an instrument. What stands before its first article is a
// part of its own, without a number.
func Read(fsys fs.FS, name string) (Text, error) {
	raw, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	text := Text{{}}
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		if number := articleHeading.FindString(line); number != "" {
			text = append(text, article{number: number})
		}
		text[len(text)-1].words += line + "\n"
	}
	for i := range text {
		text[i].words = plain(text[i].words)
	}
	return text, nil
}

// plain removes what differs between two prints of the same words: forms of another
// width become the usual one (`，` is `,`, `１` is `1`), and white space counts only
// between two words that are written with spaces, where any amount of it is one. All else
// counts: `、` is neither `，` nor 和.
func plain(text string) string {
	var b strings.Builder
	last, spaced := rune(0), false
	for _, r := range width.Fold.String(text) {
		if unicode.IsSpace(r) {
			spaced = true
			continue
		}
		if spaced && ofSpacedWord(last) && ofSpacedWord(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
		last, spaced = r, false
	}
	return b.String()
}

// ofSpacedWord reports whether the script of a letter or digit separates words by spaces,
// as Chinese does not.
func ofSpacedWord(r rune) bool {
	return (unicode.IsLetter(r) || unicode.IsDigit(r)) && !unicode.Is(unicode.Han, r)
}

// ellipsis marks what a quote leaves out: …… in Chinese, … in English.
var ellipsis = regexp.MustCompile(`…+`)

// Find looks for a quote, whose parts must follow each other in one article: in that of
// the number, if the text has one of it. It returns what is wrong, or "".
func (t Text) Find(quote, number string) string {
	place := "the text"
	if i := slices.IndexFunc(t, func(a article) bool { return number != "" && a.number == number }); i >= 0 {
		t, place = t[i:i+1], number
	}
	var parts []string
	for _, part := range ellipsis.Split(quote, -1) {
		if part = plain(part); part == "" {
			continue
		}
		if !slices.ContainsFunc(t, func(a article) bool { return strings.Contains(a.words, part) }) {
			return fmt.Sprintf("these words are not in %s: %q", place, part)
		}
		parts = append(parts, part)
	}
	if !slices.ContainsFunc(t, func(a article) bool { return inOrder(a.words, parts) }) {
		return "its parts do not follow each other in one article"
	}
	return ""
}

func inOrder(words string, parts []string) bool {
	for _, part := range parts {
		_, rest, found := strings.Cut(words, part)
		if !found {
			return false
		}
		words = rest
	}
	return len(parts) > 0
}
