package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Helm runs Helm and returns what it printed. HELM names the binary; without, it is Helm 3.
func (c *Cluster) Helm(args ...string) string {
	c.t.Helper()
	out, err := c.TryHelm(args...)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// TryHelm is Helm for what may fail; the error holds what it printed.
func (c *Cluster) TryHelm(args ...string) (string, error) {
	c.t.Helper()
	helm := os.Getenv("HELM")
	if helm == "" {
		helm = "helm"
	}
	return c.Run(helm, args...)
}

// Kubectl runs kubectl and returns what it printed.
func (c *Cluster) Kubectl(args ...string) string {
	c.t.Helper()
	out, err := c.Run("kubectl", args...)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// Run runs a program with the administrator's kubeconfig and a home of the test's own, and returns its output. The
// pinned ones are found by name: kubectl, helm, helm3, helm4, skaffold.
func (c *Cluster) Run(program string, args ...string) (string, error) {
	c.t.Helper()
	return c.run(c.t.Context(), program, args...)
}

func (c *Cluster) run(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = c.Environ()
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s%s", program, strings.Join(args, " "), err, problem.String(), out.String())
	}
	return out.String(), nil
}

// Environ is the environment of a program that Run runs, for those that are begun otherwise.
func (c *Cluster) Environ() []string {
	env := append(os.Environ(), "KUBECONFIG="+c.kubeconfig)
	for _, kind := range []string{"CACHE", "CONFIG", "DATA"} {
		env = append(env, "HELM_"+kind+"_HOME="+os.TempDir()+"/helm-"+strings.ToLower(kind))
	}
	return env
}
