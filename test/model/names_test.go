package model

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// happened are the names of all steps that the short configurations come to.
func happened() map[string]bool {
	all := make(map[string]bool)
	for _, r := range explored() {
		for name := range r.steps {
			all[name] = true
		}
	}
	for name := range newBooks(true).explore(1_000_000).steps {
		all[name] = true
	}
	return all
}

// A step of ours has the name that the code gives it, and the code has no step of which the model knows nothing.
func TestStepsAreTheCodes(t *testing.T) {
	t.Parallel()
	model := happened()
	theWorld := []string{"the world", "a client", "somebody", "NATS", "SQS", "KEDA", "Kubernetes"}
	points := testPoints(t)
	functions := make(map[string]map[string]bool)
	for name := range model {
		folder, function, ours := strings.Cut(name, ".")
		switch {
		case slices.Contains(theWorld, name):
		case !ours && !slices.Contains(points, name):
			t.Errorf("the processor has no test point %q", name)
		case ours:
			if functions[folder] == nil {
				functions[folder] = functionsOf(t, folder, nil)
			}
			if !functions[folder][function] {
				t.Errorf("%s has no function %s", folder, function)
			}
		}
	}
	for _, p := range points {
		if !model[p] && !strings.HasPrefix(p, "reject") && p != "claimed" {
			t.Errorf("no step of any short configuration is the processor's test point %q", p)
		}
	}
	// "claimed" is between two containers, where r0 is; rejecting concerns no job.
	for function := range functionsOf(t, "internal/dispatch", touchesTheWorld) {
		// run and setRun are how the others read and write a run's record.
		if name := "internal/dispatch." + function; !model[name] && function != "run" && function != "setRun" {
			t.Errorf("%s reads or writes, and the model has no such step", name)
		}
	}
}

var testPoint = regexp.MustCompile(`testpoint::at\("(\w+)"\)|Outcome::\w+ => "(\w+)"|\("(\w+)", Kind::\w+\)|\], "(\w+)"\)`)

// testPoints are the places of claim, run and closing at which a test can let the processor die.
func testPoints(t *testing.T) (all []string) {
	t.Helper()
	for _, name := range []string{"claim.rs", "run.rs", "closing.rs"} {
		b, err := os.ReadFile(filepath.Join(root, "rust-processor", "src", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range testPoint.FindAllStringSubmatch(string(b), -1) {
			all = append(all, strings.Join(m[1:], ""))
		}
	}
	if len(all) < len(placeNames)-1 {
		t.Fatalf("only %v were found: this test looks for the wrong thing", all)
	}
	return all
}

// functionsOf are the functions of a folder, those of which a condition is true.
func functionsOf(t *testing.T, folder string, condition func(*ast.FuncDecl) bool) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]bool)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && (condition == nil || condition(fn)) {
				all[fn.Name.Name] = true
			}
		}
	}
	return all
}

// touchesTheWorld tells whether a function calls one of its Dispatcher's ports.
func touchesTheWorld(fn *ast.FuncDecl) bool {
	found := false
	ast.Inspect(fn, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if port, ok := method.X.(*ast.SelectorExpr); ok {
			found = found || slices.Contains([]string{"events", "sender", "claims"}, port.Sel.Name)
		}
		return true
	})
	return found
}
