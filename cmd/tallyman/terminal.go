package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// Of a terminal that does not know its own size.
const (
	usualColumns = 80
	usualRows    = 24
)

// terminal gives the terminal that out is, if it is one.
func terminal(out io.Writer) (*os.File, bool) {
	f, ok := asIs(out).(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// guarded lets nothing through that a terminal would obey. Every command writes through one, so that no text of a
// job, of SQS or of Kubernetes needs to be thought of where it is printed. JSON says the same behind it as before.
type guarded struct{ out io.Writer }

func (g guarded) Write(p []byte) (int, error) {
	if _, err := io.WriteString(g.out, harmless(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// asIs gives what a guard stands before.
func asIs(out io.Writer) io.Writer {
	if g, ok := out.(guarded); ok {
		return g.out
	}
	return out
}

// harmless shows each control character by its number, as JSON would; the end of a line and the tab stay.
func harmless(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)): // no character at all
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case unicode.IsControl(r) && r != '\n' && r != '\t':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// inOneCell is a text for a place in a line or a table: harmless, and with nothing that begins another place.
func inOneCell(text string) string {
	return strings.NewReplacer("\n", " ", "\t", " ").Replace(harmless(text))
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
		line = inOneCell(line)
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
