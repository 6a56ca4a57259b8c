package e2e

import "testing"

// Helm 4 installs, tests, upgrades and takes away what Helm 3 does.
func TestHelm4(t *testing.T) {
	t.Setenv("HELM", "helm4")
	w := install(t)
	w.becomes(w.submit(quick()), "succeeded", long)
	w.helmTest()
	w.settles(patience, map[string]int{"succeeded": 2})
	w.Helm("upgrade", "tallyman", chart, "--namespace", w.namespace, "--reuse-values", "--set", "processor.log=info", "--wait", "--timeout", "4m")
	w.becomes(w.submit(quick()), "succeeded", long)
	w.settles(patience, map[string]int{"succeeded": 3})
	w.Helm("uninstall", "tallyman", "--namespace", w.namespace, "--wait", "--timeout", "2m")
	w.isEmpty()
}
