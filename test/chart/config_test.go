package chart

import (
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
)

// The configuration that is rendered is one that the programs accept, and says what the values say.
func TestConfigurationIsTheContracts(t *testing.T) {
	t.Parallel()
	for _, set := range sets(t) {
		t.Run(nameOf(set), func(t *testing.T) {
			t.Parallel()
			objects := render(t, "helm3", "-f", set)
			whole := contract.Config{}
			parts := make(map[string]contract.Queue)
			for _, cm := range all[*corev1.ConfigMap](objects) {
				text, ok := cm.Data["config.json"]
				if !ok {
					continue
				}
				c, err := contract.DecodeConfig([]byte(text))
				if err != nil {
					t.Fatalf("%s: %v", cm.Name, err)
				}
				if strings.HasSuffix(cm.Name, "-config") {
					whole = c
					continue
				}
				parts[c.Queues[0].Name] = c.Queues[0]
				if len(c.Queues) != 1 || cm.Annotations[contract.AnnotationQueue] != c.Queues[0].Name {
					t.Errorf("%s shows a pod more than its own queue: %v", cm.Name, c.Queues)
				}
			}
			for _, q := range whole.Queues {
				if diff := cmp.Diff(q, parts[q.Name]); diff != "" || q.URL == "" {
					t.Errorf("queue %s (-api's +processor's):\n%s", q.Name, diff)
				}
			}
			if len(parts) != len(whole.Queues) || len(parts) == 0 {
				t.Errorf("%d queues, and %d of their own", len(whole.Queues), len(parts))
			}
		})
	}
}

// The schema of the values takes every setting of a queue and of a type that the contract has, so that the
// chart and `tallyman dev --config` read one shape.
func TestValuesTakeEveryField(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(chartDir + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Defs map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatal(err)
	}
	for def, typ := range map[string]reflect.Type{"queue": reflect.TypeFor[contract.Queue](), "jobType": reflect.TypeFor[contract.JobType](), "webhook": reflect.TypeFor[contract.Webhook]()} {
		for f := range typ.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "secretFile" {
				name = "secret" // of which the chart makes the file
			}
			if _, ok := schema.Defs[def].Properties[name]; !ok {
				t.Errorf("values.schema.json: %s has no %q", def, name)
			}
		}
	}
}

var (
	flagInHelp = regexp.MustCompile(`(?m)^ +--([a-z-]+)`)
	envInRust  = regexp.MustCompile(`"((?:TALLYMAN|AWS)_[A-Z_]+)"`)
)

// Every variable that the chart sets is one that the program reads.
func TestEveryVariableIsRead(t *testing.T) {
	t.Parallel()
	for component, env := range componentEnv(t) {
		known := flags(t, component)
		for name := range env {
			if ours := strings.HasPrefix(name, "TALLYMAN_"); ours && !slices.Contains(known, flagOf(name)) {
				t.Errorf("%s has no flag for %s", component, name)
			}
		}
	}
	read, err := os.ReadFile("../../rust-processor/src/settings.rs")
	if err != nil {
		t.Fatal(err)
	}
	var rust []string
	for _, m := range envInRust.FindAllStringSubmatch(string(read), -1) {
		rust = append(rust, m[1])
	}
	for name, p := range pods(render(t, "helm3", "-f", "testdata/values/teams.yaml")) {
		if !strings.HasPrefix(name, "ScaledJob") {
			continue
		}
		for _, e := range p.Spec.Containers[0].Env {
			if strings.HasPrefix(e.Name, "TALLYMAN_") && !slices.Contains(rust, e.Name) {
				t.Errorf("%s: the processor does not read %s", name, e.Name)
			}
		}
	}
}

// apart are the variables in which components may differ: each has its own name, and one alone makes streams.
var apart = []string{"TALLYMAN_NATS_INBOX", "TALLYMAN_MAKE_STREAMS"}

// What the chart tells one component it tells, with the same value, every other that has the flag: an audit by
// another retention than the aggregator's would name what is in order.
func TestComponentsAreToldTheSame(t *testing.T) {
	t.Parallel()
	env := componentEnv(t, "--set", "aggregator.retention=360h,scheduler.auditEvents=7000000,scheduler.acceptedAfter=1m,scheduler.queuedAfter=0s")
	for name, want := range map[string]string{
		"TALLYMAN_RETENTION": "360h", "TALLYMAN_AUDIT_EVENTS": "7000000", "TALLYMAN_ACCEPTED_AFTER": "1m", "TALLYMAN_QUEUED_AFTER": "0s",
	} {
		if got := env["scheduler"][name]; got != want {
			t.Errorf("the scheduler is told %s=%q, want %q", name, got, want)
		}
	}
	known := make(map[string][]string, len(env))
	for component := range env {
		known[component] = flags(t, component)
	}
	for teller, told := range env {
		for name, value := range told {
			if !strings.HasPrefix(name, "TALLYMAN_") || slices.Contains(apart, name) {
				continue
			}
			for other := range env {
				if got, is := env[other][name]; slices.Contains(known[other], flagOf(name)) && (!is || got != value) {
					t.Errorf("%s is told %s=%s, %s has the flag and is told %q", teller, name, value, other, got)
				}
			}
		}
	}
}

// componentEnv gives the environment of each of the four components.
func componentEnv(t *testing.T, more ...string) map[string]map[string]string {
	t.Helper()
	env := make(map[string]map[string]string)
	for _, d := range all[*appsv1.Deployment](render(t, "helm3", append([]string{"-f", "testdata/values/aws.yaml"}, more...)...)) {
		told := make(map[string]string)
		for _, e := range d.Spec.Template.Spec.Containers[0].Env {
			told[e.Name] = e.Value
		}
		env[d.Labels["app.kubernetes.io/component"]] = told
	}
	if len(env) != 4 {
		t.Fatalf("%d components", len(env))
	}
	return env
}

func flagOf(variable string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(variable, "TALLYMAN_")), "_", "-")
}

// flags are those that a component says it has.
func flags(t *testing.T, component string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary(t, component), "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("%s --help: %v\n%s", component, err, out)
	}
	var names []string
	for _, m := range flagInHelp.FindAllStringSubmatch(string(out), -1) {
		names = append(names, m[1])
	}
	return names
}
