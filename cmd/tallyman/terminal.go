package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// Of a terminal that does not know its own size.
const (
	usualColumns = 80
	usualRows    = 24
)

// terminal gives the terminal that out is, if it is one.
func terminal(out io.Writer) (*os.File, bool) {
	f, ok := out.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

func sizeOf(f *os.File) (columns, rows int) {
	columns, rows, err := term.GetSize(int(f.Fd()))
	if err != nil || columns < 1 || rows < 1 {
		return usualColumns, usualRows
	}
	return columns, rows
}

// cut makes each line fit into so many columns: one that went on in the next row would be drawn over wrongly, and so
// would one in which a job's own words move the cursor.
func cut(lines []string, columns int) []string {
	for i, line := range lines {
		line = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, line)
		if runes := []rune(line); len(runes) > columns {
			line = string(runes[:max(0, columns-1)]) + "…"
		}
		lines[i] = line
	}
	return lines
}

// draw writes lines over those that were drawn before, in one write, so that nothing flickers.
func draw(out io.Writer, lines []string, drawn int) error {
	var b strings.Builder
	if drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", drawn)
	}
	for _, line := range lines {
		b.WriteString("\r\x1b[2K" + line + "\n")
	}
	b.WriteString("\x1b[J")
	_, err := io.WriteString(out, b.String())
	return err
}
