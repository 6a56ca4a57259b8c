package pipeline

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/dev"
)

// A server of somebody else's is told of every end, also of those while nobody ran; and again where it asks.
func TestWebhooksAreToldOfEveryEnd(t *testing.T) {
	t.Parallel()
	const secret = "a-secret-of-the-pipeline"
	var mu sync.Mutex
	ended := make(map[string]int) // deliveries by job
	there := httptest.NewServer(http.HandlerFunc(func(res http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		if err := contract.VerifyWebhook(req.Header.Get(contract.HeaderSignature), []byte(secret), body, time.Now(), time.Minute); err != nil {
			t.Error(err)
		}
		if e, err := contract.DecodeEvent(body); err != nil || e.Kind != contract.Succeeded {
			t.Errorf("%s: %v", body, err)
		} else {
			mu.Lock()
			ended[e.JobID]++
			mu.Unlock()
		}
		res.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(there.Close)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	w := start(t, func(o *dev.Options) {
		o.Config.Webhooks = []contract.Webhook{{
			Name: "ours", URL: there.URL, SecretFile: file, Events: []contract.Kind{contract.Succeeded},
			Timeout: contract.DefaultWebhookTimeout, RetryFor: contract.DefaultRetryFor, Allow: []string{"127.0.0.0/8"},
		}}
	})
	told := func(id string, times int) {
		t.Helper()
		until(w, "told of "+id, func() int {
			mu.Lock()
			defer mu.Unlock()
			return ended[id]
		}, func(n int) bool { return n == times })
	}
	until(w, "the webhook has begun", func() string {
		return tallyman(t, "webhooks", "--server", w.API).out
	}, func(out string) bool { return strings.Contains(out, "delivering") })
	var ids []string
	for range 3 {
		ids = append(ids, w.post("process-data", quick))
	}
	for _, id := range ids {
		told(id, 1)
	}
	if got := tallyman(t, "webhooks", "replay", "ours", "--since", "1h", "--server", w.API); got.code != 0 || !strings.Contains(got.out, "from 1") {
		t.Errorf("%+v", got)
	}
	for _, id := range ids {
		told(id, 2)
	}
	if got := tallyman(t, "webhooks", "replay", "theirs", "--from", "1", "--server", w.API); got.code != 2 || !oneLine(got.err, "404") {
		t.Errorf("%+v", got)
	}
}
