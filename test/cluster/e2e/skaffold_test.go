package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tallyman/test/cluster"
)

// A developer's loop by the real skaffold, without Docker: a line of the processor is edited, and the next job runs it; a
// line of the api is edited, and only its image is built. Nothing is edited but a copy of the checkout.
func TestSkaffoldDev(t *testing.T) {
	c := cluster.Join(t)
	w := &tallyman{Cluster: c, t: t, namespace: c.Namespace()}
	loop := w.skaffoldDev()
	loop.prints("processed 100 records")

	loop.edit("rust-processor/src/work/process_data.rs", `"processed {record} records"`, `"handled {record} records"`)
	loop.builds("processor")
	loop.changes("queue-default")
	loop.prints("handled 100 records")

	loop.edit("api/problem.go", "there is no such path", "nobody knows that path")
	loop.within(5*time.Minute, "the api says what was edited", func(ctx context.Context) error {
		err := w.ask(ctx, http.MethodGet, "/jobs/nothing", nil, nil)
		if err == nil || !strings.Contains(err.Error(), "nobody knows that path") {
			return fmt.Errorf("it says %w", errors.Join(err, errors.New("nothing else")))
		}
		return nil
	})
	loop.builds("api")
	loop.changes("api")
	loop.ends()
	w.isEmpty()
}

// devLoop is one `skaffold dev` on a copy of the checkout.
type devLoop struct {
	*tallyman
	root   string // of the copy
	log    string // what skaffold prints
	cmd    *exec.Cmd
	ended  chan error
	read   int               // of the log, when the last edit was made
	images map[string]string // of each component, then
	edited time.Time
}

// skaffoldDev begins it. There is no network here, so the compilers have what the build of this checkout has left.
func (w *tallyman) skaffoldDev() *devLoop {
	w.t.Helper()
	l := &devLoop{tallyman: w, root: copyOfCheckout(w.t), log: filepath.Join(w.t.TempDir(), "skaffold.log"), ended: make(chan error, 1)}
	config := filepath.Join(w.t.TempDir(), "config")
	if err := os.WriteFile(config, []byte("global:\n  collect-metrics: false\n"), 0o644); err != nil {
		w.t.Fatal(err)
	}
	target, err := filepath.Abs("../../../rust-processor/target")
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := os.Create(l.log)
	if err != nil {
		w.t.Fatal(err)
	}
	l.cmd = exec.CommandContext(w.t.Context(), "skaffold", "dev", "--profile", "no-docker", "--default-repo", w.Registry()+"/dev")
	l.cmd.Dir, l.cmd.Stdout, l.cmd.Stderr = l.root, out, out
	l.cmd.Env = append(w.Environ(), "TALLYMAN_NAMESPACE="+w.namespace, "SKAFFOLD_UPDATE_CHECK=false", "SKAFFOLD_INTERACTIVE=false", "SKAFFOLD_CONFIG="+config,
		"SKAFFOLD_CACHE_FILE="+filepath.Join(w.t.TempDir(), "cache"), "CARGO_TARGET_DIR="+target, "CARGO_NET_OFFLINE=true", "GOPROXY=off")
	l.cmd.Cancel = func() error { return l.cmd.Process.Signal(os.Interrupt) }
	l.cmd.WaitDelay = time.Minute
	l.edited = time.Now()
	if err := l.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() { l.ended <- errors.Join(l.cmd.Wait(), out.Close()) }()
	w.t.Cleanup(func() {
		if w.t.Failed() {
			w.t.Logf("skaffold printed:\n%s", l.printed(0))
		}
	})
	return l
}

// copyOfCheckout copies what git would commit, always to one place, so that cargo finds what it built of it before.
func copyOfCheckout(t *testing.T) string {
	t.Helper()
	const from = "../../.."
	out, err := exec.CommandContext(t.Context(), "git", "-C", from, "ls-files", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(os.TempDir(), "checkout")
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(to) })
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSpace(name)
		info, err := os.Stat(filepath.Join(from, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // taken away, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		place := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(place, b, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func (l *devLoop) printed(from int) string {
	b, err := os.ReadFile(l.log)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(b[min(from, len(b)):])
}

// within is Eventually, as long as skaffold runs; it says how long that was after the last edit.
func (l *devLoop) within(patience time.Duration, what string, check func(ctx context.Context) error) {
	l.t.Helper()
	l.Eventually(patience, what, func(ctx context.Context) error {
		select {
		case err := <-l.ended:
			return fmt.Errorf("%w: skaffold has ended: %w", cluster.ErrNever, err)
		default:
			return errors.Join(l.finds(), check(ctx))
		}
	})
	l.t.Logf("%6.1f s after the edit: %s", time.Since(l.edited).Seconds(), what)
}

// forwardLine is where skaffold says that it forwards the api to: another port than 8080 where that is taken.
var forwardLine = regexp.MustCompile(`Port forwarding service/tallyman-api .* -> (http://127\.0\.0\.1:[0-9]+)`)

// finds keeps the address of the api as skaffold said it last.
func (l *devLoop) finds() error {
	said := forwardLine.FindAllStringSubmatch(l.printed(0), -1)
	if len(said) == 0 {
		return errors.New("skaffold forwards nothing yet")
	}
	l.api = said[len(said)-1][1]
	return nil
}

// edit replaces a text that a file of the copy has once.
func (l *devLoop) edit(file, from, to string) {
	l.t.Helper()
	path := filepath.Join(l.root, file)
	b, err := os.ReadFile(path)
	if err != nil {
		l.t.Fatal(err)
	}
	if strings.Count(string(b), from) != 1 {
		l.t.Fatalf("%s does not have %q once", file, from)
	}
	l.images, l.read, l.edited = l.components(), len(l.printed(0)), time.Now()
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), from, to, 1)), 0o644); err != nil {
		l.t.Fatal(err)
	}
}

// builtLine is what the builder says of an image that it has pushed.
var builtLine = regexp.MustCompile(`images: \S*tallyman[_/]([a-z-]+):\S+ in [0-9.]+ s`)

// builds waits until images were built since the edit, and holds them to these.
func (l *devLoop) builds(want ...string) {
	l.t.Helper()
	var got []string
	l.within(20*time.Minute, fmt.Sprintf("skaffold has built %v", want), func(context.Context) error {
		got = nil
		for _, m := range builtLine.FindAllStringSubmatch(l.printed(l.read), -1) {
			got = append(got, m[1])
		}
		if len(got) < len(want) {
			return fmt.Errorf("it has built %v", got)
		}
		return nil
	})
	if !slices.Equal(got, want) {
		l.t.Errorf("skaffold builds %v after an edit of %v", got, want)
	}
}

// changes waits until a component has another image than before the edit, and holds all others to those that they had.
func (l *devLoop) changes(want string) {
	l.t.Helper()
	l.within(5*time.Minute, want+" has the new image", func(context.Context) error {
		var changed []string
		for component, image := range l.components() {
			if image != l.images[component] {
				changed = append(changed, component)
			}
		}
		if len(changed) == 0 {
			return errors.New("nothing has")
		}
		if len(changed) > 1 || changed[0] != want {
			return fmt.Errorf("%w: new images have %v", cluster.ErrNever, changed)
		}
		return nil
	})
}

// components are the images of everything that the release runs, by short name.
func (l *devLoop) components() map[string]string {
	l.t.Helper()
	all := make(map[string]string)
	for kinds, template := range map[string]string{
		"deployments,statefulsets": "{.spec.template.spec.containers[*].image}",
		"scaledjobs":               "{.spec.jobTargetRef.template.spec.containers[*].image}",
	} {
		out := l.Kubectl("-n", l.namespace, "get", kinds, "--output", `jsonpath={range .items[*]}{.metadata.name} `+template+`{"\n"}{end}`)
		for line := range strings.Lines(out) {
			name, image, _ := strings.Cut(strings.TrimSpace(line), " ")
			all[strings.TrimPrefix(name, "tallyman-")] = image
		}
	}
	if len(all) != 7 { // four components, NATS, SQS and the queue
		l.t.Fatalf("there are %v", all)
	}
	return all
}

// prints runs a job, once skaffold forwards the api (it stops that while it deploys), and looks for a line in what the
// job's attempt printed: as the api has it, and as skaffold does.
func (l *devLoop) prints(want string) {
	l.t.Helper()
	l.within(20*time.Minute, "skaffold forwards the api of what it has built", func(ctx context.Context) error {
		return l.ask(ctx, http.MethodGet, "/jobs/stats", nil, nil)
	})
	id := l.submit(processData(map[string]any{"records": 100, "pauseMs": 0, "failureRate": 0}))
	l.becomes(id, "succeeded", long)
	request, err := http.NewRequestWithContext(l.t.Context(), http.MethodGet, l.api+"/jobs/"+id+"/logs", nil)
	if err != nil {
		l.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		l.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	if !strings.Contains(string(b), want) {
		l.t.Errorf("a job prints %q, want %q", b, want)
	}
	l.within(patience, fmt.Sprintf("skaffold shows what the job has printed, %q", want), func(context.Context) error {
		if !strings.Contains(l.printed(l.read), want) {
			return errors.New("it does not")
		}
		return nil
	})
}

// ends is Ctrl-C, upon which skaffold takes away what it has installed.
func (l *devLoop) ends() {
	l.t.Helper()
	if err := l.cmd.Process.Signal(syscall.SIGINT); err != nil {
		l.t.Fatal(err)
	}
	select {
	case <-l.ended: // by the signal; what it left behind tells whether it ended well
	case <-time.After(2 * time.Minute):
		l.t.Fatal("skaffold did not end within two minutes of Ctrl-C")
	}
}
