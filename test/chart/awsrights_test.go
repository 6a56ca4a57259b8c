package chart

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
)

// awsRole is one line of the table of docs/permissions.md: what a role may do on a queue, and on its dead-letter
// queue.
type awsRole struct {
	name        string // of the component; "processor" is a queue's pods
	shown       string
	queue, dead []string
}

// awsRoles is the table. KEDA's line is its own operator's, which test/cluster runs.
var awsRoles = []awsRole{
	{"api", "api", []string{"SendMessage", "GetQueueAttributes"}, []string{"GetQueueAttributes"}},
	{"scheduler", "scheduler", []string{"SendMessage", "GetQueueAttributes"},
		[]string{"ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes"}},
	{"processor", "a queue's pods", []string{"ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"}, []string{"SendMessage"}},
	{"keda", "KEDA (`keda.roleArn`)", []string{"GetQueueAttributes"}, nil},
}

// gate is AWS to one role: it lets through what the table gives it, refuses everything else as IAM does, and
// remembers both.
type gate struct {
	role   awsRole
	config *contract.Queue
	to     http.Handler
	addr   string

	mu      sync.Mutex
	full    bool            // SendMessage fails, as where SQS is away
	done    map[string]bool // "SendMessage queue"
	refused []string
}

// newGate puts a gate before the SQS at addr.
func newGate(t *testing.T, role awsRole, q *contract.Queue, addr string) *gate {
	t.Helper()
	to, err := url.Parse(addr)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{role: role, config: q, done: make(map[string]bool)}
	g.to = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	s := httptest.NewServer(g)
	t.Cleanup(s.Close)
	g.addr = s.URL
	return g
}

// maxAsked is SQS's own limit of a request, and some.
const maxAsked = 2 << 20

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAsked))
	var asked struct{ QueueUrl string }
	if err == nil {
		err = json.Unmarshal(b, &asked)
	}
	// The rights to a batch are those to its parts.
	action := strings.TrimSuffix(strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS."), "Batch")
	status, code := g.judge(action, asked.QueueUrl)
	if err != nil || status != http.StatusOK {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"__type":"com.amazonaws.sqs#%s","message":"%s may not %s on %s: %v"}`, code, g.role.name, action, asked.QueueUrl, err)
		return
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	g.to.ServeHTTP(w, r)
}

func (g *gate) judge(action, queueURL string) (status int, code string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	what, may := action+" "+queueURL, false
	switch queueURL {
	case g.config.URL:
		what, may = action+" queue", slices.Contains(g.role.queue, action)
	case g.config.DeadLetter:
		what, may = action+" dead-letter queue", slices.Contains(g.role.dead, action)
	}
	if !may {
		g.refused = append(g.refused, what)
		return http.StatusForbidden, "AccessDeniedException"
	}
	if g.full && action == "SendMessage" {
		return http.StatusServiceUnavailable, "ServiceUnavailable"
	}
	g.done[what] = true
	return http.StatusOK, ""
}

func (g *gate) fill(full bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.full = full
}

// missing gives what the role may do and has not done yet.
func (g *gate) missing() (all []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, action := range g.role.queue {
		all = append(all, action+" queue")
	}
	for _, action := range g.role.dead {
		all = append(all, action+" dead-letter queue")
	}
	return slices.DeleteFunc(all, func(what string) bool { return g.done[what] })
}

// guard puts a gate between SQS and each program that has a role.
func (w *world) guard() {
	w.t.Helper()
	cm := one[*corev1.ConfigMap](w.t, w.objects, "r-tallyman-config")
	c, err := contract.DecodeConfig([]byte(w.replace.Replace(cm.Data["config.json"])))
	if err != nil {
		w.t.Fatal(err)
	}
	w.gates = make(map[string]*gate)
	for _, role := range awsRoles {
		if role.name != "keda" {
			w.gates[role.name] = newGate(w.t, role, &c.Queues[0], w.replace.Replace(sqsAddr))
		}
	}
}

// send puts a message into a queue past Tallyman.
func (w *world) send(queueURL, body string, version string) {
	w.t.Helper()
	message := map[string]any{"QueueUrl": queueURL, "MessageBody": body}
	if version != "" {
		message["MessageAttributes"] = map[string]any{contract.AttributeVersion: map[string]string{"DataType": "String", "StringValue": version}}
	}
	b, err := json.Marshal(message)
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.replace.Replace(sqsAddr), bytes.NewReader(b))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"AmazonSQS.SendMessage"}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
		w.t.Fatalf("SendMessage: %d %s", resp.StatusCode, b)
	}
}

// With the AWS rights of docs/permissions.md, and not one more, a job is posted and done, messages that nobody can
// read are set aside and swept, what SQS did not take is sent again, an audit is clean and every line of the doctor
// is ok. And each right is needed: it is made use of.
func TestWhoMayDoWhatWithSQS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.guard()
	w.sqs()
	w.components("api", "scheduler", "aggregator", "bridge")
	w.runsTheTest()
	w.ask("doctor").ends(t, 0)
	start(t, []string{"TALLYMAN_SERVER=http://" + w.api}, "tallyman", "verify", "--wait=1m").ends(t, 0)

	w.gates["api"].fill(true) // the scheduler is to send it
	w.helmTest()
	q := w.gates["processor"].config
	w.send(q.URL, "nobody can read this", "1")
	w.send(q.URL, `{"v":99}`, "99")
	w.send(q.DeadLetter, `{"records":1}`, "")
	units := 1
	for _, role := range slices.Sorted(maps.Keys(w.gates)) {
		until(t, 2*time.Minute, func(context.Context) error {
			missing := w.gates[role].missing()
			if len(missing) == 0 {
				return nil
			}
			if role == "processor" { // whatever it takes, or nothing: the gate sees what it does
				units++
				_ = w.pod(contract.ContainerClaim, fmt.Sprint("unit-", units))
			}
			return fmt.Errorf("%s has not done %q: a right that it does not need?", role, missing)
		})
	}
	for role, g := range w.gates {
		g.mu.Lock()
		if len(g.refused) > 0 {
			t.Errorf("%s did what docs/permissions.md does not allow: %q", role, g.refused)
		}
		g.mu.Unlock()
	}
}

// The table of docs/permissions.md is the one that the programs are held to.
func TestAWSPermissionsAreTheTable(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(permissions)
	if err != nil {
		t.Fatal(err)
	}
	table := "| role | on the queue | on its dead-letter queue |\n|---|---|---|\n"
	for _, role := range awsRoles {
		table += fmt.Sprintf("| %s | %s| %s|\n", role.shown, actions(role.queue), actions(role.dead))
	}
	if !strings.Contains(string(b), "\n"+table+"\n") {
		t.Errorf("docs/permissions.md does not show the table that is tested:\n%s", table)
	}
}

func actions(all []string) (text string) {
	for i, action := range all {
		if i > 0 {
			text = strings.TrimSuffix(text, " ") + ", "
		}
		text += "`sqs:" + action + "` "
	}
	return text
}
