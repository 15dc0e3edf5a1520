package render

import (
	"fmt"
	"strings"
	"unicode"
)

// Table prints columns, the first aligned left and the others right.
func (p *Printer) Table(rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], width(cell))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-width(cell))
			switch {
			case i == 0:
				b.WriteString(cell + pad)
			default:
				b.WriteString("  " + pad + cell)
			}
		}
		fmt.Fprintln(p.Out, strings.TrimRight(b.String(), " "))
	}
}

// width returns how many columns of a terminal a text takes: Chinese characters take two.
func width(text string) (columns int) {
	for _, r := range text {
		columns++
		if unicode.Is(unicode.Han, r) || r >= 0x3000 && r <= 0x303f || r >= 0xff01 && r <= 0xff60 {
			columns++
		}
	}
	return columns
}

// Section prints a titled list with its length, for which print prints one line.
func Section[T any](p *Printer, title string, list []T, print func(T)) {
	fmt.Fprintf(p.Out, "\n%s (%d)\n", title, len(list))
	for _, v := range list {
		fmt.Fprint(p.Out, "  ")
		print(v)
	}
}
