package pipeline

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"tallyman/contract"
	"tallyman/internal/sqslocal"
	"tallyman/internal/testenv"
)

// readers are an api and an aggregator as processes of their own, so that one can be killed without the other.
type readers struct {
	*world
	env  []string
	args []string
	api  func() (kill func()) // starts the api, always at the same address
}

func newReaders(t *testing.T) *readers {
	t.Helper()
	nats := testenv.NATSServer(t)
	testenv.MakeStreams(t, testenv.Dial(t, nats))
	sqs := testenv.SQS(t, sqslocal.Options{Addr: "127.0.0.1:0"})
	config, err := json.Marshal(contract.Config{Queues: []contract.Queue{{
		Name: contract.DefaultQueue, URL: testenv.Queue(t, sqs, contract.DefaultQueue, nil), DefaultType: contract.DefaultJobType,
		Types: []contract.JobType{{Name: contract.DefaultJobType}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	r := &readers{world: &world{t: t}, args: []string{
		"--nats-url", nats.URL(), "--replicas", "1", "--allow-fewer-replicas", "--admin", "127.0.0.1:0", "--log", "error",
	}, env: []string{
		"AWS_ENDPOINT_URL_SQS=" + sqs.URL(), "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x",
		"AWS_EC2_METADATA_DISABLED=true",
	}}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.API = "http://" + free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	r.api = func() (kill func()) { return r.run("api", "--config", file, "--addr", free.Addr().String()) }
	return r
}

// run starts a program; kill ends it as a crash does.
func (r *readers) run(name string, args ...string) (kill func()) {
	r.t.Helper()
	cmd := exec.Command(testenv.Binary(r.t, name), append(append([]string{}, r.args...), args...)...)
	cmd.Env, cmd.Stderr = append(os.Environ(), r.env...), os.Stderr
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed
		close(ended)
	}()
	kill = func() {
		_ = cmd.Process.Kill() // or it has ended
		<-ended
	}
	r.t.Cleanup(kill)
	return kill
}

// aged is an answer with the age that stands beside it; -1: none.
type aged struct {
	status int
	age    int
	stats  contract.Stats
}

func (r *readers) look() aged {
	a := aged{age: -1}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.API+"/jobs/stats", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return a // the api is not there yet
	}
	defer resp.Body.Close()
	a.status = resp.StatusCode
	if age, err := strconv.Atoi(resp.Header.Get("Age")); err == nil {
		a.age = age
	}
	if a.status == http.StatusOK {
		if err := json.NewDecoder(resp.Body).Decode(&a.stats); err != nil {
			r.t.Fatal(err)
		}
	}
	return a
}

// With the aggregator killed, the stats are the last that were known, and their age tells them from those of a
// system in which nothing happens.
func TestTheAgeOfTheStatsTellsIdleFromBehind(t *testing.T) {
	t.Parallel()
	r := newReaders(t)
	killAPI, kill := r.api(), r.run("aggregator")
	counts := func(n int) func(aged) bool {
		return func(a aged) bool { return a.status == http.StatusOK && a.stats.Jobs.Submitted == n && a.age == 0 }
	}
	until(r.world, "fresh books", r.look, counts(0))
	r.post(contract.DefaultJobType, quick)
	level := until(r.world, "level books of a job", r.look, func(a aged) bool { return counts(1)(a) && a.stats.Jobs.Queued == 1 })
	kill()
	r.post(contract.DefaultJobType, quick)
	behind := until(r.world, "an age", r.look, func(a aged) bool { return a.age > 0 })
	older := until(r.world, "a greater age", r.look, func(a aged) bool { return a.age > behind.age })
	if older.status != http.StatusOK || older.stats.Jobs != level.stats.Jobs || older.stats.AsOf.Seq != level.stats.AsOf.Seq {
		t.Errorf("with the aggregator gone the books are %+v, were %+v", older, level)
	}
	killAPI()
	r.api() // which has seen neither of the jobs come
	again := until(r.world, "an age, of what the stream has", r.look, func(a aged) bool { return a.age >= older.age })
	if again.stats.AsOf.Seq != level.stats.AsOf.Seq {
		t.Errorf("%+v", again)
	}
	r.run("aggregator")
	until(r.world, "level again", r.look, counts(2))
}
