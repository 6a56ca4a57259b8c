package localkube

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	mostMessages = 60
	mostUnits    = 25
)

// TestAccurate asks KEDA and us for every state that a queue of 60 messages with up to 25 units can be in.
func TestAccurate(t *testing.T) {
	t.Parallel()
	var ask bytes.Buffer
	states := 0
	everyState(func(queue, running, pending, most int64) {
		fmt.Fprintln(&ask, "accurate", min(queue, most), running, pending, most)
		states++
	})
	answers := bufio.NewScanner(bytes.NewReader(answered(t, &ask)))
	everyState(func(queue, running, pending, most int64) {
		if t.Failed() || !answers.Scan() {
			return
		}
		states--
		if got := fmt.Sprint(accurate(min(queue, most), running, pending, most)); got != answers.Text() {
			t.Errorf("queue %d, max %d, running %d, pending %d: %s units, KEDA makes %s", queue, most, running, pending, got, answers.Text())
		}
	})
	if states != 0 && !t.Failed() {
		t.Errorf("KEDA gave no answer for %d states", states)
	}
}

// TestKEDAIsAsked makes sure that an answer comes from the strategy that was named.
func TestKEDAIsAsked(t *testing.T) {
	t.Parallel()
	ask := strings.NewReader("accurate 10 4 1 12\ndefault 10 4 1 12\neager 10 4 1 12\n")
	if got := strings.Fields(string(answered(t, ask))); strings.Join(got, " ") != "8 6 7" {
		t.Errorf("accurate, default, eager: %v units, want 8, 6 and 7", got)
	}
}

func everyState(visit func(queue, running, pending, most int64)) {
	for queue := range int64(mostMessages + 1) {
		for most := int64(1); most <= mostUnits; most++ {
			for running := range most + 1 {
				for pending := range running + 1 {
					visit(queue, running, pending, most)
				}
			}
		}
	}
}

// answered runs KEDA's own strategies, of the version in go.mod. They are cut out of their package and built
// alone, since the package imports four clouds' SDKs and client-go: 1494 packages, minutes to build.
func answered(t *testing.T, ask io.Reader) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/keda")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "strategies.go"), strategies(t), 0o600); err != nil {
		t.Fatal(err)
	}
	keda := exec.CommandContext(t.Context(), "go", "run", ".")
	keda.Dir = dir
	keda.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	keda.Stdin = ask
	var faults bytes.Buffer
	keda.Stderr = &faults
	answers, err := keda.Output()
	if err != nil {
		t.Fatalf("run KEDA's strategies: %v\n%s", err, &faults)
	}
	return answers
}

// strategies cuts NewScalingStrategy, and all that it chooses from, out of KEDA's executor.
func strategies(t *testing.T) []byte {
	t.Helper()
	where, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/kedacore/keda/v2").Output()
	if err != nil {
		t.Fatalf("find KEDA's source: %v", err)
	}
	file := filepath.Join(strings.TrimSpace(string(where)), "pkg/scaling/executor/scale_jobs.go")
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, file, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	cut := []byte("package main\n\nimport (\n\t\"strconv\"\n\n\t\"keda/logr\"\n\tkedav1alpha1 \"keda/v1alpha1\"\n)\n")
	for _, d := range parsed.Decls {
		if strings.HasSuffix(noun(d), "ScalingStrategy") {
			cut = append(cut, '\n')
			cut = append(cut, source[fset.Position(d.Pos()).Offset:fset.Position(d.End()).Offset]...)
			cut = append(cut, '\n')
		}
	}
	return cut
}

// noun is the type that a declaration makes or gives a method to, or the function's name.
func noun(d ast.Decl) string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			return d.Name.Name
		}
		if of, ok := d.Recv.List[0].Type.(*ast.Ident); ok {
			return of.Name
		}
	case *ast.GenDecl:
		if d.Tok == token.TYPE {
			return d.Specs[0].(*ast.TypeSpec).Name.Name
		}
	}
	return ""
}
