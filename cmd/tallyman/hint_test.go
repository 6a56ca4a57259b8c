//go:build !image

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"tallyman/contract"
	"tallyman/internal/dev"
)

// The lines of `tallyman dev` without a configuration, as they have been from the first.
const firstHints = `
try next:
  curl -X POST http://127.0.0.1:8080/jobs -d '{"type":"probe","payload":{"target":"127.0.0.1","duration":"3"}}' -H 'Content-Type: application/json'
  bin/tallyman submit --wait --payload '{"records":1000,"failureRate":0}'
  AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x aws sqs send-message \
    --endpoint-url http://127.0.0.1:9324 --queue-url http://127.0.0.1:9324/0/default --message-body '{"target":"127.0.0.1","duration":"3"}'
  nats --server nats://127.0.0.1:4222 sub 'jobs.events.>'
  curl http://127.0.0.1:8080/jobs/stats
the api is described at http://127.0.0.1:8080/docs; Ctrl-C ends all of it, and everything is still there next time
`

func addressesOf(c *contract.Config) dev.Addresses {
	a := dev.Addresses{API: defaultServer, SQS: "http://127.0.0.1:9324", NATS: "nats://127.0.0.1:4222", Queues: make(map[string]string)}
	for _, q := range c.Queues {
		a.Queues[q.Name] = a.SQS + "/0/" + q.Name
	}
	return a
}

func TestTheFirstHintsAreAsDocumented(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := contract.DevConfig()
	tellNext(&out, addressesOf(&c), &c)
	if out.String() != firstHints {
		t.Errorf("%s", &out)
	}
}

var (
	hintedPost   = regexp.MustCompile(`/jobs -d '([^']+)'`)
	hintedSubmit = regexp.MustCompile(`bin/tallyman submit (.*)`)
	hintedSend   = regexp.MustCompile(`--queue-url (\S*) --message-body '([^']+)'`)
)

// Each line names what the configuration has, and gives a built-in type what it takes, be it the only one or none.
func TestEveryHintNamesWhatIsThere(t *testing.T) {
	t.Parallel()
	const probe, records = `{"target":"127.0.0.1","duration":"3"}`, `{"records":1000,"failureRate":0}`
	const event = `{"type":"sale_event","store_id":7,"ts":"2026-01-01T00:00:00Z"}`
	for name, c := range map[string]struct {
		config             string
		post, submit, sent string
		queue              string
		blank              bool
	}{
		"own program": {
			`{"queues":[{"name":"default","types":[{"name":"word-count","command":["wc"]}]}]}`,
			"default/word-count {}", "default/word-count {}", "{}", "default", true,
		},
		"no queue of the name default": {
			`{"queues":[{"name":"media","types":[{"name":"thumb","command":["t"]},{"name":"cut","command":["c"]}]},{"name":"b","types":[{"name":"probe"}]}]}`,
			"media/thumb {}", "media/thumb {}", "{}", "media", true,
		},
		"built-in types beside one's own": {
			`{"queues":[{"name":"media","types":[{"name":"own","command":["o"]},{"name":"probe"},{"name":"process-data"}]}]}`,
			"/probe " + probe, "/ " + records, "{}", "media", true,
		},
		"one's own with a built-in one's name": {
			`{"queues":[{"name":"default","types":[{"name":"probe","command":["p"]},{"name":"process-data","command":["d"]}]}]}`,
			"default/probe {}", "default/probe {}", "{}", "default", true,
		},
		"only the third built-in one": {
			`{"queues":[{"name":"default","types":[{"name":"store-event"}]}]}`,
			"default/store-event " + event, "default/store-event " + event, event, "default", false,
		},
	} {
		config, err := contract.DecodeConfig([]byte(c.config))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		a := addressesOf(&config)
		tellNext(&out, a, &config)
		post, submit, send := hintedPost.FindStringSubmatch(out.String()), hintedSubmit.FindStringSubmatch(out.String()), hintedSend.FindStringSubmatch(out.String())
		if post == nil || submit == nil || send == nil {
			t.Fatalf("%s: %s", name, &out)
		}
		if got := aim(t, []byte(post[1])); got != c.post {
			t.Errorf("%s: curl posts %q, want %q", name, got, c.post)
		}
		if got := aim(t, submitted(t, submit[1])); got != c.submit {
			t.Errorf("%s: submit posts %q, want %q", name, got, c.submit)
		}
		if send[1] != a.Queues[c.queue] || send[2] != c.sent {
			t.Errorf("%s: aws sends %q to %q", name, send[2], send[1])
		}
		if strings.Contains(out.String(), "where it says {}") != c.blank || strings.Count(out.String(), "\n  ") != 6 {
			t.Errorf("%s: %s", name, &out)
		}
	}
}

// aim says where a post goes, and with what.
func aim(t *testing.T, body []byte) string {
	t.Helper()
	var p post
	if err := json.Unmarshal(body, &p); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return fmt.Sprintf("%s/%s %s", p.Queue, p.Type, p.Payload)
}

// submitted gives what the command itself makes of such a line; it is answered with nobody's job, so as not to be followed.
func submitted(t *testing.T, line string) (body []byte) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ = io.ReadAll(req.Body)
		w.WriteHeader(http.StatusTeapot)
	}))
	defer server.Close()
	var out, diag bytes.Buffer
	args := strings.Fields(strings.ReplaceAll(line, "'", ""))
	if code := run(t.Context(), append(append([]string{"submit"}, args...), "--server", server.URL), nil, &out, &diag); code != exitTrouble {
		t.Errorf("%s: %d %s", line, code, &diag)
	}
	return body
}
