package webhook

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
)

var pythonBlock = regexp.MustCompile("(?s)```python\n(.*?)```")

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
