package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tallyman/contract"
	"tallyman/internal/queue"
	"tallyman/internal/service"
	"tallyman/internal/sqslocal"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

// examined runs checks, and gives what each found by its name.
func examined(t *testing.T, checks ...Check) map[string]contract.CheckLine {
	t.Helper()
	s := &Self{Component: "test", Instance: "here", Checks: func() []Check { return checks }}
	all := make(map[string]contract.CheckLine)
	for _, l := range s.Examine(t.Context()).Lines {
		if l.Says == "" || strings.Contains(l.Says, "\n") {
			t.Errorf("%+v", l)
		}
		all[l.Name] = l
	}
	return all
}

func wants(t *testing.T, all map[string]contract.CheckLine, name string, ok bool, text string) {
	t.Helper()
	if l, found := all[name]; !found || l.OK != ok || !strings.Contains(l.Says, text) {
		t.Errorf("%s: %+v, want ok %v with %q; all: %+v", name, l, ok, text, all)
	}
}

func jetStream(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestStreams(t *testing.T) {
	t.Parallel()
	srv := testenv.NATSServer(t)
	s := testenv.Dial(t, srv)
	testenv.MakeStreams(t, s)
	check := func(set func() stream.Settings) map[string]contract.CheckLine { return examined(t, Streams(s, set)...) }
	all := check(stream.DefaultSettings)
	wants(t, all, "nats server", true, "version 2.")
	wants(t, all, "clock", true, "within")
	wants(t, all, "stream EVENTS", true, "1 of 1 replicas current")
	for name, l := range all {
		if !l.OK {
			t.Errorf("%s: %+v", name, l)
		}
	}
	three := stream.DefaultSettings()
	three.Replicas = 3
	wants(t, check(func() stream.Settings { return three }), "stream KV_claims", false, "replicas is 1, needed is 3: change it with")

	js := jetStream(t, srv.URL())
	have, err := js.Stream(t.Context(), "KV_claims")
	if err != nil {
		t.Fatal(err)
	}
	config := have.CachedInfo().Config
	config.AllowDirect = true
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "KV_output"); err != nil {
		t.Fatal(err)
	}
	all = check(stream.DefaultSettings)
	wants(t, all, "stream KV_claims", false, "allow direct is true, needed is false: change it with")
	wants(t, all, "stream KV_output", false, "is missing")
	wants(t, all, "stream KV_jobs", true, "replicas current")
	srv.Stop()
	wants(t, check(stream.DefaultSettings), "nats server", false, "NATS does not answer")
}

func TestAStreamThatIsFullIsNamed(t *testing.T) {
	t.Parallel()
	e := stream.Examined{Name: contract.StreamEvents, Bytes: 95, Most: 100, Replicas: 1, Current: 1}
	if err := faultOf(&e); err == nil || !strings.Contains(err.Error(), "--max-bytes") {
		t.Error(err)
	}
	e.Bytes = 50
	if err := faultOf(&e); err != nil {
		t.Error(err)
	}
	e.Current, e.Replicas = 2, 3
	if err := faultOf(&e); err == nil || !strings.Contains(err.Error(), "only 2 of 3 replicas") {
		t.Error(err)
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	now := time.Now()
	if l := clock(now, now.Add(time.Second), now.Add(time.Millisecond)); !l.OK {
		t.Errorf("%+v", l)
	}
	for _, d := range []time.Duration{time.Minute, -time.Minute} {
		if l := clock(now, now.Add(d), now); l.OK || !strings.Contains(l.Says, "NTP") {
			t.Errorf("%s: %+v", d, l)
		}
	}
}

func TestAMissingRightIsNamed(t *testing.T) {
	t.Parallel()
	const denied = "$JS.API.STREAM.INFO.KV_audit"
	ns, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(), Users: []*server.User{
			{Username: "maker", Password: "m"},
			{Username: "bridge", Password: "b", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{">"}, Deny: []string{denied}}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server takes no connections")
	}
	dial := func(user string) *stream.Stream {
		s, err := stream.Connect(t.Context(), stream.Options{URL: strings.Replace(ns.ClientURL(), "nats://", "nats://"+user+"@", 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	testenv.MakeStreams(t, dial("maker:m"))
	wants(t, examined(t, Streams(dial("bridge:b"), stream.DefaultSettings)...), "stream KV_audit", false, denied)
}

func TestQueues(t *testing.T) {
	t.Parallel()
	sqs := testenv.SQS(t, sqslocal.Options{Addr: "127.0.0.1:0"})
	client := testenv.QueueClient(t, sqs)
	dead, other := testenv.Queue(t, sqs, "orders-dead", nil), testenv.Queue(t, sqs, "other", nil)
	policy := func(name string) string {
		b, err := json.Marshal(map[string]any{"deadLetterTargetArn": sqs.QueueARN(name), "maxReceiveCount": 5})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	good := map[string]string{"VisibilityTimeout": "60", "MessageRetentionPeriod": "1209600", "RedrivePolicy": policy("orders-dead")}
	url := testenv.Queue(t, sqs, "orders", good)
	day := contract.Duration(24 * time.Hour)
	q := contract.Queue{Name: "orders", URL: url, DeadLetter: dead, Retention: 14 * day}
	config := &contract.Config{Queues: []contract.Queue{q}}
	all := examined(t, Queues(client, config)...)
	wants(t, all, "queue orders", true, "0 visible")
	wants(t, all, "dead-letter queue of orders", true, "0 messages")

	for name, c := range map[string]struct {
		attributes map[string]string
		change     func(*contract.Queue)
		text       string
	}{
		"short":     {attributes: map[string]string{"VisibilityTimeout": "5"}, text: "set VisibilityTimeout to 30s or more"},
		"forgets":   {change: func(q *contract.Queue) { q.Retention = day }, text: "and the configuration says 24h"},
		"elsewhere": {change: func(q *contract.Queue) { q.DeadLetter = other }, text: "sends messages to orders-dead, and the configuration looks for them in other"},
		"unnamed":   {change: func(q *contract.Queue) { q.DeadLetter = "" }, text: "so their jobs never end"},
		"for-ever":  {attributes: map[string]string{"RedrivePolicy": ""}, text: "it has no redrive policy"},
		"gone":      {change: func(q *contract.Queue) { q.URL += "-gone" }, text: "make it, or mend its URL"},
	} {
		attributes := map[string]string{"VisibilityTimeout": good["VisibilityTimeout"], "MessageRetentionPeriod": good["MessageRetentionPeriod"], "RedrivePolicy": good["RedrivePolicy"]}
		for k, v := range c.attributes {
			if attributes[k] = v; v == "" {
				delete(attributes, k)
			}
		}
		bad := q
		bad.URL = testenv.Queue(t, sqs, name, attributes)
		if c.change != nil {
			c.change(&bad)
		}
		wants(t, examined(t, Queues(client, &contract.Config{Queues: []contract.Queue{bad}})...), "queue orders", false, c.text)
	}
	away, err := queue.Open(t.Context(), queue.Options{Endpoint: "http://127.0.0.1:1", Region: "us-east-1", AccessKey: "a", SecretKey: "b", CallTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, examined(t, Queues(away, config)...), "queue orders", false, "see AWS_REGION, the endpoint and the credentials")
}

// books is a ledger of the test's own making.
func books(t *testing.T) (*Books, *stream.Stream, func(bucket, key string, value any)) {
	t.Helper()
	s := testenv.NATS(t)
	open := func(name string) *stream.Bucket {
		b, err := s.Bucket(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := &Books{Events: s, Ledger: open(contract.BucketJobs), Audits: open(contract.BucketAudit)}
	return b, s, func(bucket, key string, value any) {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := open(bucket).Put(t.Context(), key, text); err != nil {
			t.Fatal(err)
		}
	}
}

// submitted says that a task exists, and gives it as the aggregator would name it among those that wait.
func submitted(t *testing.T, s *stream.Stream, notBefore contract.Time) contract.AttentionItem {
	t.Helper()
	task := contract.Task{
		JobID: contract.KeyID("doctor", "1"), Run: 1, Type: "probe", Queue: "default", Payload: []byte("{}"), SubmittedAt: contract.At(time.Now()),
		Submitter: "test", Source: contract.FromAPI, NotBefore: notBefore,
	}
	raw, err := task.Encode()
	if err != nil {
		t.Fatal(err)
	}
	seq, err := s.Publish(t.Context(), contract.Event{
		Kind: contract.Submitted, Source: contract.SourceAPI, Time: task.SubmittedAt, Queue: task.Queue, Type: task.Type, JobID: task.JobID, Run: 1,
		SubmittedAt: task.SubmittedAt, Task: raw,
	})
	if err != nil {
		t.Fatal(err)
	}
	return contract.AttentionItem{JobID: task.JobID, Run: 1, Queue: task.Queue, Type: task.Type, Since: task.SubmittedAt, TaskSeq: seq}
}

func TestLags(t *testing.T) {
	t.Parallel()
	b, s, put := books(t)
	all := examined(t, b.Lags()...)
	wants(t, all, "ledger", true, "nothing waits")
	wants(t, all, "accepted", true, "no task waits")
	wants(t, all, "audit", true, "none yet")

	waits := submitted(t, s, contract.Time{})
	wants(t, examined(t, b.Lags()...), "ledger", true, "1 wait")
	b.Now = func() time.Time { return time.Now().Add(time.Hour) }
	wants(t, examined(t, b.Lags()...), "ledger", false, "see whether an aggregator runs and leads")

	put(contract.BucketJobs, contract.KeyStats, contract.Stats{AsOf: contract.AsOf{Seq: waits.TaskSeq}, Balanced: true})
	put(contract.BucketJobs, contract.KeyAttention, contract.Attention{Accepted: []contract.AttentionItem{waits}})
	put(contract.BucketAudit, contract.KeyReport, contract.AuditReport{V: 1, At: contract.At(time.Now())})
	all = examined(t, b.Lags()...)
	wants(t, all, "ledger", true, "nothing waits")
	wants(t, all, "accepted", false, "see whether queue default takes messages")
	wants(t, all, "audit", false, "the last audit was 1h")
	b.Now = nil
	put(contract.BucketAudit, contract.KeyReport, contract.AuditReport{V: 1, At: contract.At(time.Now()), Unaccounted: 2})
	all = examined(t, b.Lags()...)
	wants(t, all, "accepted", true, "1 tasks wait")
	wants(t, all, "audit", false, "run `tallyman verify`")
	report := contract.AuditReport{V: 1, At: contract.At(time.Now()), Remarks: []string{"stats were not compared"}}
	put(contract.BucketAudit, contract.KeyReport, report)
	wants(t, examined(t, b.Lags()...), "audit", true, "ago; but stats were not compared")
	report.Unchecked = []string{"queue default: SQS is away"}
	put(contract.BucketAudit, contract.KeyReport, report)
	wants(t, examined(t, b.Lags()...), "audit", false, "could not look at queue default")
	put(contract.BucketJobs, contract.KeyStats, contract.Stats{AsOf: contract.AsOf{Seq: waits.TaskSeq}, Balance: contract.Balance{Off: 3}})
	wants(t, examined(t, b.Lags()...), "ledger", false, "off 3")
}

func TestATaskForLaterWaitsForNobody(t *testing.T) {
	t.Parallel()
	b, s, put := books(t)
	waits := submitted(t, s, contract.At(time.Now().Add(48*time.Hour)))
	put(contract.BucketJobs, contract.KeyAttention, contract.Attention{Accepted: []contract.AttentionItem{waits}})
	b.Now = func() time.Time { return time.Now().Add(time.Hour) }
	wants(t, examined(t, b.Lags()...), "accepted", true, "or for their time")
}

func TestParts(t *testing.T) {
	t.Parallel()
	all := examined(t, Parts([]service.Part{
		{Name: "api", Ready: func(context.Context) error { return nil }},
		{Name: "lease"},
		{Name: "kubernetes", Ready: func(context.Context) error { return errors.New("may not list jobs;\nthe bridge needs list") }},
	})...)
	wants(t, all, "api", true, "ready")
	wants(t, all, "kubernetes", false, "may not list jobs;; the bridge needs list")
	if len(all) != 2 {
		t.Errorf("%+v", all)
	}
}

func TestDiagnose(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)
	told := func(component, version string, age time.Duration, ok bool) contract.Checkup {
		return contract.Checkup{
			Component: component, Instance: component + "/1", Version: version, At: contract.At(now.Add(-age)),
			Lines: []contract.CheckLine{{Name: "nats server", OK: ok, Says: "it is"}},
		}
	}
	four := []contract.Checkup{
		told("api", "a", 0, true), told("scheduler", "a", time.Second, true), told("bridge", "a", 0, true), told("aggregator", "a", 0, true),
	}
	find := func(d contract.Diagnosis, component, name string) contract.CheckLine {
		for _, l := range d.Lines {
			if l.Component == component && l.Name == name {
				return l
			}
		}
		return contract.CheckLine{}
	}
	if d := Diagnose(four, now); !d.OK || len(d.Lines) != 5 || !strings.HasPrefix(find(d, "all", "version").Says, "a, ") {
		t.Errorf("%+v", d)
	}
	if d := Diagnose(append(four, told("api", "a", time.Hour, false)), now); !d.OK { // an earlier pod, that ended
		t.Errorf("%+v", d)
	}
	for name, c := range map[string]struct {
		all             []contract.Checkup
		component, line string
		text            string
	}{
		"nobody":  {nil, "bridge", "running", "no bridge has told how it is;"},
		"silent":  {append(four[:3:3], told("aggregator", "a", 2*time.Minute, true)), "aggregator", "running", "for 2m0s"},
		"bad":     {append(four[:3:3], told("aggregator", "a", 0, false)), "aggregator", "nats server", "it is"},
		"another": {append(four[:3:3], told("aggregator", "b", 0, true)), "all", "version", "different releases: api, bridge, scheduler a; aggregator b; wait"},
		"one of two": {append(four[:4:4], told("api", "a+amd64.2", 0, true), told("api", "a+amd64.1", 0, true)), "all", "version",
			"api amd64 runs in different builds of a: 1, 2; wait"},
	} {
		d := Diagnose(c.all, now)
		if l := find(d, c.component, c.line); d.OK || l.OK || !strings.Contains(l.Says, c.text) {
			t.Errorf("%s: %+v", name, d)
		}
	}
	// Each has a program of its own, and two kinds of machines have two of one source.
	each := []contract.Checkup{
		told("api", "1.2.3+amd64.1", 0, true), told("api", "1.2.3+arm64.2", 0, true), told("scheduler", "1.2.3+amd64.3", 0, true),
		told("bridge", "1.2.3+amd64.4", 0, true), told("aggregator", "1.2.3+amd64.5", 0, true),
	}
	if l := find(Diagnose(each, now), "all", "version"); !l.OK || !strings.HasPrefix(l.Says, "1.2.3, aggregator amd64 5, api amd64 1, api arm64 2, ") {
		t.Errorf("%+v", l)
	}
	if d := Diagnose([]contract.Checkup{told(OneProcess, "a", 0, true)}, now); !d.OK {
		t.Errorf("%+v", d)
	}
}

// What a process finds is told, and told again.
func TestSelfTells(t *testing.T) {
	t.Parallel()
	s := testenv.NATS(t)
	records, err := s.Bucket(t.Context(), contract.BucketAudit)
	if err != nil {
		t.Fatal(err)
	}
	self := &Self{
		Component: "api", Instance: "pod/1", Records: records, Log: slog.New(slog.DiscardHandler),
		Checks: func() []Check { return Streams(s, stream.DefaultSettings) },
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- self.Run(ctx) }()
	told := make(chan contract.Checkup, 1)
	err = records.Watch(ctx, contract.CheckupKeys, func(e stream.Entry) error {
		var c contract.Checkup
		if err := json.Unmarshal(e.Value, &c); err != nil {
			return err
		}
		told <- c
		return errors.New("seen")
	}, func() error { return nil })
	if err == nil || err.Error() != "seen" {
		t.Fatal(err)
	}
	if c := <-told; c.Component != "api" || c.Instance != "pod/1" || len(c.Lines) < 9 || c.At.IsZero() || c.Version == "" {
		t.Errorf("%+v", c)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
