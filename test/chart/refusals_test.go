package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

const trying = "nats: {bundled: true}\nsqs: {bundled: true}\n"

const atAWS = "nats: {url: \"nats://nats:4222\"}\naws: {region: eu-central-1}\n"

// Every value that cannot be meant, and what the refusal says: the value's name, and what to do.
var refusals = []struct {
	name, values string
	want         []string
}{
	{"no NATS and no SQS", "{}", []string{
		"nats.url: give the address of your NATS", "nats.bundled=true", "aws.region: give the region", `queues[0].url: queue "default" has none`,
	}},
	{"a queue without a URL", atAWS + "queues: [{name: a, url: \"https://sqs/1/a\", types: [{name: probe}]}, {name: b, types: [{name: probe}]}]", []string{
		`queues[1].url: queue "b" has none; give the URL of its SQS queue`,
	}},
	{"two queues of one name", trying + "queues: [{name: a, types: [{name: probe}]}, {name: a, types: [{name: probe}]}]", []string{
		`queues[1].name: "a" stands twice`,
	}},
	{"one URL for two queues", atAWS + "queues: [{name: a, url: \"https://sqs/1/a\", types: [{name: probe}]}, {name: b, url: \"https://sqs/1/a\", types: [{name: probe}]}]", []string{
		"queues[1].url: https://sqs/1/a is the URL of another queue",
	}},
	{"a queue that is another's dead-letter queue", trying + "queues: [{name: a, types: [{name: probe}]}, {name: a-dead, types: [{name: probe}]}]", []string{
		`queues[0].name: the bundled SQS makes a-dead as the dead-letter queue of "a"`,
	}},
	{"no queue", trying + "queues: []", []string{"queues: at least one is needed"}},
	{"a URL beside the bundled SQS", trying + "queues: [{name: a, url: \"https://sqs/1/a\", types: [{name: probe}]}]", []string{
		"queues[0].url: the bundled SQS makes the queue",
	}},
	{"both NATS", "nats: {bundled: true, url: \"nats://nats:4222\"}\nsqs: {bundled: true}", []string{"nats.url: stands beside nats.bundled=true"}},
	{"credentials for the bundled NATS", "nats: {bundled: true, credentials: {secret: mine}}\nsqs: {bundled: true}", []string{"nats.credentials.secret: the bundled NATS makes its own"}},
	{"both SQS", "nats: {bundled: true}\nsqs: {bundled: true}\naws: {endpoint: \"http://mq:9324\", keysSecret: k}", []string{
		"aws.endpoint: stands beside sqs.bundled=true", "aws.keysSecret: the bundled SQS makes its own",
	}},
	{"one replica", "nats: {url: \"nats://nats:4222\", replicas: 1}\nsqs: {bundled: true}", []string{"nats.replicas: 1; claims are only as durable as NATS", "nats.allowFewerReplicas=true"}},
	{"two types of one name", trying + "queues: [{name: a, types: [{name: probe}, {name: probe}]}]", []string{`queues[0].types[1].name: "probe" stands twice`}},
	{"a type of nobody", trying + "queues: [{name: a, types: [{name: resize}]}]", []string{`queues[0].types[0].command: "resize" is not a built-in type`}},
	{"a default that is no type", trying + "queues: [{name: a, defaultType: resize, types: [{name: probe}]}]", []string{`queues[0].defaultType: there is no type "resize"`}},
	{"a command and no image", trying + "queues: [{name: a, types: [{name: resize, command: [/resize]}]}]", []string{"queues[0].image: a command needs an image"}},
	{"a variable that the work never sees", trying + "queues: [{name: a, env: [{name: AWS_PROFILE, value: x}], types: [{name: probe}]}]", []string{"queues[0].env[0].name: AWS_PROFILE: the work inherits nothing"}},
	{"a volume of ours", trying + "queues: [{name: a, volumes: [{name: nats}], types: [{name: probe}]}]", []string{`queues[0].volumes[0].name: "nats" is the name of one of ours`}},
	{"data around our credentials", trying + "queues: [{name: a, dataDir: /etc, types: [{name: process-data}]}]", []string{"queues[0].dataDir: /etc has to do with /etc/tallyman, where credentials lie"}},
	{"data in our credentials", trying + "queues: [{name: a, dataDir: /etc/tallyman/nats/, types: [{name: process-data}]}]", []string{"queues[0].dataDir: /etc/tallyman/nats/ has to do with /etc/tallyman,"}},
	{"data that is everything", trying + "queues: [{name: a, dataDir: /data/.., types: [{name: process-data}]}]", []string{
		"queues[0].dataDir: /data/.. has to do with /etc/tallyman,", "with /var/run/secrets,", "with /run/secrets,", "with /proc,",
	}},
	{"data around a Secret", trying + "queues: [{name: a, dataDir: /data, volumes: [{name: s, secret: {secretName: s}}], volumeMounts: [{name: s, mountPath: /data/s}], types: [{name: process-data}]}]", []string{
		"queues[0].dataDir: /data has to do with /data/s, where credentials lie",
	}},
	{"an API for everybody", trying + "api: {service: {type: LoadBalancer}}", []string{"api.service.type: a LoadBalancer opens the API", "api.token.secret"}},
	{"documents that outlive their events", trying + "aggregator: {retention: 744h1s}", []string{"aggregator.retention: 744h1s; the stream keeps events for 744h"}},
	{"documents that a message outlives", trying + "aggregator: {retention: 96h}\nqueues: [{name: a, retention: 1h, types: [{name: probe}]}, {name: b, types: [{name: probe}]}]", []string{
		`aggregator.retention: 96h; SQS keeps a message of queue "b" for 96h`, "(queues[1].retention)",
	}},
	{"a test of no queue", trying + "test: {queue: b}", []string{`test.queue: there is no queue "b"`}},

	{"a wrong type", "nats: {bundled: 1}", []string{"/nats/bundled", "boolean"}},
	{"a key of nobody", trying + "foo: 1", []string{"foo"}},
	{"a key of nobody in a queue", trying + "queues: [{name: a, maks: 3, types: [{name: probe}]}]", []string{"/queues/0", "maks"}},
	{"a name that is no token", trying + "queues: [{name: a b, types: [{name: probe}]}]", []string{"/queues/0/name", "a b"}},
	{"a name that is too long", trying + "queues: [{name: " + strings.Repeat("a", 65) + ", types: [{name: probe}]}]", []string{"/queues/0/name"}},
	{"no types", trying + "queues: [{name: a}]", []string{"/queues/0", "types"}},
	{"a type named _", trying + "queues: [{name: a, types: [{name: _}]}]", []string{"/queues/0/types/0/name"}},
	{"too many at a time", trying + "queues: [{name: a, max: 100000, types: [{name: probe}]}]", []string{"/queues/0/max"}},
	{"a duration without a unit", trying + "queues: [{name: a, timeout: \"10\", types: [{name: probe}]}]", []string{"/queues/0/timeout", "10"}},
	{"a retention of half a second", trying + "queues: [{name: a, retention: 500ms, types: [{name: probe}]}]", []string{"/queues/0/retention"}},
	{"a URL that is none", atAWS + "queues: [{name: a, url: jobs, types: [{name: probe}]}]", []string{"/queues/0/url"}},
	{"an image without a tag", trying + "queues: [{name: a, image: own, types: [{name: probe}]}]", []string{"/queues/0/image"}},
	{"an image that moves", trying + "queues: [{name: a, image: \"own:latest\", types: [{name: probe}]}]", []string{"/queues/0/image"}},
	{"a component that moves", trying + "api: {image: {tag: latest}}", []string{"/api/image/tag"}},
	{"a password in a URL", "nats: {url: \"nats://me:secret@nats:4222\"}", []string{"/nats/url"}},
	{"a seed that is short", "nats: {bundled: true, seed: abc}", []string{"/nats/seed"}},
	{"a region of nobody", "aws: {region: Frankfurt}", []string{"/aws/region"}},
	{"reruns without a delay", trying + "queues: [{name: a, types: [{name: probe, reruns: {max: 1}}]}]", []string{"/queues/0/types/0/reruns", "delay"}},
	{"no replica", trying + "api: {replicas: 0}", []string{"/api/replicas"}},
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, row := range refusals {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			file := valuesFile(t, row.values)
			for _, helm := range helms {
				_, err := template(t, helm, "-f", file)
				if err == nil {
					t.Errorf("%s renders it", helm)
					continue
				}
				for _, want := range row.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%s does not say %q: %v", helm, want, err)
					}
				}
			}
		})
	}
}

// A folder of data is taken, beside a Secret and where its name merely begins like one of those that are refused.
func TestDataOfItsOwnIsTaken(t *testing.T) {
	t.Parallel()
	file := valuesFile(t, trying+"queues: [{name: a, dataDir: /data/in, volumes: [{name: d, emptyDir: {}}, {name: s, secret: {secretName: s}}], "+
		"volumeMounts: [{name: d, mountPath: /data}, {name: s, mountPath: /data/inner}], types: [{name: process-data}]}, "+
		"{name: b, dataDir: /process, types: [{name: process-data}]}]")
	for _, helm := range helms {
		if _, err := template(t, helm, "-f", file); err != nil {
			t.Errorf("%s: %v", helm, err)
		}
	}
}

func valuesFile(t *testing.T, values string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// An older cluster has no podFailurePolicy to rely on.
func TestOldKubernetesIsRefused(t *testing.T) {
	t.Parallel()
	for _, helm := range helms {
		_, err := template(t, helm, "-f", "testdata/values/try.yaml", "--kube-version", "1.30.9")
		if err == nil || !strings.Contains(err.Error(), ">=1.31.0-0") {
			t.Errorf("%s: %v", helm, err)
		}
	}
}

// The longest retention that the chart takes is for as long as the stream keeps events, by itself and in parts; the
// shortest, that of the queues and an hour.
func TestRetentionIsAsLongAsEventsAreKept(t *testing.T) {
	t.Parallel()
	kept := stream.DefaultSettings().EventsMaxAge
	for _, value := range []string{kept.String(), fmt.Sprintf("%dm", int(kept.Minutes())), fmt.Sprintf("%ds", int(kept.Seconds()))} {
		if _, err := template(t, "helm3", "-f", "testdata/values/try.yaml", "--set", "aggregator.retention="+value); err != nil {
			t.Errorf("%s: %v", value, err)
		}
	}
	longest := time.Duration(contract.DefaultRetention)
	for retention, taken := range map[time.Duration]bool{
		(&contract.Config{Queues: []contract.Queue{{Retention: contract.Duration(longest)}}}).LeastRetention(): true, longest + time.Hour - time.Second: false,
	} {
		_, err := template(t, "helm3", "-f", "testdata/values/try.yaml", "--set", "aggregator.retention="+retention.String())
		if (err == nil) != taken {
			t.Errorf("%s beside a queue that keeps messages for %s: %v", retention, longest, err)
		}
	}
	over := (kept + time.Minute).String()
	if _, err := template(t, "helm3", "-f", "testdata/values/try.yaml", "--set", "aggregator.retention="+over); err == nil {
		t.Errorf("%s is taken, and events are kept for %s", over, kept)
	}
}
