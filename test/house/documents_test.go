package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	inBackticks = regexp.MustCompile("`([^`\n]+)`")
	linkTarget  = regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)
	pathLike    = regexp.MustCompile(`^\.?[A-Za-z0-9_\-]+(/[A-Za-z0-9_.\-]+)*/?$`)
	testName    = regexp.MustCompile(`^(Test|Fuzz|Benchmark)[A-Z]\w+$`)
	makeTarget  = regexp.MustCompile(`^make ([a-z][a-z0-9-]*)`)
)

func documents(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, name := range files(t, ".md") {
		b, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(b)
	}
	return all
}

// A path in a document is one that begins with a folder of ours, or a link.
func TestDocumentsNameOnlyWhatExists(t *testing.T) {
	t.Parallel()
	top := make(map[string]bool)
	for _, name := range files(t, "") {
		top[strings.SplitN(name, "/", 2)[0]] = true
	}
	for doc, text := range documents(t) {
		for _, m := range inBackticks.FindAllStringSubmatch(text, -1) {
			p := m[1]
			if !pathLike.MatchString(p) || !strings.Contains(p, "/") || !top[strings.SplitN(p, "/", 2)[0]] {
				continue
			}
			if _, err := os.Stat(at(p)); err != nil {
				t.Errorf("%s names `%s`, which does not exist", doc, p)
			}
		}
		for _, m := range linkTarget.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(at(filepath.Dir(doc)), m[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", doc, m[1])
			}
		}
	}
}

func TestDocumentsNameOnlyTestsAndTargetsThatExist(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	for _, name := range files(t, "_test.go", ".rs") {
		b, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		code.Write(b)
	}
	makefile, err := os.ReadFile(at("Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for doc, text := range documents(t) {
		for _, m := range inBackticks.FindAllStringSubmatch(text, -1) {
			if testName.MatchString(m[1]) && !strings.Contains(code.String(), "func "+m[1]+"(") {
				t.Errorf("%s names the test %s, which does not exist", doc, m[1])
			}
			if mt := makeTarget.FindStringSubmatch(m[1]); mt != nil && !strings.Contains("\n"+string(makefile), "\n"+mt[1]+":") {
				t.Errorf("%s names `make %s`, which is no target", doc, mt[1])
			}
		}
	}
}

// Every invariant of ARCHITECTURE.md names the test that keeps it.
func TestEveryInvariantNamesItsTest(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(at("ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for paragraph := range strings.SplitSeq(string(b), "\n\n") {
		if !strings.HasPrefix(paragraph, "**Invariant") {
			continue
		}
		n++
		kept := false
		for _, m := range inBackticks.FindAllStringSubmatch(paragraph, -1) {
			kept = kept || testName.MatchString(m[1]) || strings.HasPrefix(m[1], "rust-processor/tests/")
		}
		if !kept {
			t.Errorf("an invariant names no test: %.80s…", paragraph)
		}
	}
	if n < 10 {
		t.Errorf("only %d invariants: this test looks for the wrong words", n)
	}
}

// Nothing committed names a machine it was written on, nor a registry's host.
func TestNothingNamesAMachine(t *testing.T) {
	t.Parallel()
	banned := regexp.MustCompile(`(^|[^a-zA-Z0-9_.])/(work|farm)/|` + "proxy" + `\.golang\.org|registry\.npmjs|static\.crates\.io|repo1?\.maven`)
	for _, name := range files(t, ".go", ".rs", ".md", ".yaml", ".toml", "Makefile", ".sh", "run") {
		b, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		if name != "test/house/documents_test.go" && banned.Match(b) {
			t.Errorf("%s names a machine's path or a registry: %s", name, banned.Find(b))
		}
	}
}

var (
	pastedCommand = regexp.MustCompile(`(?m)^(\$ )?tallyman [a-z]`)
	wantedPackage = regexp.MustCompile(`missing\+=\(([^)]+)\)`)
)

// Whoever pastes a line has the command: a document that leaves out its folder says which it is.
func TestDocumentsSayWhereTheCommandIs(t *testing.T) {
	t.Parallel()
	n := 0
	for doc, text := range documents(t) {
		if !pastedCommand.MatchString(text) {
			continue
		}
		n++
		if !strings.Contains(text, "bin/tallyman") {
			t.Errorf("%s uses a bare `tallyman`, and does not say that it is bin/tallyman in a checkout", doc)
		}
	}
	if n == 0 {
		t.Error("no document uses the command: this test looks for the wrong words")
	}
}

// What the tests need is said before they are run, by the names that Debian gives it.
func TestTheReadmeNamesWhatTheTestsNeed(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile(at("scripts/test"))
	if err != nil {
		t.Fatal(err)
	}
	readme := " " + strings.Join(strings.FieldsFunc(documents(t)["README.md"], func(r rune) bool { return strings.ContainsRune(" \n`()", r) }), " ") + " "
	n := 0
	for _, m := range wantedPackage.FindAllStringSubmatch(string(script), -1) {
		for _, name := range strings.Fields(m[1]) {
			n++
			if !strings.Contains(readme, " "+name+" ") {
				t.Errorf("scripts/test wants %s, which README.md does not name", name)
			}
		}
	}
	if n < 5 {
		t.Errorf("only %d packages were found: this test looks for the wrong words", n)
	}
}

// `make rust-test` is that part of `make test`, not another.
func TestTheRustTestsAreOne(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Makefile", "scripts/test"} {
		b, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), "scripts/rust-test") || strings.Contains(string(b), "cargo test") {
			t.Errorf("%s does not run scripts/rust-test, or runs cargo test by itself", name)
		}
	}
}

// What CI runs is not left out in silence where something is not installed.
func TestNoToolIsLeftOutInSilence(t *testing.T) {
	t.Parallel()
	leftOut := regexp.MustCompile(`(?m)^if command -v|command -v [^\n]*&&|\|\| true$`)
	for _, name := range []string{"scripts/lint", "scripts/test", "scripts/rust-test", "scripts/build", ".ci/run"} {
		b, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		if leftOut.Match(b) {
			t.Errorf("%s does something only where a tool happens to be: %s", name, leftOut.Find(b))
		}
	}
}
