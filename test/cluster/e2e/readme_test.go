package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallyman/test/cluster"
)

// root is this checkout, as seen from where the tests run.
const root = "../../.."

// README.md's lines for a cluster install Tallyman and run a job, letter by letter as they stand there: in the shell of
// `make cluster`, where it is installed already, and where there is nothing.
func TestTheLinesOfTheREADMEInstallTallyman(t *testing.T) {
	c := cluster.Join(t)
	w := &tallyman{Cluster: c, t: t, namespace: "tallyman", wait: true} // as README.md and the shell name it
	w.api = "http://" + c.Service(w.namespace, "tallyman-api", 8080)
	c.Adopt(w.namespace)
	t.Cleanup(func() {
		if t.Failed() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			w.show(ctx)
		}
	})
	lines := w.linesOf("README.md", "## On a cluster")
	for _, before := range [][]string{{filepath.Join(root, "test/cluster/shell")}, nil} {
		w.runsAJob(w.typed(lines, before...))
		w.Helm("uninstall", "tallyman", "--namespace", w.namespace, "--wait", "--timeout", "2m")
		w.Kubectl("delete", "namespace", w.namespace, "--timeout", "2m")
	}
}

// linesOf is the first block of commands below a heading.
func (w *tallyman) linesOf(file, heading string) string {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		w.t.Fatal(err)
	}
	_, below, _ := strings.Cut(string(b), "\n"+heading+"\n")
	_, block, _ := strings.Cut(below, "\n```\n")
	lines, _, closed := strings.Cut(block, "\n```\n")
	for _, word := range []string{"helm ", "port-forward", "curl --retry", "/jobs/stats"} {
		if !closed || !strings.Contains(lines, word) {
			w.t.Fatalf("%s has no %q below %q: %q", file, word, heading, lines)
		}
	}
	return lines
}

// typed runs lines at the root of the checkout, until the first that fails, and gives what was printed; the words before
// them are a program that runs them.
func (w *tallyman) typed(lines string, before ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*long)
	defer cancel()
	// What was left in the background ends with them.
	words := append(before, "bash", "-euo", "pipefail", "-c", "trap 'kill $(jobs -p)' EXIT\n"+lines)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	if before == nil {
		cmd.Dir = root
	}
	// A copy, since the shell writes into it which namespace is meant.
	kubeconfig := filepath.Join(w.t.TempDir(), "kubeconfig")
	b, err := os.ReadFile(w.Kubeconfig())
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(kubeconfig, b, 0o600); err != nil {
		w.t.Fatal(err)
	}
	cmd.Env = append(w.Environ(), "KUBECONFIG="+kubeconfig)
	cmd.WaitDelay = 10 * time.Second
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		w.t.Fatalf("%v:\n%s%s", err, problem.String(), out.String())
	}
	return out.String()
}

// runsAJob looks in what README.md's lines have printed for the receipt of a job, and waits until it has succeeded.
func (w *tallyman) runsAJob(printed string) {
	w.t.Helper()
	var receipt struct {
		JobID string `json:"jobId"`
	}
	for line := range strings.Lines(printed) {
		at := strings.Index(line, `{"jobId"`)
		if at >= 0 && json.NewDecoder(strings.NewReader(line[at:])).Decode(&receipt) == nil {
			break
		}
	}
	if receipt.JobID == "" || !strings.Contains(printed, `"balanced":true`) {
		w.t.Fatalf("there is no receipt of a job, or no books that balance: %s", printed)
	}
	w.becomes(receipt.JobID, "succeeded", long)
}
