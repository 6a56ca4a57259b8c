package chart

import (
	"os/exec"
	"testing"
)

// The suites of charts/tallyman/tests, which anybody with Helm's plugin `unittest` can run.
func TestHelmUnittest(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), tool(t, "helm-unittest"), chartDir).CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}
