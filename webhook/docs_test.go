package webhook

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman/contract"
)

var pythonBlock = regexp.MustCompile("(?s)```python\n(.*?)```")

// A receiver that knows repeats as docs/webhooks.md says does each event once, those that were set aside and replayed
// behind newer ones too.
func TestRepeatsAreKnownByTheirIdentity(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/webhooks.md")
	if err != nil || !strings.Contains(strings.Join(strings.Fields(string(doc)), " "), "Repeats are known by `id` and `source`") {
		t.Errorf("docs/webhooks.md does not say how repeats are known: %v", err)
	}
	w := newWorld(t)
	w.hook.RetryFor = contract.Duration(50 * time.Millisecond)
	var (
		mu     sync.Mutex
		broken = true
		known  = make(map[[2]string]bool)
		did    []int
	)
	w.answerWith(func(a arrival, _ int) int {
		mu.Lock()
		defer mu.Unlock()
		if a.seq == 2 && broken {
			return 500
		}
		var e struct{ ID, Source string }
		if err := json.Unmarshal(a.body, &e); err != nil || e.ID == "" || e.Source == "" {
			t.Errorf("%s: %v", a.body, err)
		}
		if identity := [2]string{e.ID, e.Source}; !known[identity] {
			known[identity] = true
			did = append(did, a.seq)
		}
		return 200
	})
	w.begun()
	for range 4 {
		w.say(1, 0, contract.Queued)
	}
	w.noted(4)
	mu.Lock()
	broken = false
	mu.Unlock()
	w.order("again", 2)
	w.eventually("replayed", func() bool { s, _ := w.state(); return s.Order == "again" && s.Seq == 4 })
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(did, []int{1, 3, 4, 2}) {
		t.Errorf("did %v", did)
	}
}

// The receiver of docs/webhooks.md takes what is ours and nothing else.
func TestDocumentedReceiver(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	m := pythonBlock.FindSubmatch(doc)
	if m == nil {
		t.Fatal("docs/webhooks.md has no Python any more")
	}
	program := strings.ReplaceAll(string(m[1]), "\n   ", "\n") // the block stands in a list
	program = strings.TrimPrefix(program, "   ")
	body, now := []byte(`{"id":"x"}`), time.Now()
	good := contract.SignWebhook([][]byte{[]byte("another secret of ours"), []byte(secret)}, now, body)
	for name, c := range map[string]struct {
		signature, body string
		want            bool
	}{
		"ours":         {good, string(body), true},
		"another body": {good, `{"id":"y"}`, false},
		"old":          {contract.SignWebhook([][]byte{[]byte(secret)}, now.Add(-time.Hour), body), string(body), false},
		"another's":    {contract.SignWebhook([][]byte{[]byte("another secret of ours")}, now, body), string(body), false},
	} {
		args, err := json.Marshal([]string{c.signature, c.body, secret})
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "python3", "-c", program+"\nimport json, sys\na = json.loads(sys.argv[1])\nprint(ours(a[0], a[1].encode(), a[2].encode()))", string(args)).CombinedOutput()
		if want := map[bool]string{true: "True\n", false: "False\n"}[c.want]; err != nil || string(out) != want {
			t.Errorf("%s: %s, %v", name, out, err)
		}
	}
}
