package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Budgets of style; a longer one carries a comment that argues for itself and begins "Long:".
const (
	maxFunction = 70
	maxFile     = 400
)

func TestGoFunctionsAndFilesAreShort(t *testing.T) {
	t.Parallel()
	for _, name := range files(t, ".go") {
		if strings.HasSuffix(name, "_test.go") || strings.Contains(name, "testdata/") {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, at(name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if n := fset.Position(f.FileEnd).Line; n > maxFile && !argued(f.Doc) {
			t.Errorf("%s has %d lines, at most %d: find the second noun in it", name, n, maxFile)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
			if n > maxFunction && !argued(fn.Doc) {
				t.Errorf("%s: %s has %d lines, at most %d", name, fn.Name.Name, n, maxFunction)
			}
		}
	}
}

func argued(doc *ast.CommentGroup) bool { return doc != nil && strings.Contains(doc.Text(), "Long:") }

var rustFunction = regexp.MustCompile(`^(\s*)(pub(\([a-z]+\))? )?(async )?(const )?fn (\w+)`)

// Rust is formatted by rustfmt, so a function ends at the first closing brace of its own indent.
func TestRustFunctionsAndFilesAreShort(t *testing.T) {
	t.Parallel()
	for _, name := range files(t, ".rs") {
		if !strings.HasPrefix(name, "rust-processor/src/") {
			continue
		}
		b, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		body, _, _ := strings.Cut(string(b), "#[cfg(test)]\nmod ")
		lines := strings.Split(body, "\n")
		if len(lines) > maxFile && !strings.Contains(body, "Long:") {
			t.Errorf("%s has %d lines, at most %d: find the second noun in it", name, len(lines), maxFile)
		}
		for i, line := range lines {
			m := rustFunction.FindStringSubmatch(line)
			if m == nil || strings.HasSuffix(line, "}") || strings.HasSuffix(line, ";") {
				continue // none, or one that ends where it begins
			}
			end := i
			for end < len(lines) && lines[end] != m[1]+"}" {
				end++
			}
			if end-i+1 > maxFunction && end < len(lines) {
				t.Errorf("%s:%d: %s has %d lines, at most %d", name, i+1, m[6], end-i+1, maxFunction)
			}
		}
	}
}

func TestNoDrawersAndNoSleeping(t *testing.T) {
	t.Parallel()
	sleep := "time." + "Sleep("
	for _, name := range files(t, ".go", ".rs") {
		for _, drawer := range []string{"util/", "utils/", "common/", "helpers/", "misc/"} {
			if strings.Contains("/"+name, "/"+drawer) {
				t.Errorf("%s: a drawer has no noun; say what is in it", name)
			}
		}
		b, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") && strings.Contains(string(b), sleep) {
			t.Errorf("%s sleeps; wait for a signal or move a clock", name)
		}
		if strings.HasSuffix(name, ".go") && strings.Contains(string(b), "\nfunc init()") {
			t.Errorf("%s has an init(); construct what you need where it is needed", name)
		}
	}
}
