package chart

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// notes is what Helm prints when it has installed.
func notes(t *testing.T, helm string, flags ...string) string {
	t.Helper()
	out, err := run(t, helm, append([]string{
		"install", release, chartDir, "--namespace", namespace, "--dry-run=server", "--kubeconfig", newFakeKubernetes(t).kubeconfig(t),
		"--set", "keda.check=false", "--disable-openapi-validation", "--output", "json",
	}, flags...)...)
	if err != nil {
		t.Fatal(err)
	}
	var installed struct{ Info struct{ Notes string } }
	if err := json.Unmarshal([]byte(out), &installed); err != nil || installed.Info.Notes == "" {
		t.Fatalf("%s prints no notes (%v): %.200s", helm, err, out)
	}
	return installed.Info.Notes
}

// The notes have four commands to go on with, and each is whole: whoever copies it is let in.
func TestNotesHaveFourNextCommands(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		flags []string
		tap   string
	}{
		"try": {[]string{"-f", "testdata/values/try.yaml"}, `nats --server "nats://$TAP@127.0.0.1:4222" --inbox-prefix _INBOX_tap sub 'jobs.events.>'`},
		"aws": {[]string{"-f", "testdata/values/aws.yaml"}, " --creds tap.creds --inbox-prefix _INBOX_tap sub 'jobs.events.>'"},
		"an open NATS": {[]string{"-f", "testdata/values/aws.yaml", "--set", "nats.credentials.secret=,nats.url=nats://mine:4222"},
			"nats --server nats://mine:4222 sub 'jobs.events.>'"},
	} {
		for _, helm := range helms {
			said := notes(t, helm, row.flags...)
			at := 0
			for _, next := range []string{
				"\n1. ", "helm test " + release + " --namespace " + namespace,
				"\n2. ", "port-forward service/" + release + "-tallyman-api",
				"\n3. ", "-X POST http://127.0.0.1:8080/jobs", "\n4. ", row.tap,
			} {
				found := strings.Index(said[at:], next)
				if found < 0 {
					t.Errorf("%s, %s: no %q, in its order, in\n%s", name, helm, next, said)
					break
				}
				at += found + len(next)
			}
		}
	}
}

// `helm test` asks the doctor whatever queues there are; a job is posted where one is known that can be.
func TestHelmTestAlwaysAsksTheDoctor(t *testing.T) {
	t.Parallel()
	const own = trying + "queues: [{name: video, image: \"own:1\", types: [{name: encode, command: [/encode]}]}]\n"
	for values, want := range map[string]string{
		trying: "doctor test", own: "doctor", own + "test: {type: encode}\n": "doctor test",
		trying + "queues: [{name: a, types: [{name: store-event}]}]\n": "doctor",
	} {
		objects := render(t, "helm3", "-f", valuesFile(t, values))
		var asked []string
		for _, c := range one[*corev1.Pod](t, objects, release+"-tallyman-test").Spec.Containers {
			asked = append(asked, c.Name)
		}
		if got := strings.Join(asked, " "); got != want {
			t.Errorf("helm test runs %q, want %q, with\n%s", got, want, values)
		}
	}
}
