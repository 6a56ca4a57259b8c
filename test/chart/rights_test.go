package chart

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// rights are what a user may publish and subscribe to.
type rights struct{ Publish, Subscribe []string }

// streams are all that stream.Ensure looks at.
var streams = []string{
	contract.StreamEvents, contract.StreamScaling, contract.BucketStream(contract.BucketClaims), contract.BucketStream(contract.BucketJobs),
	contract.BucketStream(contract.BucketSchedules), contract.BucketStream(contract.BucketOutput), contract.BucketStream(contract.BucketLeases),
	contract.BucketStream(contract.BucketWebhooks), contract.BucketStream(contract.BucketAudit),
}

func say(queue string, kinds ...contract.Kind) (subjects []string) {
	for _, k := range kinds {
		subjects = append(subjects, contract.EventSubject(queue, "*", k, "*"))
	}
	return subjects
}

// follow is what an ordered consumer of a stream asks of JetStream; key is a bucket's filter.
func follow(stream, filter string) []string {
	create := "$JS.API.CONSUMER.CREATE." + stream
	switch filter {
	case "":
		create += ".*"
	case ">":
		create += ".>"
	default:
		create += ".*." + filter
	}
	return []string{create, "$JS.API.CONSUMER.INFO." + stream + ".*", "$JS.API.CONSUMER.DELETE." + stream + ".*", "$JS.API.CONSUMER.MSG.NEXT." + stream + ".*"}
}

func watch(bucket, filter string) []string {
	return follow(contract.BucketStream(bucket), contract.BucketSubject(bucket, filter))
}

func direct(bucket, filter string) string {
	return "$JS.API.DIRECT.GET." + contract.BucketStream(bucket) + "." + contract.BucketSubject(bucket, filter)
}

func leader(bucket string) string { return "$JS.API.STREAM.MSG.GET." + contract.BucketStream(bucket) }

func claimed(queue string) (units, runs string) {
	return contract.BucketSubject(contract.BucketClaims, contract.UnitKeys(queue)),
		contract.BucketSubject(contract.BucketClaims, wild(contract.RunKey(queue, "*", 0)))
}

// wild puts a wildcard where a name has its number.
func wild(name string) string { return strings.ReplaceAll(name, ".0", ".*") }

// expected is the table of docs/permissions.md in the contract's own words.
func expected(queues ...string) map[string]rights {
	var look, build []string
	for _, s := range streams {
		look, build = append(look, "$JS.API.STREAM.INFO."+s), append(build, "$JS.API.STREAM.CREATE."+s)
	}
	units, runs := claimed("*")
	clusters := strings.SplitAfter(contract.ClusterKey("any"), ".")[0] + "*"
	const oneEvent = "$JS.API.DIRECT.GET." + contract.StreamEvents
	schedule := contract.BucketSubject(contract.BucketSchedules, "*")
	order := contract.BucketSubject(contract.BucketWebhooks, contract.WebhookOrderKey("*"))
	progress := contract.BucketSubject(contract.BucketWebhooks, contract.WebhookStateKey("*"))
	audits := slices.Concat(follow(contract.StreamEvents, ""), watch(contract.BucketJobs, ">"), watch(contract.BucketClaims, contract.UnitKeys("*")),
		watch(contract.BucketClaims, contract.RunKeys("*")), watch(contract.BucketAudit, contract.InventoryKeys),
		[]string{leader(contract.BucketClaims), direct(contract.BucketJobs, ">"), direct(contract.BucketAudit, ">"), oneEvent})
	told := func(key string) string { return contract.BucketSubject(contract.BucketAudit, key) }
	checkup := func(component string) string { return told("doctor." + component + ".*") }
	users := map[string]rights{
		"api": {Publish: slices.Concat(look, audits, follow(contract.StreamScaling, contract.ScalingSubjects), watch(contract.BucketSchedules, ">"),
			watch(contract.BucketAudit, contract.KeyReport), watch(contract.BucketAudit, contract.CheckupKeys),
			say("*", contract.Submitted, contract.Queued, contract.CancelledKind),
			[]string{units, runs, schedule, order, checkup("api"), leader(contract.BucketWebhooks), direct(contract.BucketSchedules, "*"), direct(contract.BucketOutput, wild(contract.OutputKey("*", "*", 0, 0)))}),
			Subscribe: []string{contract.ProgressSubjects}},
		"scheduler": {Publish: slices.Concat(look, audits, watch(contract.BucketSchedules, ">"),
			watch(contract.BucketWebhooks, contract.WebhookOrderKey("*")),
			say("*", contract.Submitted, contract.Queued, contract.Failed, contract.CancelledKind),
			[]string{runs, schedule, contract.BucketSubject(contract.BucketLeases, contract.LeaseScheduler), leader(contract.BucketLeases),
				told(contract.KeyReport), told(contract.KeyStreamMark), checkup("scheduler"), direct(contract.BucketSchedules, "*"),
				progress, contract.BucketSubject(contract.BucketLeases, contract.LeaseWebhooks), leader(contract.BucketWebhooks)})},
		"bridge": {Publish: slices.Concat(look, watch(contract.BucketClaims, contract.UnitKeys("*")), watch(contract.BucketJobs, contract.KeyStats),
			say("*", contract.Submitted, contract.Claimed, contract.AttemptFailed, contract.AttemptDisrupted, contract.Succeeded, contract.Failed, contract.CancelledKind, contract.ClaimFailed),
			[]string{units, contract.BucketSubject(contract.BucketClaims, clusters), contract.BucketSubject(contract.BucketClaims, contract.SightKey("*")),
				leader(contract.BucketClaims), contract.ScalingSubjects, told(contract.InventoryKeys), checkup("bridge")})},
		"aggregator": {Publish: slices.Concat(look, build, follow(contract.StreamEvents, ""), watch(contract.BucketJobs, ">"),
			[]string{contract.BucketSubject(contract.BucketJobs, ">"), contract.BucketSubject(contract.BucketLeases, contract.LeaseLedger), leader(contract.BucketLeases), checkup("aggregator"),
				oneEvent, direct(contract.BucketJobs, ">")})},
		"tap":   {Publish: slices.Concat(past(contract.StreamEvents), past(contract.StreamScaling)), Subscribe: []string{"jobs.events.>", "jobs.progress.>", "jobs.scaling.>"}},
		"admin": {Publish: []string{">"}, Subscribe: []string{">"}},
	}
	for _, q := range queues {
		units, runs := claimed(q)
		users["processor-"+q] = rights{Publish: slices.Concat(
			say(q, contract.Submitted, contract.Claimed, contract.Started, contract.AttemptFailed, contract.Succeeded, contract.Failed, contract.CancelledKind, contract.Noop, contract.Duplicate, contract.Rejected),
			[]string{units, runs, contract.BucketSubject(contract.BucketOutput, wild(contract.OutputKey(q, "*", 0, 0))), contract.ProgressSubject(q, "*", "*"), leader(contract.BucketClaims)}),
			Subscribe: []string{units}}
	}
	for name, r := range users {
		if name != "admin" {
			r.Subscribe = append(r.Subscribe, "_INBOX_"+name+".>")
		}
		users[name] = rights{sorted(r.Publish), sorted(r.Subscribe)}
	}
	return users
}

// past is reading a stream in any order, by any filter, as the nats command does.
func past(stream string) []string {
	return append(follow(stream, ">"), "$JS.API.STREAM.INFO."+stream, "$JS.API.DIRECT.GET."+stream, "$JS.FC."+stream+".>")
}

func sorted(subjects []string) []string {
	subjects = slices.Clone(subjects)
	slices.Sort(subjects)
	return slices.Compact(subjects)
}

// The chart's users hold to contract/names.go: a name that changes there without the chart fails here.
func TestUsersHaveTheContractsSubjects(t *testing.T) {
	t.Parallel()
	objects := render(t, "helm3", "-f", "testdata/values/try.yaml", "--set",
		"queues[0].name=default,queues[0].types[0].name=probe,queues[1].name=B_1,queues[1].types[0].name=probe")
	s := startNATS(t, objects)
	opts, err := server.ProcessConfigFile(s.write(t, release+"-tallyman-nats", "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]rights)
	for _, u := range opts.Users {
		p, s := u.Permissions.Publish, u.Permissions.Subscribe
		if len(p.Allow) == 0 || len(s.Allow) == 0 {
			t.Errorf("%s: an empty list of what is allowed would allow everything: %+v, %+v", u.Username, p, s)
		}
		got[u.Username] = rights{sorted(p.Allow), sorted(s.Allow)}
	}
	if diff := cmp.Diff(expected("default", "B_1"), got); diff != "" {
		t.Errorf("(-contract +chart):\n%s", diff)
	}
	if !opts.SyncAlways {
		t.Error("a claim that was acknowledged may be lost in a power cut: sync_interval is not always")
	}
	if opts.JetStreamLimits.MaxBatchSize != stream.MaxBatch {
		t.Errorf("the server takes batches of %d, a commit has %d", opts.JetStreamLimits.MaxBatchSize, stream.MaxBatch)
	}
	if len(opts.Accounts) != 1 {
		t.Errorf("accounts: %v", opts.Accounts)
	}
}

// A NATS outside gets the same users, without passwords.
func TestRightsForAnOutsideNATS(t *testing.T) {
	t.Parallel()
	cm := one[*corev1.ConfigMap](t, render(t, "helm3", "-f", "testdata/values/aws.yaml"), "r-tallyman-nats-users")
	var conf struct {
		Users []struct {
			User        string
			Permissions struct {
				Publish, Subscribe struct{ Allow, Deny []string }
			}
		}
	}
	if err := json.Unmarshal([]byte(cm.Data["users.json"]), &conf); err != nil {
		t.Fatal(err)
	}
	want := expected("default")
	delete(want, "admin")
	for _, u := range conf.Users {
		p, s := u.Permissions.Publish, u.Permissions.Subscribe
		if diff := cmp.Diff(want[u.User], rights{sorted(p.Allow), sorted(s.Allow)}); diff != "" {
			t.Errorf("%s:\n%s", u.User, diff)
		}
		delete(want, u.User)
	}
	if len(want) > 0 {
		t.Errorf("users that are missing: %v", want)
	}
}

// acts is who may do what; whoever is not named is refused. "a" and "b" are two teams' queues.
var acts = []struct {
	what    string
	publish bool
	subject string
	who     []string
}{
	{"say that a job of a exists", true, "jobs.events.a.probe.submitted.j", []string{"api", "scheduler", "bridge", "processor-a", "admin"}},
	{"say that a job of a has succeeded", true, "jobs.events.a.probe.succeeded.j", []string{"bridge", "processor-a", "admin"}},
	{"say that a job of b has succeeded", true, "jobs.events.b.probe.succeeded.j", []string{"bridge", "processor-b", "admin"}},
	{"say that SQS has a job of a", true, "jobs.events.a.probe.queued.j", []string{"api", "scheduler", "admin"}},
	{"say that Kubernetes took a pod of a", true, "jobs.events.a.probe.attempt-disrupted.j", []string{"bridge", "admin"}},
	{"say past the transform", true, "jobs.log.0.a.probe.succeeded", []string{"admin"}},
	{"write a unit's claim in a", true, "$KV.claims.a.unit.u", []string{"api", "bridge", "processor-a", "admin"}},
	{"write a unit's claim in b", true, "$KV.claims.b.unit.u", []string{"api", "bridge", "processor-b", "admin"}},
	{"say which cluster a name stands for", true, "$KV.claims.cluster.0123456789abcdef", []string{"bridge", "admin"}},
	{"tell what is seen of a queue", true, "$KV.claims.sight.a", []string{"bridge", "admin"}},
	{"write a run's owner in a", true, "$KV.claims.a.run.j.1", []string{"api", "scheduler", "processor-a", "admin"}},
	{"write a run's owner in b", true, "$KV.claims.b.run.j.1", []string{"api", "scheduler", "processor-b", "admin"}},
	{"write the books", true, "$KV.jobs.job.j", []string{"aggregator", "admin"}},
	{"write a schedule", true, "$KV.schedules.s", []string{"api", "scheduler", "admin"}},
	{"write the output of a", true, "$KV.output.a.j.1.1", []string{"processor-a", "admin"}},
	{"take the scheduler's lease", true, "$KV.leases.scheduler", []string{"scheduler", "admin"}},
	{"take the lease of the webhooks", true, "$KV.leases.webhooks", []string{"scheduler", "admin"}},
	{"say how far a webhook has come", true, "$KV.webhooks.state.h", []string{"scheduler", "admin"}},
	{"let a webhook go on from another place", true, "$KV.webhooks.order.h", []string{"api", "admin"}},
	{"read how far a webhook has come", true, "$JS.API.STREAM.MSG.GET.KV_webhooks", []string{"api", "scheduler", "admin"}},
	{"take the aggregator's lease", true, "$KV.leases.aggregator", []string{"aggregator", "admin"}},
	{"tell the progress of a", true, "jobs.progress.a.probe.j", []string{"processor-a", "admin"}},
	{"mirror Kubernetes' Events", true, "jobs.scaling.a.Failed", []string{"bridge", "admin"}},
	{"tell of Kubernetes Jobs", true, "$KV.audit.units.0123456789abcdef", []string{"bridge", "admin"}},
	{"say what an audit found", true, "$KV.audit.report", []string{"scheduler", "admin"}},
	{"say how the bridge is", true, "$KV.audit.doctor.bridge.0123456789abcdef", []string{"bridge", "admin"}},
	{"read any claim", true, "$JS.API.STREAM.MSG.GET.KV_claims", []string{"api", "scheduler", "bridge", "processor-a", "processor-b", "admin"}},
	{"read every event", true, "$JS.API.CONSUMER.CREATE.EVENTS.c", []string{"api", "scheduler", "aggregator", "tap", "admin"}},
	{"read what Kubernetes said", true, "$JS.API.CONSUMER.CREATE.SCALING.c.jobs.scaling.a.*", []string{"api", "tap", "admin"}},
	{"read one event", true, "$JS.API.DIRECT.GET.EVENTS", []string{"api", "scheduler", "aggregator", "tap", "admin"}},
	{"read outputs", true, "$JS.API.DIRECT.GET.KV_output.$KV.output.a.j.1.1", []string{"api", "admin"}},
	{"read the books", true, "$JS.API.CONSUMER.CREATE.KV_jobs.c.$KV.jobs.>", []string{"api", "scheduler", "aggregator", "admin"}},
	{"read the claims of all queues", true, "$JS.API.CONSUMER.CREATE.KV_claims.c.$KV.claims.*.unit.*", []string{"api", "scheduler", "bridge", "admin"}},
	{"make a stream", true, "$JS.API.STREAM.CREATE.EVENTS", []string{"aggregator", "admin"}},
	{"make another stream", true, "$JS.API.STREAM.CREATE.COPY", []string{"admin"}},
	{"change a stream", true, "$JS.API.STREAM.UPDATE.EVENTS", []string{"admin"}},
	{"empty a stream", true, "$JS.API.STREAM.PURGE.KV_claims", []string{"admin"}},
	{"delete a stream", true, "$JS.API.STREAM.DELETE.EVENTS", []string{"admin"}},
	{"delete a message", true, "$JS.API.STREAM.MSG.DELETE.EVENTS", []string{"admin"}},
	{"hear events", false, "jobs.events.>", []string{"tap", "admin"}},
	{"hear the progress of all", false, "jobs.progress.*.*.*", []string{"api", "tap", "admin"}},
	{"hear changes of a's claims", false, "$KV.claims.a.unit.*", []string{"processor-a", "admin"}},
	{"hear changes of b's claims", false, "$KV.claims.b.unit.*", []string{"processor-b", "admin"}},
	{"hear everybody's answers", false, "_INBOX.>", []string{"admin"}},
	{"hear the api's answers", false, "_INBOX_api.>", []string{"api", "admin"}},
	{"hear a processor's answers", false, "_INBOX_processor-a.>", []string{"processor-a", "admin"}},
	{"hear everything", false, ">", []string{"admin"}},
}

var users = []string{"api", "scheduler", "bridge", "aggregator", "processor-a", "processor-b", "tap", "admin"}

// A real server refuses whatever is not in the table.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	s := startNATS(t, twoTeams(t))
	for _, user := range users {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			for _, act := range acts {
				if allowed, want := s.lets(t, user, act.publish, act.subject), slices.Contains(act.who, user); allowed != want {
					t.Errorf("%s: %s: allowed %v, want %v", act.what, act.subject, allowed, want)
				}
			}
		})
	}
	if _, err := nats.Connect(s.ClientURL()); err == nil {
		t.Error("somebody without a name was let in")
	}
	if _, err := nats.Connect(s.ClientURL(), nats.UserInfo("api", "guess")); err == nil {
		t.Error("a wrong password was let in")
	}
}

func twoTeams(t *testing.T) []*object {
	t.Helper()
	return render(t, "helm3", "-f", "testdata/values/try.yaml", "--set",
		"queues[0].name=a,queues[0].types[0].name=probe,queues[1].name=b,queues[1].types[0].name=probe,queues[0].types[1].name=process-data")
}

// lets asks on a connection of its own, on which a refusal can only be of this act.
func (s *natsServer) lets(t *testing.T, user string, publish bool, subject string) bool {
	t.Helper()
	refused := make(chan error, 4)
	nc, err := nats.Connect(s.ClientURL(), s.login(t, user), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if publish {
		err = nc.Publish(subject, nil)
	} else {
		_, err = nc.SubscribeSync(subject)
	}
	if err != nil {
		t.Fatal(err)
	}
	// The server answers in order: what it refuses is said before the answer to the flush.
	if err := nc.FlushTimeout(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if nc.LastError() == nil {
		return true
	}
	if err := <-refused; !strings.Contains(strings.ToLower(err.Error()), "permissions violation") {
		t.Fatalf("%s %s: %v", user, subject, err)
	}
	return false
}

func (s *natsServer) login(t *testing.T, user string) nats.Option {
	t.Helper()
	b, err := os.ReadFile(s.credentials(t, user))
	if err != nil {
		t.Fatal(err)
	}
	name, password, _ := strings.Cut(strings.TrimSpace(string(b)), ":")
	return nats.UserInfo(name, password)
}

// A header of a message that may be written cannot take away what others wrote: a roll-up of the whole bucket
// would.
func TestNobodyRollsUpAnothersRecords(t *testing.T) {
	t.Parallel()
	s := startNATS(t, twoTeams(t))
	made := s.dial(t, "aggregator")
	if err := made.Ensure(t.Context(), stream.DefaultSettings()); err != nil {
		t.Fatal(err)
	}
	claims, err := s.dial(t, "bridge").Bucket(t.Context(), contract.BucketClaims)
	if err != nil {
		t.Fatal(err)
	}
	key := contract.UnitKey("b", "u")
	if _, err := claims.Create(t.Context(), key, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(s.ClientURL(), s.login(t, "processor-a"), nats.CustomInboxPrefix("_INBOX_processor-a"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, roll := range []string{"all", "sub"} {
		m := nats.NewMsg(contract.BucketSubject(contract.BucketClaims, contract.UnitKey("a", "u")))
		m.Header.Set("Nats-Rollup", roll)
		answer, err := nc.RequestMsg(m, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(answer.Data), "error") {
			t.Errorf("a roll-up (%s) was taken: %s", roll, answer.Data)
		}
	}
	if _, err := claims.Get(t.Context(), key); err != nil {
		t.Errorf("b's record: %v", err)
	}
}

// dial connects as internal/stream does in a pod of that user.
func (s *natsServer) dial(t *testing.T, user string) *stream.Stream {
	t.Helper()
	c, err := stream.Connect(t.Context(), stream.Options{
		URL: s.ClientURL(), Credentials: s.credentials(t, user), Inbox: "_INBOX_" + user, Name: fmt.Sprint(t.Name(), " ", user),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// `nats sub --stream` with the tap's credentials reads the past, in either of the ways that clients have.
func TestTapReadsThePast(t *testing.T) {
	t.Parallel()
	s := startNATS(t, twoTeams(t))
	if err := s.dial(t, "aggregator").Ensure(t.Context(), stream.DefaultSettings()); err != nil {
		t.Fatal(err)
	}
	at := contract.At(time.Now())
	e := contract.Event{
		Kind: contract.Queued, Source: contract.SourceAPI, Time: at, Queue: "a", Type: "probe", JobID: contract.KeyID("chart", "1"),
		Run: 1, SubmittedAt: at,
	}
	if _, err := s.dial(t, "api").Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	err := s.dial(t, "tap").Follow(t.Context(), 0, func(st stream.Stored) error {
		if st.Event.JobID != e.JobID {
			t.Errorf("%+v", st)
		}
		return enough
	})
	if !errors.Is(err, enough) {
		t.Error(err)
	}
	nc, err := nats.Connect(s.ClientURL(), s.login(t, "tap"), nats.CustomInboxPrefix("_INBOX_tap"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	sub, err := js.SubscribeSync("jobs.log.*.a.probe.queued", nats.BindStream(contract.StreamEvents), nats.OrderedConsumer())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sub.NextMsg(10 * time.Second); err != nil {
		t.Error(err)
	}
}
