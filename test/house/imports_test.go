package house

import (
	"slices"
	"strings"
	"testing"
)

const module = "tallyman/"

// doors says which of our folders may import an outside module, and why nobody else may.
var doors = []struct {
	outside string
	allowed []string
	why     string
}{
	{"github.com/gofiber/fiber", []string{"api"}, "HTTP comes in at one door"},
	{"github.com/go-co-op/gocron", []string{"scheduler"}, "time comes in at one door"},
	{"k8s.io/client-go", []string{"bridge/kube"}, "only the bridge asks an API server, and what has none need not link its client"},
	{"k8s.io/", []string{"bridge", "internal/localkube"}, "only these two know Kubernetes' objects"},
	{"github.com/kedacore/keda", []string{"internal/localkube"}, "only the stand-in for KEDA scales"},
	{"github.com/nats-io/nats-server", []string{"internal/natslocal"}, "one place embeds a server"},
	{"github.com/nats-io/nats.go", []string{"internal/stream", "internal/natslocal"}, "replacing NATS' client must touch one folder"},
	{"github.com/aws/", []string{"internal/queue"}, "replacing the AWS SDK must touch one folder"},
}

// imports gives each of our packages with what its shipped files import.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	out := run(t, "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, root+"/...")
	all := make(map[string][]string)
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		all[strings.TrimPrefix(f[0], module)] = f[1:]
	}
	return all
}

func TestOneDoorForEachDependency(t *testing.T) {
	t.Parallel()
	all := imports(t)
	used := make(map[string]bool)
	for pkg, list := range all {
		if strings.HasPrefix(pkg, "internal/sqslocal/sqstest") {
			continue // the conformance suite speaks the real SDK; the next test keeps it out of what is shipped
		}
		for _, imp := range list {
			for _, d := range doors {
				if !strings.HasPrefix(imp, d.outside) {
					continue
				}
				used[d.outside] = true
				if !within(pkg, d.allowed) {
					t.Errorf("%s imports %s; only %v may: %s", pkg, imp, d.allowed, d.why)
				}
			}
		}
	}
	for _, d := range doors {
		if !used[d.outside] {
			t.Errorf("nobody imports %s any more: take its row out", d.outside)
		}
	}
}

func within(pkg string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return pkg == f || strings.HasPrefix(pkg, f+"/") })
}

func TestImportsPointAtTheContract(t *testing.T) {
	t.Parallel()
	parts := []string{"api", "scheduler", "bridge", "aggregator", "webhook"}
	all := imports(t)
	for _, f := range append(parts, "contract") {
		if _, ok := all[f]; !ok {
			t.Errorf("there is no package %s: this test looks for the wrong name", f)
		}
	}
	for pkg, list := range all {
		for _, imp := range list {
			switch {
			case pkg == "contract" && strings.Contains(strings.SplitN(imp, "/", 2)[0], "."):
				t.Errorf("contract imports %s; it imports only the standard library, so that everything can import it", imp)
			case pkg == "contract" && strings.HasPrefix(imp, module):
				t.Errorf("contract imports %s; nothing of ours lies below the words", imp)
			case within(pkg, parts) && strings.HasPrefix(imp, module) &&
				within(strings.TrimPrefix(imp, module), parts) && !within(strings.TrimPrefix(imp, module), []string{first(pkg)}):
				t.Errorf("%s imports %s; these folders know one another only by the contract", pkg, imp)
			case !strings.HasPrefix(pkg, "cmd/") && strings.HasPrefix(imp, module+"cmd/"):
				t.Errorf("%s imports %s; nobody imports a main", pkg, imp)
			}
		}
	}
}

func first(pkg string) string { return strings.SplitN(pkg, "/", 2)[0] }

func TestNothingMadeForTestsIsShipped(t *testing.T) {
	t.Parallel()
	out := run(t, "go", "list", "-deps", root+"/cmd/...")
	banned := []string{"tallyman/internal/testenv", "tallyman/internal/sqslocal/sqstest", "github.com/google/go-cmp/cmp", "go.uber.org/goleak", "pgregory.net/rapid"}
	for line := range strings.Lines(out) {
		if pkg := strings.TrimSpace(line); slices.Contains(banned, pkg) {
			t.Errorf("a program under cmd/ links %s, which is made for tests", pkg)
		}
	}
	if !strings.Contains(out, "tallyman/contract\n") {
		t.Error("cmd/ does not even link the contract: this test looks in the wrong place")
	}
}
