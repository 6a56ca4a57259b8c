// Command cluster runs a program inside a Kubernetes cluster that exists for it alone:
//
//	cluster run PROGRAM ARGS...    bring a cluster up, run the program in it, leave nothing
//
// and, for whoever is inside:
//
//	cluster parts                  what the cluster is made of
//	cluster stop|kill|start PART   SIGTERM, SIGKILL, and begin again
//
// Inside, KUBECONFIG names the administrator, kubectl and helm are found, and the DNS is the cluster's.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tallyman/test/cluster/control"
	"tallyman/test/cluster/enclosure"
)

const usage = "usage: cluster run PROGRAM ARGS... | parts | stop PART | kill PART | start PART"

// toolsEnv carries the paths of the pinned programs inside, where nothing could be built any more.
const toolsEnv = "TALLYMAN_CLUSTER_TOOLS"

// extraEnv names tools that the cluster does not need, but the program: helm4 and skaffold.
const extraEnv = "TALLYMAN_CLUSTER_EXTRA"

// beganEnv is when `make e2e` and its like were typed, in seconds of the epoch.
const beganEnv = "TALLYMAN_CLUSTER_BEGAN"

func main() {
	enclosure.Role()
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	level := slog.LevelInfo
	if os.Getenv("TALLYMAN_CLUSTER_LOG") == "debug" {
		level = slog.LevelDebug
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})))
	code, err := dispatch(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		return max(code, 1)
	}
	return code
}

func dispatch(args []string) (int, error) {
	switch {
	case len(args) >= 2 && args[0] == "run":
		return outside(args[1:])
	case len(args) >= 2 && args[0] == "inside":
		return inside(args[1:])
	case len(args) == 1 && args[0] == "parts":
		return 0, printParts()
	case len(args) == 2 && (args[0] == "stop" || args[0] == "kill" || args[0] == "start"):
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		return 0, control.Ask(ctx, os.Getenv(control.SocketEnv), args[1], args[0])
	}
	return 2, errors.New(usage)
}

func outside(args []string) (int, error) {
	if err := need(); err != nil {
		return 2, err
	}
	tools, err := findTools()
	if err != nil {
		return 2, err
	}
	encoded, err := json.Marshal(tools)
	if err != nil {
		return 2, err
	}
	self, err := os.Executable()
	if err != nil {
		return 2, err
	}
	keep := []string{self}
	for _, dir := range []func() (string, error){os.Getwd, os.UserHomeDir, os.UserCacheDir} {
		if path, err := dir(); err == nil {
			keep = append(keep, path)
		}
	}
	return enclosure.Run(enclosure.Options{
		Args: append([]string{self, "inside"}, args...),
		Env:  []string{toolsEnv + "=" + string(encoded)},
		Keep: keep[1:],
	})
}

// need names every program at once that a package has to bring.
func need() error {
	if !strings.Contains(os.Getenv("PATH"), "/usr/sbin") {
		if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin"); err != nil {
			return err
		}
	}
	var missing []string
	for program, of := range map[string]string{
		"containerd": "containerd", "runc": "runc", "nft": "nftables", "iptables": "iptables",
	} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, of)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("missing: %s; on Debian: sudo apt-get install %[1]s", strings.Join(missing, " "))
	}
	return nil
}

// findTools asks `tool`, beside this module's sources, for each; it builds what is not there.
func findTools() (control.Tools, error) {
	script := os.Getenv("TALLYMAN_CLUSTER_TOOL")
	if script == "" {
		return nil, errors.New("TALLYMAN_CLUSTER_TOOL must name test/cluster/tool: use `make e2e` or `make cluster`")
	}
	tools := make(control.Tools)
	for _, name := range append(control.Names(), strings.Fields(os.Getenv(extraEnv))...) {
		cmd := exec.Command(script, name)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", script, name, err)
		}
		tools[name] = strings.TrimSpace(string(out))
	}
	return tools, nil
}

func inside(args []string) (int, error) {
	began := time.Now()
	var tools control.Tools
	if err := json.Unmarshal([]byte(os.Getenv(toolsEnv)), &tools); err != nil {
		return 2, fmt.Errorf("%s: %w: this is `cluster run`'s own", toolsEnv, err)
	}
	self, err := os.Executable()
	if err != nil {
		return 2, err
	}
	c, err := control.Start(context.Background(), tools, filepath.Join(filepath.Dir(self), "pause"))
	if err != nil {
		return 1, err
	}
	fmt.Fprintf(os.Stderr, "cluster: up in %.1f s%s\n", time.Since(began).Seconds(), sinceCommand())
	bin, err := c.LinkTools(tools, self)
	if err != nil {
		return 1, err
	}
	signal.Ignore(syscall.SIGINT) // a terminal's interrupt is for the program
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(),
		control.KubeconfigEnv+"="+c.Kubeconfig(), control.SocketEnv+"="+c.Socket(),
		control.ImagesFileEnv+"="+c.ImagesFile(),
		"PATH="+bin+":"+os.Getenv("PATH"))
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() >= 0 {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// sinceCommand tells how long ago the command was typed that builds, if need be, what a cluster is of.
func sinceCommand() string {
	began, err := strconv.ParseInt(os.Getenv(beganEnv), 10, 64)
	if err != nil {
		return "" // who runs this program by hand has waited for no build
	}
	return fmt.Sprintf(", %d s after the command began", time.Now().Unix()-began)
}

func printParts() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	parts, err := control.Parts(ctx, os.Getenv(control.SocketEnv))
	if err != nil {
		return err
	}
	fmt.Printf("%-26s %-8s %7s %9s  %s\n", "PART", "STATE", "PID", "RESTARTS", "LOG")
	for _, p := range parts {
		state := "stopped"
		if p.Wanted {
			state = "running"
		}
		fmt.Printf("%-26s %-8s %7d %9d  %s\n", p.Name, state, p.PID, p.Restarts, p.Log)
	}
	return nil
}
