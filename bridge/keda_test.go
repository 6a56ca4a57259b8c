package bridge

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tallyman/contract"
)

// kedas is what a bridge sees of KEDA.
type kedas struct {
	jobs   []*batchv1.Job
	scaled []contract.ScaledJob
	err    error
}

func (k *kedas) ScaledJobs() []contract.ScaledJob                  { return k.scaled }
func (k *kedas) Units(context.Context) ([]*batchv1.Job, error)     { return k.jobs, k.err }
func (k *kedas) Watch(context.Context, func(_, _, _ string)) error { return errors.New("is not asked") }
func (k *kedas) Ready(context.Context) error                       { return errors.New("is not asked") }
func (k *kedas) Unit(context.Context, string, string, string, bool) (*batchv1.Job, []*corev1.Pod, error) {
	return nil, nil, errors.New("is not asked")
}

// made is a Kubernetes Job that says which KEDA made it.
func made(name, version string, ago time.Duration, owner string) *batchv1.Job {
	return &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Namespace: "jobs", Name: name, CreationTimestamp: before(ago), Labels: map[string]string{labelVersion: version},
		OwnerReferences: []metav1.OwnerReference{{Kind: owner}},
	}}
}

func TestTheDoctorIsToldOfKEDA(t *testing.T) {
	t.Parallel()
	const keda = contract.KindScaledJob
	is := func(status, reason, message string) []contract.Condition {
		return []contract.Condition{{Type: "Active", Status: "False"}, {Type: "Ready", Status: status, Reason: reason, Message: message}}
	}
	for name, c := range map[string]struct {
		sees kedas
		ok   bool
		line string // its name, and what it says or begins with
	}{
		"no unit":         {kedas{}, true, "keda version: not known until"},
		"what it says":    {kedas{jobs: []*batchv1.Job{made("a-1", "2.21.0", 0, keda)}}, true, "keda version: 2.21.0 when it made jobs/a-1"},
		"the newest says": {kedas{jobs: []*batchv1.Job{made("a-1", "2.19.0", time.Hour, keda), made("a-2", "2.20.2", time.Minute, keda), made("a-0", "2.19.0", time.Hour, keda)}}, true, "keda version: 2.20.2 when it made jobs/a-2"},
		"too old":         {kedas{jobs: []*batchv1.Job{made("a-1", "2.20.1", 0, keda)}}, false, "keda version: 2.20.1 when it made jobs/a-1; 2.20.2 or newer is needed: upgrade KEDA"},
		"with a v":        {kedas{jobs: []*batchv1.Job{made("a-1", "v2.9.0", 0, keda)}}, false, "keda version: v2.9.0"},
		"of no release":   {kedas{jobs: []*batchv1.Job{made("a-1", "main", 0, keda)}}, true, "keda version: main"},
		"made by hand":    {kedas{jobs: []*batchv1.Job{made("a-1", "1.0.0", 0, "CronJob")}}, true, "keda version: not known until"},
		"Kubernetes away": {kedas{err: errors.New("list jobs: forbidden")}, false, "keda version: list jobs: forbidden"},

		"ready":           {kedas{scaled: []contract.ScaledJob{{Namespace: "jobs", Name: "p", Max: 20, Conditions: is("True", "", "")}}}, true, "scaledjob jobs/p: ready, at most 20 at a time"},
		"paused":          {kedas{scaled: []contract.ScaledJob{{Namespace: "jobs", Name: "p", Paused: true, Conditions: is("Unknown", "", "")}}}, true, "scaledjob jobs/p: paused by its annotation"},
		"not content":     {kedas{scaled: []contract.ScaledJob{{Namespace: "jobs", Name: "p", Conditions: is("False", "TriggerError", "no secret")}}}, false, "scaledjob jobs/p: KEDA is not content: TriggerError: no secret; `kubectl -n jobs describe scaledjob p`"},
		"never looked at": {kedas{scaled: []contract.ScaledJob{{Namespace: "jobs", Name: "p"}}}, false, "scaledjob jobs/p: KEDA has not looked at it yet"},
		"not sure yet":    {kedas{scaled: []contract.ScaledJob{{Namespace: "jobs", Name: "p", Conditions: is("Unknown", "", "")}}}, false, "scaledjob jobs/p: KEDA has not looked at it yet"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := CheckKEDA(t.Context(), &c.sees, &c.sees)
			if len(all) != 1+len(c.sees.scaled) {
				t.Fatalf("%d lines: %+v", len(all), all)
			}
			l := all[len(all)-1]
			if says := l.Name + ": " + l.Says; l.OK != c.ok || !strings.HasPrefix(says, c.line) {
				t.Errorf("ok %t, %s", l.OK, says)
			}
		})
	}
}

// What the doctor calls too old is what the chart refuses.
func TestTheOldestKEDAIsTheCharts(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../charts/tallyman/templates/_faults.tpl")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), `$needed := "`)
	needed, _, _ := strings.Cut(after, `"`)
	if diff := cmp.Diff(needed, oldestKEDA); diff != "" {
		t.Error(diff)
	}
}
