package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
)

// alone is a server with ports of the test's own, and no world around it.
func alone(t *testing.T, change ...func(*Options)) *world {
	t.Helper()
	a := away{}
	o := Options{
		Addr: "127.0.0.1:0", Config: testConfig("http://sqs.invalid"), Jobs: a, Schedules: a, Ticks: a, Output: a, Webhooks: a,
		Events: a, Signals: a, Dispatch: a, Cron: minutely{}, Past: blank{}, Log: slog.New(slog.DiscardHandler),
		Claims: a, Counter: a, Remarks: a, Auditor: a, Reports: a,
	}
	for _, c := range change {
		c(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, s)
	return &world{t: t, server: s, url: "http://" + s.Addr(), http: newTransport()}
}

func tokenFile(t *testing.T, token string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// request is one line of the tables below.
type request struct {
	method, path, body string
	status             int
	headers            []header
}

func (w *world) send(requests []request) {
	w.t.Helper()
	for _, r := range requests {
		if a := w.do(r.method, r.path, r.body, r.headers...); a.status != r.status {
			w.t.Errorf("%s %s %.60s: status %d, want %d: %.300s", r.method, r.path, r.body, a.status, r.status, a.body)
		}
	}
}

const noJob = "01890a5d-ac96-774b-bcce-b302099a8057"

var (
	asText = header{"Content-Type", "text/plain"}
	large  = `{"payload":"` + strings.Repeat("x", maxPostBody) + `"}`
)

// Every operation answers with every status that the description gives it, and each request and each
// response is as described.
func TestEveryOperationAndStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.MaxStreams = 1 })
	all := w.http
	w.audit()
	w.good()
	w.bad()
	guarded := alone(t, func(o *Options) { o.TokenFile = tokenFile(t, "secret") })
	guarded.http = all
	broken := alone(t)
	broken.http = all
	busy := alone(t, func(o *Options) { o.Timeout = 50 * time.Millisecond })
	busy.http = all
	busy.server.purging <- struct{}{}
	busy.do("POST", "/queues/default/purge", "").want(http.StatusTooManyRequests)
	t.Run("refused", func(t *testing.T) { // ends when all of its parts have
		for _, p := range all.spec.paths {
			for method, node := range p.item {
				op, ok := node.(map[string]any)
				if ok && op["operationId"] != nil {
					t.Run(fmt.Sprint(op["operationId"]), func(t *testing.T) {
						t.Parallel()
						everyRefusal(t, op, method, p.path, guarded, broken)
						unknown(t, op, method, p.path, w)
						strange(t, op, method, p.path, w)
					})
				}
			}
		}
	})
	for _, pair := range all.spec.all() {
		if !all.seen[pair] {
			t.Errorf("no test has seen %s", pair)
		}
	}
}

// everyRefusal asks without the token, by another's name, and with NATS away.
func everyRefusal(t *testing.T, op map[string]any, method, path string, guarded, broken *world) {
	t.Helper()
	path = strings.NewReplacer("{jobId}", noJob, "{scheduleId}", "s-1", "{name}", "ours", "{queue}", "default").Replace(path)
	body := map[string]string{"submitBatch": "[{}]", "createSchedule": `{"cron":"* * * * *"}`, "replayWebhook": `{"from":1}`}[fmt.Sprint(op["operationId"])]
	responses := op["responses"].(map[string]any)
	for status, w := range map[int]*world{http.StatusUnauthorized: guarded, http.StatusForbidden: broken, http.StatusServiceUnavailable: broken} {
		if responses[fmt.Sprint(status)] != nil {
			var named []header
			if status == http.StatusForbidden {
				named = []header{{"Host", "evil.example"}}
			}
			own := *w
			own.t = t
			own.send([]request{{strings.ToUpper(method), path, body, status, named}})
		}
	}
}

// unknown asks for what is not there; a job is waited for, so these wait side by side.
func unknown(t *testing.T, op map[string]any, method, path string, w *world) {
	t.Helper()
	if op["responses"].(map[string]any)["404"] != nil && strings.Contains(path, "{") {
		own := *w
		own.t = t
		own.send([]request{{strings.ToUpper(method), strings.NewReplacer("{jobId}", noJob, "{scheduleId}", "s-1", "{name}", "theirs", "{queue}", "nowhere").Replace(path), "", 404, nil}})
	}
}

// strange gives a parameter that no operation knows; those that anybody may ask know none and care for none.
func strange(t *testing.T, op map[string]any, method, path string, w *world) {
	t.Helper()
	if op["security"] != nil {
		return
	}
	own := *w
	own.t = t
	path = strings.NewReplacer("{jobId}", noJob, "{scheduleId}", "s-1", "{name}", "ours", "{queue}", "default").Replace(path)
	p := own.do(strings.ToUpper(method), path+"?delaySeconds=600", "").want(400).problem()
	if p.Field != "delaySeconds" || !strings.Contains(p.Detail, "is not a parameter here; there are ") {
		t.Errorf("%+v", p)
	}
}

// good sends one request for each way to succeed.
func (w *world) good() {
	w.t.Helper()
	id := w.submit("", contract.StateQueued)
	w.send([]request{
		{"GET", "/healthz", "", 200, nil},
		{"GET", "/openapi.yaml", "", 200, nil},
		{"GET", "/jobs", "", 200, nil},
		{"POST", "/jobs/batch", `[{},{"type":"nope"}]`, 200, nil},
		{"GET", "/jobs/stats", "", 200, nil},
		{"GET", "/jobs/" + id, "", 200, nil},
		{"GET", "/jobs/" + id + "/events", "", 200, nil},
		{"GET", "/jobs/" + id + "/explain", "", 200, nil},
		{"DELETE", "/jobs/" + id, "", 202, nil},
		{"GET", "/schedules", "", 200, nil},
		{"GET", "/webhooks", "", 200, nil},
		{"POST", "/webhooks/ours/replay", `{"from":1}`, 202, nil},
		{"POST", "/queues/media/purge", "", 200, nil},
	})
	w.eventually("stats at rest", func() bool {
		return w.get("/jobs/stats", header{"If-None-Match", w.get("/jobs/stats").header.Get("ETag")}).status == 304
	})
	w.await(id, contract.StateCancelled)
	w.do("POST", "/jobs/"+id+"/requeue", "").want(202)
	if _, err := w.bucket(contract.BucketOutput).Put(w.t.Context(), contract.OutputKey("default", id, 1, 1), []byte("line\n")); err != nil {
		w.t.Fatal(err)
	}
	w.get("/jobs/" + id + "/logs?run=1&attempt=1").want(200)
	var s scheduleView
	w.do("POST", "/jobs/schedule", `{"cron":"* * * * *"}`).want(201).into(&s)
	w.get("/schedules/" + s.ScheduleID).want(200)
	w.do("DELETE", "/schedules/"+s.ScheduleID, "").want(204)
	live := w.follow("/jobs/events")
	w.send([]request{
		{"GET", "/jobs/stats", "", 429, []header{{"Accept", "text/event-stream"}}},
		{"GET", "/jobs/events", "", 429, nil},
		{"GET", "/jobs/" + id + "/events", "", 429, []header{{"Accept", "text/event-stream"}}},
	})
	live.close()
}

// bad sends one request for each way to be refused.
func (w *world) bad() {
	w.t.Helper()
	id := w.submit("", contract.StateQueued)
	w.do("POST", "/jobs", `{"tags":["a"]}`, header{"Idempotency-Key", "k"}).want(202)
	w.await(contract.KeyID("api", "k"), contract.StateQueued)
	w.send([]request{
		{"POST", "/jobs", "[]", 400, nil},
		{"POST", "/jobs", "{}", 409, []header{{"Idempotency-Key", "k"}}},
		{"POST", "/jobs", large, 413, nil},
		{"POST", "/jobs", "{}", 415, []header{asText}},
		{"GET", "/jobs?state=nope", "", 400, nil},
		{"GET", "/jobs/stats?since=yesterday", "", 400, nil},
		{"POST", "/jobs/batch", "{}", 400, nil},
		{"POST", "/jobs/batch", "[{}]", 415, []header{asText}},
		{"GET", "/jobs/events?event=nope", "", 400, nil},
		{"POST", "/jobs/schedule", `{"cron":"nope"}`, 400, nil},
		{"POST", "/webhooks/ours/replay", `{"from":0}`, 400, nil},
		{"POST", "/queues/media/purge?limit=1001", "", 400, nil},
		{"POST", "/webhooks/ours/replay", large, 413, nil},
		{"POST", "/webhooks/ours/replay", "{}", 415, []header{asText}},
		{"POST", "/jobs/schedule", large, 413, nil},
		{"POST", "/jobs/schedule", "{}", 415, []header{asText}},
		{"POST", "/jobs/" + id + "/requeue", `{"run":0}`, 400, nil},
		{"POST", "/jobs/" + id + "/requeue", "", 409, nil},
		{"POST", "/jobs/" + id + "/requeue", large, 413, nil},
		{"POST", "/jobs/" + id + "/requeue", "{}", 415, []header{asText}},
		{"GET", "/jobs/" + id + "/events", "", 400, []header{{"Last-Event-ID", "x"}}},
		{"GET", "/jobs/" + id + "/logs?run=x", "", 400, nil},
		{"GET", "/jobs/" + id + "/logs", "", 404, nil},
		{"DELETE", "/jobs/" + id, "", 202, nil},
	})
	w.await(id, contract.StateCancelled)
	w.do("DELETE", "/jobs/"+id, "").want(409)
	w.tooLargeBatch()
	w.server.schedules.mu.Lock()
	for i := range contract.MaxSchedules {
		w.server.schedules.byID[fmt.Sprint(i)] = keptSchedule{}
	}
	w.server.schedules.mu.Unlock()
	w.do("POST", "/jobs/schedule", `{"cron":"* * * * *"}`).want(409)
}

// tooLargeBatch may see the connection cut: the server does not read what it will not take.
func (w *world) tooLargeBatch() {
	w.t.Helper()
	body := strings.Repeat(" ", maxBatchBody) + "[{}]"
	for range 20 {
		req, err := http.NewRequestWithContext(w.t.Context(), "POST", w.url+"/jobs/batch", strings.NewReader(body))
		if err != nil {
			w.t.Fatal(err)
		}
		req.Header.Set("Expect", "100-continue") // as curl does: the answer comes before the body is sent
		req.Header.Set("Content-Type", "application/json")
		res, err := w.http.RoundTrip(req)
		if err != nil {
			continue
		}
		res.Body.Close()
		if res.StatusCode != http.StatusRequestEntityTooLarge {
			w.t.Errorf("status %d", res.StatusCode)
		}
		return
	}
	w.t.Error("never an answer")
}

// The codes that the description tells of are those that there are.
func TestSpecHasEveryCode(t *testing.T) {
	t.Parallel()
	schemas := mustSpec().doc["components"].(map[string]any)["schemas"].(map[string]any)
	code := schemas["Problem"].(map[string]any)["properties"].(map[string]any)["code"].(map[string]any)
	meanings := code["x-codes"].(map[string]any)
	var listed []string
	for _, v := range code["enum"].([]any) {
		listed = append(listed, v.(string))
		if meanings[v.(string)] == nil {
			t.Errorf("%s has no meaning", v)
		}
	}
	for code := range classes {
		if !slices.Contains(listed, string(code)) {
			t.Errorf("%s is not described", code)
		}
	}
	for name, want := range map[string][]string{
		"State": words2(contract.States()), "Reason": words2(contract.Reasons()), "Finding": words2(contract.FindingKinds()),
	} {
		var got []string
		schema := schemas[name].(map[string]any)
		if name == "Finding" {
			schema = schema["properties"].(map[string]any)["kind"].(map[string]any)
		}
		for _, v := range schema["enum"].([]any) {
			got = append(got, v.(string))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func words2[T ~string](list []T) (out []string) {
	for _, v := range list {
		out = append(out, string(v))
	}
	return out
}

// With the books not loaded, an answer comes all the same, and soon.
func TestAwayAnswersInTime(t *testing.T) {
	t.Parallel()
	w := alone(t)
	start := time.Now()
	if code := w.get("/jobs/stats").want(503).problem().Code; code != contract.CodeUnavailable {
		t.Errorf("code %s", code)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
}
