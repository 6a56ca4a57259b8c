package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tallyman/contract"
	"tallyman/internal/testenv"
)

// said is what a command left behind.
type said struct {
	code     int
	out, err string
}

// tallyman runs the program as somebody in the root of the repository does.
func tallyman(t *testing.T, args ...string) said {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return finish(t, command(ctx, t, args...))
}

func command(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	program := testenv.Binary(t, "tallyman")
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = filepath.Dir(filepath.Dir(program))
	return cmd
}

func finish(t *testing.T, cmd *exec.Cmd) said {
	t.Helper()
	var out, diag bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diag
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return said{cmd.ProcessState.ExitCode(), out.String(), diag.String()}
}

// values reads JSON values that follow one another.
func values(t *testing.T, text string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var v map[string]any
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		all = append(all, v)
	}
}

func TestSubmitWaitExitsByTheOutcome(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, c := range []struct {
		args []string
		code int
		last string
	}{
		{[]string{"--payload", quick}, 0, "succeeded"},
		{[]string{"--payload", `{"records":10,"failureRate":1}`}, 1, "failed"},
		{[]string{"store-event", "--payload", `{}`}, 1, "failed"},
	} {
		got := tallyman(t, append([]string{"submit", "--wait", "--server", w.API}, c.args...)...)
		lines := strings.Split(strings.TrimSpace(got.out), "\n")
		if last := lines[len(lines)-1]; got.code != c.code || got.err != "" || !strings.Contains(last, c.last) {
			t.Errorf("%v: %+v", c.args, got)
		}
		got = tallyman(t, append([]string{"submit", "--wait", "-o", "json", "--server", w.API}, c.args...)...)
		if all := values(t, got.out); got.code != c.code || len(all) < 2 || all[len(all)-1]["state"] != c.last {
			t.Errorf("%v: %+v", c.args, got)
		}
	}
	if got := tallyman(t, "submit", "nonsense", "--wait", "--server", w.API); got.code != 2 || !oneLine(got.err, "unknown_type") {
		t.Errorf("%+v", got)
	}
	if got := tallyman(t, "submit", "--payload", "{", "--server", w.API); got.code != 2 || !oneLine(got.err, "--payload") {
		t.Errorf("%+v", got)
	}
	if got := tallyman(t, "submit", "--server", "http://127.0.0.1:1"); got.code != 2 || !oneLine(got.err, "tallyman dev") {
		t.Errorf("%+v", got)
	}
}

// oneLine tells whether a diagnosis is one line that names what is to be done.
func oneLine(text, part string) bool {
	return strings.HasSuffix(text, "\n") && strings.Count(text, "\n") == 1 && strings.Contains(text, part)
}

func TestSubmitWaitExitsWith3WhenCancelled(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	waiting := make(chan said, 1)
	cmd := command(t.Context(), t, "submit", "probe", "--wait", "--server", w.API, "--payload", `{"target":"127.0.0.1","duration":"600"}`)
	go func() { waiting <- finish(t, cmd) }()
	type page struct{ Jobs []job }
	jobs := until(w, "the job at work", func() page {
		var p page
		_, b := w.do(http.MethodGet, "/jobs?state=running", "")
		w.read(b, &p)
		return p
	}, func(p page) bool { return len(p.Jobs) == 1 })
	if got := tallyman(t, "cancel", jobs.Jobs[0].JobID, "--server", w.API); got.code != 0 || got.err != "" {
		t.Errorf("%+v", got)
	}
	if got := <-waiting; got.code != 3 || !strings.Contains(got.out, "cancelled") {
		t.Errorf("%+v", got)
	}
}

func TestEveryAnswerIsJSONWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	id := w.post("process-data", `{"records":10,"failureRate":1}`)
	w.ended(id)
	for _, args := range [][]string{
		{"get", id}, {"list"}, {"list", "--state", "failed", "--limit", "1"}, {"stats"}, {"stats", "--since", "1h", "--step", "hour"}, {"events", id}, {"logs", id},
		{"submit"}, {"submit", "--key", "k"}, {"version"}, {"webhooks"}, {"doctor", "--wait", "1m"}, {"verify", "--wait", "1m"},
	} {
		got := tallyman(t, append(args, "-o", "json", "--server", w.API)...)
		if all := values(t, got.out); got.code != 0 || got.err != "" || len(all) == 0 {
			t.Errorf("%v: %+v", args, got)
		}
		got = tallyman(t, append(args, "--server", w.API)...)
		if got.code != 0 || got.out == "" || json.Valid([]byte(got.out)) {
			t.Errorf("%v as text: %+v", args, got)
		}
	}
	if got := tallyman(t, "requeue", id, "-o", "json", "--server", w.API); got.code != 0 || values(t, got.out)[0]["run"] != 2.0 {
		t.Errorf("%+v", got)
	}
	for _, as := range [][]string{{"-o", "json"}, nil} {
		long := w.post("probe", `{"target":"127.0.0.1","duration":"600"}`)
		got := tallyman(t, append(as, "cancel", long, "--server", w.API)...)
		if got.code != 0 || got.err != "" || json.Valid([]byte(got.out)) != (as != nil) || as != nil && values(t, got.out)[0]["jobId"] != long {
			t.Errorf("cancel %v: %+v", as, got)
		}
	}
	if got := tallyman(t, "get", "01a1ff4d-6889-73f0-a332-cb468c3a35f7", "-o", "json", "--server", w.API); got.code != 2 || got.out != "" || !oneLine(got.err, "not_found") {
		t.Errorf("%+v", got)
	}
	if got := tallyman(t, "stats", "-o", "yaml"); got.code != 2 || !oneLine(got.err, "neither text nor json") {
		t.Errorf("%+v", got)
	}
}

// events -f ends when it is told to, with 0, and has said all that happened meanwhile.
func TestEventsAreFollowed(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	id := w.post("process-data", quick)
	w.ended(id)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := command(ctx, t, "events", "-f", "--after", "0", "-o", "json", "--server", w.API)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(out)
	for {
		var e struct{ Type, Subject string }
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		if e.Subject == id && strings.Contains(e.Type, string(contract.Succeeded)) {
			break
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestTheSameSeedMakesTheSameEvents(t *testing.T) {
	t.Parallel()
	print := func(seed string) string {
		return tallyman(t, "produce", "--count", "50", "--bad", "10%", "--seed", seed, "--print", "ndjson").out
	}
	one := print("7")
	if one != print("7") || one == print("8") || strings.Count(one, "\n") != 50 {
		t.Errorf("%q", one)
	}
}

// What is in the way of a start is one line that says what to do.
func TestWhatIsInTheWayIsSaidInOneLine(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.start()
	taken := p.addresses()
	host := func(url string) string { return url[strings.Index(url, "//")+2:] }
	free := "127.0.0.1:0"
	empty := t.TempDir()
	writeFile(t, empty, "bad.yaml", "queues: [{name: a, types: [{name: nonsense}]}]\n")
	writeFile(t, empty, "file", "")
	for name, c := range map[string]struct {
		args []string
		part string
	}{
		"folder":    {[]string{"--data", p.data}, "--data"},
		"file":      {[]string{"--data", filepath.Join(empty, "file")}, "data folder"},
		"api":       {[]string{"--api", host(taken.API)}, "--api"},
		"sqs":       {[]string{"--sqs", host(taken.SQS)}, "--sqs"},
		"nats":      {[]string{"--nats", host(taken.NATS)}, "--nats"},
		"admin":     {[]string{"--admin", host(taken.Admin)}, "--admin"},
		"processor": {[]string{"--processor", filepath.Join(empty, "none")}, "make build"},
		"config":    {[]string{"--config", filepath.Join(empty, "bad.yaml")}, "needs a command"},
		"no config": {[]string{"--config", filepath.Join(empty, "none.yaml")}, "none.yaml"},
		"log":       {[]string{"--log", "loud"}, "debug"},
	} {
		args := append([]string{"dev", "--data", t.TempDir(), "--api", free, "--sqs", free, "--nats", free, "--admin", free}, c.args...)
		got := tallyman(t, args...)
		advice := strings.Count(got.err, "--")
		if (got.code != 1 && got.code != 2) || got.out != "" || !oneLine(got.err, c.part) || advice > 1 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	p.world().ended(p.world().post("process-data", quick)) // the first one was not disturbed
}

// What a newcomer sees first.
func TestTheDemonstrationEndsWell(t *testing.T) {
	t.Parallel()
	free := "127.0.0.1:0"
	got := tallyman(t, "dev", "--once", "--data", t.TempDir(), "--api", free, "--sqs", free, "--nats", free, "--admin", free)
	if got.code != 0 || got.err != "" || !strings.HasPrefix(got.out, "tallyman dev   api http://127.0.0.1:") {
		t.Fatalf("%+v", got)
	}
	for _, part := range []string{"examples/orders.csv", "5000 records", "attempt 2", "AppExit", "balanced", "succeedJob 3", "jobRetry 1", "failedJob 1"} {
		if !strings.Contains(got.out, part) {
			t.Errorf("%q is not said in:\n%s", part, got.out)
		}
	}
	if strings.Contains(got.out, "\x1b") {
		t.Error("it moves the cursor where there is no terminal")
	}
}

// versionLine is what is released or the commit, the machine, and the program's own hash.
var versionLine = regexp.MustCompile(`^tallyman \S+\+[a-z0-9]+\.[0-9a-f]{12} go\S+\n$`)

// A demonstration that does not end as it must is told by the exit code: here the file that it reads is not there.
func TestADemonstrationThatEndsBadlyIsTold(t *testing.T) {
	t.Parallel()
	free := "127.0.0.1:0"
	args := []string{"dev", "--once", "--files", t.TempDir(), "--data", t.TempDir(), "--api", free, "--sqs", free, "--nats", free, "--admin", free}
	got := tallyman(t, args...)
	if got.code != 1 || !oneLine(got.err, "profile of examples/orders.csv") || !strings.Contains(got.err, "is failed (") || strings.Contains(got.out, "did not end") {
		t.Errorf("%+v", got)
	}
}

// Where programs read, the first line says where everything listens, and nothing else is on standard output.
func TestWhereThingsListenIsJSONToo(t *testing.T) {
	t.Parallel()
	free := "127.0.0.1:0"
	for _, c := range []struct {
		args []string
		key  string
	}{
		{[]string{"dev", "--data", t.TempDir(), "--api", free, "--nats", free, "--admin", free, "--sqs", free}, "api"},
		{[]string{"sqs", "--addr", free, "--queue", "a", "--queue", "b"}, "sqs"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		cmd := command(ctx, t, append(c.args, "-o", "json")...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var first map[string]any
		d := json.NewDecoder(out)
		if err := d.Decode(&first); err != nil {
			t.Error(err)
		}
		if url, ok := first[c.key].(string); !ok || !strings.HasPrefix(url, "http://127.0.0.1:") || first["queues"] == nil {
			t.Errorf("%v: %v", c.args, first)
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(io.MultiReader(d.Buffered(), out))
		if err != nil || strings.TrimSpace(string(rest)) != "" {
			t.Errorf("%v: behind its first line: %q, %v", c.args, rest, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", c.args, err)
		}
		cancel()
	}
	if got := tallyman(t, "dev", "--once", "-o", "json"); got.code != 2 || got.out != "" || !oneLine(got.err, "--once") {
		t.Errorf("%+v", got)
	}
}

func TestCompletionAndVersion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if got := tallyman(t, "completion", shell); got.code != 0 || !strings.Contains(got.out, "tallyman") || got.err != "" {
			t.Errorf("%s: %d %s", shell, got.code, got.err)
		}
	}
	if got := tallyman(t, "version"); got.code != 0 || !versionLine.MatchString(got.out) {
		t.Errorf("%+v", got)
	}
	if got := tallyman(t, "nonsense"); got.code != 2 || !strings.Contains(got.err, "nonsense") {
		t.Errorf("%+v", got)
	}
}
