package export

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"mime/quotedprintable"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Changes that mail, editors and file transfers make to a text without altering its
// content.
const (
	damageUTF16 = "UTF-16"
	damageBOM   = "a byte order mark"
	damageEnds  = "line ends (CR LF)"
	damageCR    = "line ends (CR)"
	damageWhite = "white space at the ends of lines"
	damageLast  = "the newline at its end"
	damageBlank = "empty lines"
	damageMail  = "quoted-printable"
)

// Restore reverts changes of transport to a text: UTF-16, a byte order mark, other line
// ends, white space at the ends of lines, a missing or repeated newline at its end,
// repeated empty lines, quoted-printable. It returns what it reverted. The text must
// still be verified.
func Restore(raw []byte) (text []byte, damage []string) {
	text, damage = decodeText(raw)
	for _, step := range []struct {
		name string
		undo func([]byte) []byte
	}{{damageEnds, undoEnds}, {damageWhite, undoWhite}, {damageMail, undoMail}, {damageBlank, undoBlank}, {damageLast, undoLast}} {
		if mended := step.undo(text); !bytes.Equal(mended, text) {
			text, damage = mended, append(damage, step.name)
		}
	}
	return text, damage
}

// decodeText reverts an encoding other than UTF-8, a byte order mark, and lines that end
// with CR alone.
func decodeText(raw []byte) (text []byte, damage []string) {
	if decoded, ok := fromUTF16(raw); ok {
		raw, damage = decoded, append(damage, damageUTF16)
	}
	if plain, ok := bytes.CutPrefix(raw, []byte("\uFEFF")); ok {
		raw = plain
		if damage == nil { // it is part of UTF-16
			damage = append(damage, damageBOM)
		}
	}
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') >= 0 {
		raw, damage = bytes.ReplaceAll(raw, []byte("\r"), []byte("\n")), append(damage, damageCR)
	}
	return raw, damage
}

// fromUTF16 decodes UTF-16 of either byte order, with or without its mark: every text of
// ours begins with an ASCII character.
func fromUTF16(raw []byte) ([]byte, bool) {
	if len(raw) < 2 || len(raw)%2 != 0 {
		return nil, false
	}
	high, low := 0, 1
	switch {
	case raw[0] == 0xff && raw[1] == 0xfe, raw[1] == 0 && raw[0] != 0:
		high, low = 1, 0
	case raw[0] == 0xfe && raw[1] == 0xff, raw[0] == 0 && raw[1] != 0:
	default:
		return nil, false
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = uint16(raw[2*i+high])<<8 | uint16(raw[2*i+low])
	}
	text := []byte(string(utf16.Decode(units)))
	return text, !bytes.ContainsRune(text, utf8.RuneError)
}

func undoEnds(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")) }

func undoWhite(text []byte) []byte {
	lines := bytes.Split(text, []byte("\n"))
	for i, line := range lines {
		lines[i] = bytes.TrimRight(line, " \t\r")
	}
	return bytes.Join(lines, []byte("\n"))
}

// undoMail decodes quoted-printable. Our texts contain base64, so their encoding contains
// "=3D"; a text that is not encoded has a "=" that cannot be decoded.
func undoMail(text []byte) []byte {
	if !bytes.Contains(text, []byte("=3D")) || len(mailEscape.FindAll(text, -1)) != bytes.Count(text, []byte("=")) {
		return text
	}
	return decodeMail(text)
}

// mailEscape matches an escape of quoted-printable: a byte, or a continued line.
var mailEscape = regexp.MustCompile("=(?:[0-9A-F]{2}|\n)")

func decodeMail(text []byte) []byte {
	decoded, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(text)))
	if err != nil {
		return text
	}
	return decoded
}

// undoBlank removes empty lines at the beginning, and all but one of several.
func undoBlank(text []byte) []byte {
	text = bytes.TrimLeft(text, "\n")
	for bytes.Contains(text, []byte("\n\n\n")) {
		text = bytes.ReplaceAll(text, []byte("\n\n\n"), []byte("\n\n"))
	}
	return text
}

func undoLast(text []byte) []byte {
	return append(bytes.TrimRight(text, "\n"), '\n')
}

// restoreLimit bounds the size of an export's file that is restored in memory.
const restoreLimit = 1 << 28

// restore reverts the changes of transport to a file of an export that differs from the
// manifest, if nothing else happened to it.
func (c *check) restore(f ManifestFile) bool {
	raw, err := c.readSmall(f.Path, restoreLimit)
	if err != nil {
		return false
	}
	text, damage, ok := restoreTo(raw, f.SHA256)
	if ok {
		c.addRestored(f.Path, text, damage)
	}
	return ok
}

// endsInCR reports whether the lines of a file seem to end with CR alone, which does not
// change its size.
func (c *check) endsInCR(f ManifestFile) bool {
	if strings.HasPrefix(f.Path, tileFolder) {
		return false
	}
	file, err := c.openStored(f.Path)
	if err != nil {
		return false
	}
	defer file.Close()
	head, err := io.ReadAll(io.LimitReader(file, 1<<22))
	return err == nil && bytes.IndexByte(head, '\r') >= 0 && bytes.IndexByte(head, '\n') < 0
}

// addRestored notes a file whose text before the damage of transport is known.
func (c *check) addRestored(path string, text []byte, damage []string) {
	if c.restoredText == nil {
		c.restoredText = map[string][]byte{}
	}
	c.restoredText[path], c.files[path] = text, int64(len(text))
	c.report.Damaged = append(c.report.Damaged, Damaged{path, damage})
}

// restoreTo finds the text with a given hash that transport changed. A rules file may
// have had any line ends, and a tile is not text: the hash decides.
func restoreTo(raw []byte, want string) (text []byte, damage []string, ok bool) {
	matches := func(text []byte) bool {
		sum := sha256.Sum256(text)
		return hexOf(sum[:]) == want
	}
	decoded, encoding := decodeText(raw)
	identity := func(b []byte) []byte { return b }
	type step struct {
		name string
		undo func([]byte) []byte
	}
	none := step{"", identity}
	for _, start := range []step{{"", func([]byte) []byte { return raw }}, {"encoding", func([]byte) []byte { return decoded }}} {
		for _, ends := range []step{none, {damageEnds, undoEnds}} {
			for _, white := range []step{none, {damageWhite, undoWhite}} {
				for _, last := range []step{none, {damageLast, undoLast}, {damageLast, func(b []byte) []byte { return bytes.TrimRight(b, "\n") }},
					{damageBlank, func(b []byte) []byte { return undoLast(undoBlank(b)) }}, {damageMail, func(b []byte) []byte { return undoLast(decodeMail(b)) }}} {
					text := last.undo(bytes.Clone(white.undo(ends.undo(start.undo(nil)))))
					if !matches(text) {
						continue
					}
					if start.name != "" {
						damage = append(damage, encoding...)
					}
					for _, s := range []step{ends, white, last} {
						if s.name != "" {
							damage = append(damage, s.name)
						}
					}
					return text, damage, true
				}
			}
		}
	}
	return nil, nil, false
}

// Damaged is a file of an export that transport changed without altering its content.
type Damaged struct {
	Path   string   `json:"path"`
	Damage []string `json:"damage"`
}

func (d Damaged) String() string { return fmt.Sprintf("%s: %v", d.Path, d.Damage) }

// open opens a file of the inventory, with changes of transport reverted.
func (c *check) open(path string) (io.ReadCloser, error) {
	if text, ok := c.restoredText[path]; ok {
		return io.NopCloser(bytes.NewReader(text)), nil
	}
	return c.openStored(path)
}
