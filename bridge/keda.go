package bridge

import (
	"cmp"
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"tallyman/contract"
)

// labelVersion is where KEDA puts its own version on each Kubernetes Job that it makes. Nothing else that a bridge
// may read has it: the label on its definitions needs a right on the whole cluster.
const labelVersion = "app.kubernetes.io/version"

// oldestKEDA is what the chart asks for, too: older ones count pending pods and the limit wrongly.
const oldestKEDA = "2.20.2"

// CheckKEDA gives the doctor a line for KEDA's version and one for each ScaledJob: whether KEDA is content with it.
func CheckKEDA(ctx context.Context, k Kubernetes, s Scalers) []contract.CheckLine {
	all := []contract.CheckLine{versionOfKEDA(ctx, k)}
	for _, scaled := range s.ScaledJobs() {
		l := contract.CheckLine{Name: fmt.Sprintf("scaledjob %s/%s", scaled.Namespace, scaled.Name)}
		l.OK, l.Says = contentWith(&scaled)
		all = append(all, l)
	}
	return all
}

// versionOfKEDA reads it off the newest Kubernetes Job, which may be of before an upgrade: so it says which.
func versionOfKEDA(ctx context.Context, k Kubernetes) contract.CheckLine {
	l := contract.CheckLine{Name: "keda version"}
	jobs, err := k.Units(ctx)
	if err != nil {
		l.Says = err.Error()
		return l
	}
	var newest *batchv1.Job
	for _, j := range jobs {
		if j.Labels[labelVersion] != "" && ownedByScaledJob(j) && (newest == nil || newer(j, newest)) {
			newest = j
		}
	}
	if newest == nil {
		l.OK, l.Says = true, "not known until it has made a Kubernetes Job"
		return l
	}
	says := newest.Labels[labelVersion]
	l.OK, l.Says = true, fmt.Sprintf("%s when it made %s/%s", says, newest.Namespace, newest.Name)
	if v, err := version.ParseSemantic(says); err == nil && v.LessThan(version.MustParseSemantic(oldestKEDA)) { // a build of its main branch says "main"
		l.OK, l.Says = false, fmt.Sprintf("%s; %s or newer is needed: upgrade KEDA, and look again after the next job", l.Says, oldestKEDA)
	}
	return l
}

func newer(a, b *batchv1.Job) bool {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name)) > 0
}

// contentWith tells whether KEDA makes Kubernetes Jobs for a ScaledJob, or what a person can do.
func contentWith(s *contract.ScaledJob) (ok bool, says string) {
	ready := s.Condition("Ready")
	switch {
	case s.Paused:
		return true, "paused by its annotation: KEDA makes nothing for it"
	case ready.Status == "True":
		return true, fmt.Sprintf("ready, at most %d at a time", s.Max)
	case ready.Status == "False":
		return false, fmt.Sprintf("KEDA is not content: %s: %s; `kubectl -n %s describe scaledjob %s` has what it stumbled over", ready.Reason, ready.Message, s.Namespace, s.Name)
	}
	return false, "KEDA has not looked at it yet: is its operator running, and does it watch this namespace?"
}
