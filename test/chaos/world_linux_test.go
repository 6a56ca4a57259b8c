package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tallyman/contract"
	"tallyman/internal/testenv"
)

// Names that all programs of a world agree on.
const (
	region    = "us-east-1"
	cluster   = "chaos"
	namespace = "default"
)

// programs of a world. Pods come and go beside them.
var programs = []string{"nats", "sqs", "kube", "api", "scheduler", "scheduler2", "bridge", "aggregator", "aggregator2"}

// mains are those of them that are built by scripts/build; the others are parts of this binary.
var mains = []string{"api", "scheduler", "scheduler2", "bridge", "aggregator", "aggregator2"}

// wires between them: who speaks, and to whom.
var wires = []string{
	"client>api", "api>nats", "api>sqs", "scheduler>nats", "scheduler>sqs", "scheduler2>nats", "scheduler2>sqs",
	"aggregator>nats", "aggregator2>nats", "bridge>nats", "bridge>kube", "kube>sqs", "pods>nats", "pods>sqs",
}

// seconds are the programs that there are in a world of pairs besides, and secondWires theirs.
var (
	seconds     = []string{"api2", "bridge2"}
	secondWires = []string{"api2>nats", "api2>sqs", "bridge2>nats", "bridge2>kube"}
)

// ports of a world, on its own address.
var ports = map[string]int{"nats": 4222, "sqs": 9324, "api": 8080, "api2": 8081, "kube": 6443}

// world is one seed's.
type world struct {
	t         *testing.T
	ip, dir   string
	pairs     bool // there are two of each of ours, and bridges lead by a Lease
	programs  []string
	mains     []string
	processes map[string]*process
	links     map[string]*link
	config    contract.Config
	queueURL  string
	http      *http.Client

	mu      sync.Mutex
	killed  map[string]int // pods that the plan has killed or stopped, of each unit
	mayGo   uint64         // the last event that may have been trimmed; 0 where none was
	trimmed uint64         // and the last that was
}

// worlds counts those of this process: each has an address of its own.
var worlds atomic.Uint32

func newWorld(t *testing.T, pairs bool) *world {
	t.Helper()
	pid, n := os.Getpid(), worlds.Add(1)
	w := &world{
		t: t, pairs: pairs, programs: programs, mains: mains, ip: fmt.Sprintf("127.%d.%d.%d", 64+(pid>>8)&0x3f+int(n>>8)%64, pid&0xff, 1+n%250), dir: t.TempDir(),
		processes: make(map[string]*process), links: make(map[string]*link), killed: make(map[string]int),
		http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second},
	}
	between := wires
	if pairs {
		w.programs, w.mains = slices.Concat(programs, seconds), slices.Concat(mains, seconds)
		between = slices.Concat(wires, secondWires)
	}
	for i, wire := range between {
		_, to, _ := strings.Cut(wire, ">")
		w.links[wire] = newLink(t, wire, fmt.Sprintf("%s:%d", w.ip, 20000+i), w.at(to))
		w.links[wire].bereave = w.killSender
	}
	w.configure()
	for _, name := range w.programs {
		w.processes[name] = &process{t: t, name: name, log: filepath.Join(w.dir, name+".log")}
	}
	w.dress()
	t.Cleanup(w.end)
	w.processes["nats"].start()
	w.await("NATS", func() error {
		nc, err := nats.Connect("nats://" + w.at("nats"))
		if err == nil {
			nc.Close()
		}
		return err
	})
	for _, p := range w.processes {
		p.start()
	}
	w.awaitReady()
	return w
}

func (w *world) at(program string) string { return fmt.Sprintf("%s:%d", w.ip, ports[program]) }

// over is where somebody reaches somebody else.
func (w *world) over(wire string) string { return w.links[wire].listener.Addr().String() }

// reruns in a row is what a job of the type "again" gets.
const reruns = 2

// work is what jobs of both types do: each attempt takes the word of its number from the payload, or the last.
// It leaves a line when it begins and when it comes to its end, and holds a lock that two attempts cannot
// both have: the kernel gives it back when the last process that has it is gone.
const work = `exec 9>>"$1/$TALLYMAN_JOB_ID.lock"
flock -n 9 || echo "$TALLYMAN_JOB_ID $TALLYMAN_RUN $TALLYMAN_ATTEMPT" >>"$1/overlaps"
trace="$1/$TALLYMAN_JOB_ID"
echo "began $TALLYMAN_RUN $TALLYMAN_ATTEMPT" >>"$trace"
set -- $(tr -d '"' <"$TALLYMAN_PAYLOAD_FILE")
n=$TALLYMAN_ATTEMPT; [ "$n" -le $# ] || n=$#
eval "word=\${$n}"
case $word in
slow) sleep 1 ;;
hang) sleep 600 ;;
fail) exit 1 ;;
permanent) exit 65 ;;
esac
echo "done $TALLYMAN_RUN $TALLYMAN_ATTEMPT" >>"$trace"`

func (w *world) traces() string { return filepath.Join(w.dir, "traces") }

func (w *world) configure() {
	w.t.Helper()
	w.queueURL = "http://" + w.at("sqs") + "/000000000000/default"
	w.config = contract.Config{Queues: []contract.Queue{{
		Name: contract.DefaultQueue, URL: w.queueURL, DeadLetter: w.queueURL + "-dead", Max: 4,
		Timeout: contract.Duration(time.Minute), Visibility: contract.Duration(3 * time.Second), Retention: contract.DefaultRetention,
		Types: []contract.JobType{
			{Name: "work", Command: []string{"sh", "-c", work, "sh", w.traces()}},
			{Name: "again", Command: []string{"sh", "-c", work, "sh", w.traces()}, Reruns: &contract.Reruns{
				Max: reruns, Delay: contract.Duration(time.Second), MaxDelay: contract.Duration(time.Second),
			}},
		},
	}}}
	b, err := json.Marshal(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, dir := range []string{w.traces(), w.folder("nats"), w.folder("sqs"), w.folder("kube")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			w.t.Fatal(err)
		}
	}
	files := map[string]string{"config.yaml": string(b)}
	for _, name := range w.mains {
		if strings.HasPrefix(name, "bridge") {
			files["kubeconfig-"+name] = fmt.Sprintf(kubeconfig, w.over(name+">kube"))
		}
	}
	for name, text := range files {
		if err := os.WriteFile(w.folder(name), []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}

const kubeconfig = `{"apiVersion":"v1","kind":"Config","current-context":"c","users":[{"name":"u","user":{}}],
"clusters":[{"name":"k","cluster":{"server":"http://%s"}}],"contexts":[{"name":"c","context":{"cluster":"k","user":"u"}}]}`

func (w *world) folder(name string) string { return filepath.Join(w.dir, name) }

// dress gives every program its flags and its environment.
func (w *world) dress() {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range []string{"nats", "sqs", "kube"} {
		b, err := json.Marshal(part{
			Name: name, Dir: w.folder(name), Addr: w.at(name), SQS: "http://" + w.over("kube>sqs"),
			Pods:   [2]string{"nats://" + w.over("pods>nats"), "http://" + w.over("pods>sqs")},
			Config: w.folder("config.yaml"), Processor: testenv.Binary(w.t, "processor"),
		})
		if err != nil {
			w.t.Fatal(err)
		}
		p := w.processes[name]
		p.args, p.env = []string{self}, []string{partVariable + "=" + string(b)}
	}
	for i, name := range w.mains {
		p := w.processes[name]
		program := strings.TrimRight(name, "2")
		p.args = []string{
			testenv.Binary(w.t, program), "--nats-url", "nats://" + w.over(name+">nats"),
			"--replicas", "1", "--allow-fewer-replicas", "--log", "warn", "--admin", w.admin(i),
		}
		switch program {
		case "api":
			p.args = append(p.args, "--addr", w.at(name))
		case "scheduler":
			p.args = append(p.args, "--accepted-after", "1s")
		case "bridge":
			lease := ""
			if w.pairs {
				lease = leaseName
			}
			p.args = append(p.args, "--kubeconfig", w.folder("kubeconfig-"+name), "--cluster", cluster, "--namespaces", namespace,
				"--lease", lease, "--lease-namespace", namespace)
		}
		if program == "api" || program == "scheduler" {
			p.args = append(p.args, "--config", w.folder("config.yaml"))
			p.env = []string{
				"AWS_ENDPOINT_URL_SQS=http://" + w.over(name+">sqs"), "AWS_REGION=" + region, "AWS_ACCESS_KEY_ID=x",
				"AWS_SECRET_ACCESS_KEY=x", "AWS_EC2_METADATA_DISABLED=true",
			}
		}
	}
}

func (w *world) admin(n int) string { return fmt.Sprintf("%s:%d", w.ip, 8100+n) }

const patience = 3 * time.Minute

// await asks until there is no error, and fails with the last one when that takes too long.
func (w *world) await(what string, ask func() error) {
	w.t.Helper()
	w.awaitOr(what, nil, ask)
}

// awaitOr tells besides what is known of it then.
func (w *world) awaitOr(what string, known func() string, ask func() error) {
	w.t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			w.t.Errorf("%s: not within %s: %v", what, patience, err)
			if known != nil {
				w.t.Log(known())
			}
			w.t.FailNow()
		case <-w.t.Context().Done():
			w.t.Fatal(w.t.Context().Err())
		case <-tick.C:
		}
	}
}

func (w *world) awaitReady() {
	w.t.Helper()
	w.await("SQS", func() error { return w.get("http://"+w.at("sqs")+"/", nil) })
	for i := range w.mains {
		w.await("readiness", func() error { return w.get("http://"+w.admin(i)+"/readyz", nil) })
	}
}

// get reads a page into v where v is not nil.
func (w *world) get(url string, v any) error {
	resp, err := w.http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case v == nil && resp.StatusCode < http.StatusInternalServerError:
		return nil
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("GET %s: %d %s", url, resp.StatusCode, b)
	}
	return json.Unmarshal(b, v)
}

func (w *world) end() {
	for _, name := range w.programs {
		w.processes[name].end(true)
	}
	if !w.t.Failed() {
		return
	}
	for _, name := range w.programs {
		if b, err := os.ReadFile(w.processes[name].log); err == nil && len(b) > 0 {
			w.t.Logf("the last of %s:\n%s", name, b[max(0, len(b)-3000):])
		}
	}
}

// rage carries out a plan, and returns when everything is mended.
func (w *world) rage(ctx context.Context, p plan, r *rand.Rand) {
	began := time.Now()
	var work sync.WaitGroup
	for _, f := range p {
		pick := r.Uint64()
		work.Go(func() {
			pause(ctx, f.at-time.Since(began))
			mend := w.befall(f, pick)
			pause(ctx, f.long)
			mend()
		})
	}
	work.Wait()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// befall makes a fault happen and gives what mends it.
func (w *world) befall(f fault, pick uint64) (mend func()) {
	p := w.processes[f.whom]
	switch f.what {
	case "kill":
		p.kill()
		return p.start
	case "stop":
		p.retire()
		return p.start
	case "pause":
		p.signal(syscall.SIGSTOP)
		return func() { p.signal(syscall.SIGCONT) }
	case "disk":
		p.fill(true)
		return func() { p.fill(false) }
	case "clock":
		if slices.Contains(mains, f.whom) {
			p.step(f.off)
		} else {
			p.order(func(o *orders) { o.Clock += f.off })
		}
		return func() {} // it stays wrong
	case "sqs", "duplicate":
		p.order(func(o *orders) { o.Faults = f.sqs })
		return func() { p.order(func(o *orders) { o.Faults = nil }) }
	case "pod":
		return w.befallPod(f.whom, pick)
	case "trim":
		return w.trim()
	}
	k := w.links[f.whom]
	k.set(mode(f.what))
	return func() { k.set(whole) }
}

// befallPod kills one process of a pod, or stops it for a while.
func (w *world) befallPod(which string, pick uint64) (mend func()) {
	var found []podProcess
	for _, p := range podProcesses(w.folder("kube")) {
		if which == "any" || which == "stop" || p.command == which {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return func() {}
	}
	victim := found[pick%uint64(len(found))]
	if which == "stop" {
		_ = syscall.Kill(victim.pid, syscall.SIGSTOP) // it may have ended
		return func() { _ = syscall.Kill(victim.pid, syscall.SIGCONT) }
	}
	w.killPod(victim)
	return func() {}
}

func (w *world) killPod(p podProcess) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.killed[p.unit]++
	_ = syscall.Kill(p.pid, syscall.SIGKILL) // it may have ended
}
